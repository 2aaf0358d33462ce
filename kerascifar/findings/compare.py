"""Any runs side by side, with paired differences from the first: the answer to "what if I change this?"."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.findings import claims
from kerascifar.runs import records
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Means over seeds, accuracies in percent. Differences of test accuracy are from the first line, paired: the same "
    "seeds, the same test images; with the 95 % interval by Student's t over seeds and images, of one seed from images "
    "alone, and McNemar's exact p of each seed."
)


def find(names: Sequence[str], runs: Path) -> dict[str, list[Record]]:
    """What is to be compared, by name: a run's folder, or a row's name, which stands for its runs of all seeds.

    Args:
        runs: the folder of your runs; rows not found there are looked up among the published ones.
    Raises:
        UserError: neither a run's folder nor a row.
    """
    own, published = (records.current(records.list_records(folder)) for folder in (runs, records.PUBLISHED))
    found: dict[str, list[Record]] = {}
    for name in names:
        if records.finished(Path(name)):
            one = records.read(Path(name))
            found[f"{one.label} ({Path(name)})" if one.label in found else one.label] = [one]
            continue
        of_row = [r for r in own if r.name == name] or [r for r in published if r.name == name]
        if not of_row:
            known = {r.name for r in [*own, *published]}
            raise UserError(
                f'"{errors.printable(name)}" is neither the folder of a finished run nor a row, yours or published.\n'
                f"{errors.suggest(name, known)}"
            )
        found[name] = of_row
    if len({run.dataset["test"] for group in found.values() for run in group}) > 1:
        raise UserError("These runs were tested on different images, so they cannot be compared.")
    return found


def table(found: dict[str, list[Record]]) -> "pd.DataFrame":
    """One line per entry of `find`; the first is what the others are compared with."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    base = next(iter(found.values()))
    for name, runs in found.items():
        line: dict[str, Any] = {
            "run": name,
            "n": len(runs),
            "epochs": float(np.mean([r.epochs_trained for r in runs])),
            "Valid_acc": 100 * float(np.mean([r.results["validation"]["accuracy"] for r in runs])),
            "Test_acc": 100 * float(np.mean([r.results["test"]["accuracy"] for r in runs])),
            "gap": float(np.mean([claims.gap(r) for r in runs])),
            "shortened": any(r.shortened for r in runs),
        }
        difference = claims.Comparison(name, "", "test_accuracy", "other", 0.0)
        pair = claims.between(*_paired(runs, base), difference)
        if runs is not base and pair is not None:
            line |= {
                "difference": pair.mean,
                "low": pair.interval[0],
                "high": pair.interval[1],
                "pairs": len(pair.seeds),
                "McNemar p by seed": "; ".join(f"{p:.2g}" for p in pair.mcnemar),
            }
        lines.append(line)
    return pd.DataFrame(lines)


def _paired(runs: list[Record], base: list[Record]) -> tuple[list[Record], list[Record]]:
    """The runs to be paired by seed; single runs of two seeds are a pair too, as their images are the same."""
    import dataclasses

    if len(runs) == len(base) == 1 and runs[0].seed != base[0].seed:
        return [dataclasses.replace(runs[0], seed=base[0].seed)], base
    return runs, base
