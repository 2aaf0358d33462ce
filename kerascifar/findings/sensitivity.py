"""Which assumption moves a figure by more than the seeds do? The rows of `experiments/sensitivity.toml`, compared.

Each changes one assumption of the row of the report that its name begins with, and is trained with one seed.
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
    if n < 3:  # with two, t is 12.7, and two that happen to be equal would make it 0
        return math.nan
    return float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) * math.sqrt(1 + 1 / n))


def changed(row: dict[str, Any], base: dict[str, Any]) -> str:
    """What `row` has and `base` has not, e.g. `augmentation.rotation_range = 10.0`."""
    mine, theirs = _leaves(row), _leaves(base)
    return ", ".join(f"{key} = {value}" for key, value in mine.items() if key != "name" and theirs.get(key) != value)


def _leaves(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def table(found: Iterable[Record]) -> "pd.DataFrame":
    """One line per sensitivity row whose row of the report has a run too.

    Columns: row, changed, epochs, like (the row compared with), n (its runs), and for validation and test accuracy the
    value, the compared runs' mean, the difference, the half-width, and whether it lies outside.
    """
    import pandas as pd

    found = list(found)
    lines = []
    for record in (r for r in found if r.experiment == EXPERIMENT):
        name = record.name.partition("_")[0]
        like = [r for r in found if r.experiment != EXPERIMENT and r.name == name]
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
