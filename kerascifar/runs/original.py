"""The reported figures, transcribed from the original into `experiments/reported.csv`."""

import csv
from collections.abc import Iterable
from functools import cache
from typing import Any

from kerascifar.common.paths import EXPERIMENTS
from kerascifar.runs.records import ORIGINALS, Record
from kerascifar.training.rows import OPTIMIZERS, Row
from kerascifar.training.rows import read as read_experiment


@cache
def rows() -> dict[str, dict[str, str]]:
    """The original's two result tables: for each row name, its cells as text."""
    with open(EXPERIMENTS / "reported.csv", newline="", encoding="utf-8") as file:
        return {row["row"]: row for row in csv.DictReader(file)}


def find(name: str) -> dict[str, str] | None:
    """The reported figures of a row, such as "M6" or "experiment1/M6"; None for other rows."""
    experiment, _, row = name.rpartition("/")
    line = rows().get(row)
    return line if line and experiment in ("", f"experiment{line['experiment']}") else None


def row_of(record: Record) -> dict[str, str] | None:
    """The reported figures for the record's row, found by name only. None for other rows and for synthetic data."""
    return None if record.is_synthetic else find(f"{record.experiment}/{record.name}")


def comparable(record: Record) -> dict[str, str] | None:
    """Like `row_of`, but None if the record's row has other settings than the original's."""
    row = row_of(record)
    return row if row and settings_of(record.row) == settings(row) else None


@cache
def _planned() -> dict[tuple[str, str], Row]:
    return {(name, row.name): row for name in ORIGINALS for row in read_experiment(EXPERIMENTS / f"{name}.toml").rows}


def outdated(runs: Iterable[Record]) -> list[str]:
    """Names of the original's rows whose runs have other settings than the experiment's file has now."""
    planned = _planned()
    return list(dict.fromkeys(r.name for r in runs if planned.get((r.experiment, r.name), r.row) != r.row))


def figures(record: Record) -> dict[str, float]:
    """A run's figures by the names of the original's columns: epochs, and at the kept epoch losses (nats), percent."""
    found = {"epochs": float(record.epochs_trained)}
    for name, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        result = record.results[split]
        found |= {f"{name}_loss": result["loss"], f"{name}_acc": 100 * result["accuracy"]}
    return found


def settings_of(row: Row) -> list[Any]:
    """A row's settings in the original's words and order, as `settings` gives the original's."""
    return [row.augment, "ce", OPTIMIZERS[row.optimizer], row.batch_size, float(row.learning_rate)]


def settings(row: dict[str, str]) -> list[Any]:
    """The settings in a row of `rows()`: augmentation, loss, optimizer, batch size, learning rate."""
    return [
        row["aug"] == "True",
        row["loss"],
        OPTIMIZERS[row["optimizer"].lower()],
        int(row["batch_size"]),
        float(row["lr"]),
    ]
