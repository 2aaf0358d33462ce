"""Trains a published run again; checks whether the result is bit-identical or within the published runs' range."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import experiment, records
from kerascifar.training.rows import Run

NOT_COMPARED = {"finished", "earlier", "uncommitted"}  # do not affect the result
MEASURES = (("validation", "accuracy"), ("validation", "loss"), ("test", "accuracy"), ("test", "loss"))


def published(
    row: str, seed: int | None = None, folder: Path = records.PUBLISHED
) -> tuple[records.Record, list[records.Record]]:
    """The published run of a row and seed (by default its first), and all published runs of that row.

    Raises:
        UserError: the row has no published run with that seed.
    """
    runs = [record for record in records.current(records.list_records(folder)) if record.name == row]
    for record in runs:
        if seed in (None, record.seed):
            return record, runs
    known = ", ".join(str(record.seed) for record in runs)
    what = f"Published seeds of {row}: {known}." if known else f"No run of {row} is published."
    which = row if seed is None else f"{row}, seed {seed},"
    raise UserError(f"No published run of row {which} to compare with.\n{what}\nNothing was trained.")


def again(
    record: records.Record, dataset: cifar10.Dataset, folder: Path, console: Console, command: Sequence[str]
) -> records.Record | None:
    """Trains the run of `record` again with the current code, in `folder`. None if another process is training it."""
    run = Run(record.experiment, record.row, record.seed)
    trained = experiment.train([run], dataset, folder, console, command)
    return trained[0] if trained else None


def judge(theirs: records.Record, mine: records.Record, spread: Sequence[records.Record]) -> tuple[bool, list[str]]:
    """Whether the run is reproduced, and why: bit-identical, or each figure within the published runs' range."""
    if mine.history == theirs.history and mine.results == theirs.results:
        return True, [f"{theirs.label}: bit-identical ({len(theirs.seconds)} epochs, all losses and accuracies)."]
    lines = [f"{theirs.label}: not bit-identical."]
    lines += [
        f"  {key}: published {_said(a)}; here {_said(b)}"
        for key, a, b in _differences(theirs.environment, mine.environment)
    ]
    if mine.basis != theirs.basis:
        lines.append("  the images or the model's layers differ")
    inside = True
    for split, measure in MEASURES:
        values = [record.results[split][measure] for record in spread]
        value = mine.results[split][measure]
        within = min(values) <= value <= max(values)
        inside = inside and within
        where = "within" if within else "outside"
        lines.append(
            f"  {split} {measure} {value:.4f}: {where} the published {min(values):.4f} … {max(values):.4f} "
            f"({len(values)} {'seeds' if len(values) > 1 else 'seed'})"
        )
    return inside, lines


def _differences(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The differences between two environments: key and both values, one for each entry if the values are tables."""
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        a, b = theirs.get(key), mine.get(key)
        if key in NOT_COMPARED or a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            yield from ((f"{key} {entry}", there, here) for entry, there, here in _differences(a, b))
        else:
            yield key, a, b


def _said(value: Any) -> str:
    if value is None:
        return "not recorded"
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
