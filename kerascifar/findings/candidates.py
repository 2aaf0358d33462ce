"""The questions of `experiments/choices.toml`, and the candidates that answer them."""

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascifar.common.errors import UserError
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.runs import records
from kerascifar.training.rows import Experiment, Row, Run
from kerascifar.training.rows import read as read_experiment


@dataclass(frozen=True)
class Question:
    """An open choice.

    Attributes:
        name: e.g. "model1".
        like: the rows of the original after which candidates are modelled, and with which they are compared.
        rows: each candidate's rows, in the order of `like`; named "<row>_<candidate>".
        seeds: all candidates are trained with the first, the best quarter also with the others.
    """

    name: str
    like: tuple[str, ...]
    rows: Mapping[str, tuple[Row, ...]]
    seeds: tuple[int, ...]

    def runs(self, candidates: Iterable[str], seeds: Iterable[int], epochs: int | None = None) -> list[Run]:
        """The runs, seed by seed; `epochs` shortens them, and a shortened run is not scored."""
        rows = tuple(row for name in candidates for row in self.rows[name])
        return Experiment(records.CHOICES, rows).runs(seeds=seeds, epochs=epochs) if rows else []


def read(path: Path = EXPERIMENTS / "choices.toml") -> list[Question]:
    """The questions of a file.

    Raises:
        UserError: wrong syntax, key or value; the message says where, and what was expected.
    """
    originals = {row.name: row for n in (1, 2) for row in read_experiment(EXPERIMENTS / f"experiment{n}.toml").rows}
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
        defaults, seeds = file["defaults"], tuple(map(int, file["seeds"]))
        questions = []
        for block in file["question"]:
            rows = {
                candidate["name"]: tuple(_row(originals[name], defaults, block, candidate) for name in block["like"])
                for candidate in block["candidates"]
            }
            questions.append(Question(block["name"], tuple(block["like"]), rows, seeds))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: {error}. Compare it with the comment at its top.") from None
    return questions


def _row(original: Row, defaults: Mapping[str, Any], question: Mapping[str, Any], candidate: Mapping[str, Any]) -> Row:
    """The original's row with the changes of the defaults, the question and the candidate."""
    changes = {
        key: value
        for table in (defaults, question, candidate)
        for key, value in table.items()
        if key not in ("name", "asks", "like", "candidates", "model_options", "optimizer_options")
    }
    # Experiment 2's models have no widths and Model1 has no dropout, so each row keeps its own model's options.
    options = {} if "filters" in candidate.get("model_options", {}) else dict(original.model_options)
    for table in (defaults, question, candidate):
        options |= table.get("model_options", {})
    optimizer = candidate.get("optimizer_options", defaults["optimizer_options"][original.optimizer])
    return dataclasses.replace(
        original,
        name=f"{original.name}_{candidate['name']}",
        model_options=options,
        optimizer_options=optimizer,
        **changes,
    )


def key(row: Row) -> str:
    """The row without its name, as questions may share a candidate under different names."""
    return json.dumps(dataclasses.asdict(row) | {"name": ""}, sort_keys=True)


def without_repeats(runs: Sequence[Run]) -> list[Run]:
    """The runs without those that repeat an earlier one under another name."""
    first: dict[tuple[str, int], Run] = {}
    for run in runs:
        first.setdefault((key(run.row), run.seed), run)
    return list(first.values())
