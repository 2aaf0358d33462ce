"""Do our runs agree with the original? Its test accuracy and epochs for each row, beside ours.

A reported figure agrees if it lies in the 95 % prediction interval of one more run like ours (`sensitivity.py`). With
fewer than three runs of a row there is no interval, so agreement is unknown.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings.sensitivity import prediction_interval
from kerascifar.runs import original
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

AGREES, DIFFERS, UNKNOWN = "yes", "no", "unknown"
# The original's column, and the same metric of one of our runs.
METRICS: dict[str, tuple[str, Callable[[Record], float]]] = {
    "test accuracy": ("test_acc", lambda run: 100 * run.results["test"]["accuracy"]),
    "epochs": ("epochs", lambda run: float(run.epochs_trained)),
}
NOTE = (
    "Test accuracy in percent at the kept epoch, epochs until the early stop. ± is the half-width of the 95 % "
    "prediction interval of one more run, with another seed. The original reports one run of each row."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per metric and row of the original that has full runs with the original's settings.

    Columns: metric, row, n (runs), original, here (their mean), sd, difference (here − original), 95 % ±, and agrees
    ("yes", "no", "unknown").
    """
    import pandas as pd

    columns = ("metric", "row", "n", "original", "here", "sd", "difference", "95 % ±", "agrees")
    rows: dict[str, list[Record]] = {}
    for run in records:
        if original.comparable(run) and not run.shortened:
            rows.setdefault(run.name, []).append(run)
    lines: list[dict[str, Any]] = []
    for metric, (column, value) in METRICS.items():
        for name, runs in rows.items():
            values = [value(run) for run in runs]
            reported, half = float(original.rows()[name][column]), prediction_interval(values)
            here = float(np.mean(values))
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
            agrees = UNKNOWN if math.isnan(half) else AGREES if abs(here - reported) <= half else DIFFERS
            cells = (metric, name, len(values), reported, here, deviation, here - reported, half, agrees)
            lines.append(dict(zip(columns, cells, strict=True)))
    return pd.DataFrame(lines, columns=columns)
