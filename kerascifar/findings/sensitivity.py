"""Which assumptions change a figure by more than seeds do? Compares the rows of `experiments/sensitivity.toml`.

Each row changes one assumption of a row of the original, with whose name its own begins, and is trained with one seed.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "sensitivity"
SPLITS = {"Valid_acc": "validation", "Test_acc": "test"}
NOTE = (
    "Accuracies in percent at the kept epoch. ± is the half-width of the 95 % prediction interval of one more run like "
    "those compared with: their mean ± t · sd · √(1 + 1/n), Student's t with n − 1 degrees of freedom. What lies "
    "outside moved the figure by more than seeds do, but for chance: one in twenty does though nothing moved it."
)


def prediction_interval(values: Sequence[float]) -> float:
    """Half-width of the 95 % prediction interval for one more normally distributed value; NaN for fewer than three."""
    from scipy import stats

    n = len(values)
    if n < 3:  # with two, t is 12.7, and two equal values would make it 0
        return math.nan
    return float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) * math.sqrt(1 + 1 / n))


def changed(row: dict[str, Any], base: dict[str, Any]) -> str:
    """The values in which `row` differs from `base`, e.g. `augmentation.rotation_range = 10.0`."""
    values, base_values = _leaves(row), _leaves(base)
    return ", ".join(f"{k} = {v}" for k, v in values.items() if k != "name" and base_values.get(k) != v)


def _leaves(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in row.items():
        leaves |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return leaves


def table(records: Iterable[Record]) -> "pd.DataFrame":
    """One line per sensitivity row, if the row of the original that it changes has a run too.

    Columns: row, changed, epochs, like (the row of the original), n (its runs), and for validation and test accuracy
    the value, the mean of those runs, the half-width of their interval, the difference, and whether it is outside.
    """
    import pandas as pd

    records = list(records)
    lines = []
    for record in (r for r in records if r.experiment == EXPERIMENT):
        name = record.name.partition("_")[0]
        like = [r for r in records if r.experiment != EXPERIMENT and r.name == name]
        if not like:
            continue
        line: dict[str, Any] = {
            "row": record.name,
            "changed": changed(dataclasses.asdict(record.row), dataclasses.asdict(like[0].row)),
            "epochs": record.epochs_trained,
            "like": name,
            "n": len(like),
        }
        for title, split in SPLITS.items():
            values = [100 * r.results[split]["accuracy"] for r in like]
            value, mean, half = 100 * record.results[split]["accuracy"], np.mean(values), prediction_interval(values)
            line |= {
                title: round(value, 2),
                f"{title} mean": round(float(mean), 2),
                f"{title} 95 % ±": round(half, 2),
                f"{title} difference": round(float(value - mean), 2),
                f"{title} outside": "unknown"
                if math.isnan(half + value)
                else "yes"
                if abs(value - mean) > half
                else "no",
            }
        lines.append(line)
    return pd.DataFrame(lines)
