"""How much does each step from the original's best model to Experiment 3's contribute?

Each row of `experiments/ablation.toml` changes one setting of the previous row, in the order of the numbers in their
names. The first starts from Model4 of Experiment 2, and `Best` of Experiment 3 adds the last change.
"""

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerascifar.findings import sensitivity
from kerascifar.findings.statistics import mean_and_sd
from kerascifar.runs.grouping import by_row
from kerascifar.runs.records import BEST, Record

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "ablation"
FIRST = ("experiment2", "Model4")
NOTE = (
    "Each line compares a step with the previous trained step. Test accuracy: mean over seeds, in percent. Differences "
    "in points, over pairs of runs with the same seed; low … high is the 95 % interval, by Student's t over seeds and "
    "images; a single pair has none. Clear: the interval excludes zero. In another order, each change would have a "
    "somewhat different effect."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per step that shares a seed with the previous step; empty without runs of an ablation.

    Columns: those of `sensitivity.table` for "test_accuracy", with `like` the previous step, and Test_acc.
    """
    import pandas as pd

    rows = by_row(r for r in records if r.is_full)
    between = sorted((key for key in rows if key[0] == EXPERIMENT), key=_numbers)
    steps = [rows[key] for key in (FIRST, *between, BEST) if key in rows]
    lines = []
    for like, runs in itertools.pairwise(steps):
        if between and {r.seed for r in runs} & {r.seed for r in like}:
            accuracy, _ = mean_and_sd([r.accuracy() for r in runs])
            lines.append(sensitivity.effect(runs, like, ["test_accuracy"]) | {"Test_acc": accuracy})
    return pd.DataFrame(lines)


def _numbers(key: tuple[str, str]) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", key[1])]


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """The steps that clearly help or harm, the most helpful first."""
    words = table["test_accuracy clear"]
    clear = table[words == sensitivity.CLEAR].sort_values("test_accuracy", ascending=False)
    steps = [f"{changed} ({by:+.1f})" for changed, by in zip(clear["changed"], clear["test_accuracy"], strict=True)]
    text = f"Clear effects on test accuracy, in points: {'; '.join(steps) or 'none'}."
    text += f" Steps without a clear effect: {(words == sensitivity.UNCLEAR).sum()} of {len(table)}."
    single = (words == sensitivity.UNKNOWN).sum()
    return text + f" Steps with a single pair of runs: {single}." * bool(single)
