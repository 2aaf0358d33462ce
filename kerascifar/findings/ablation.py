"""What is each ingredient worth, from the original's best network to that of Experiment 3?

The rows of `experiments/ablation.toml`, in the order of their names, each change one setting of the row before. The
first changes Model4 of Experiment 2, and `Best` of Experiment 3 changes the last.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerascifar.findings import sensitivity
from kerascifar.runs.records import BEST, Record, by_row

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "ablation"
FIRST = ("experiment2", "Model4")
NOTE = (
    "Each line changes one setting of the line before, and keeps all changes so far. Test_acc: mean over seeds, in "
    "percent. Differences in points, over pairs of runs with one seed; low … high is the 95 % interval, by Student's t "
    "over seeds and images. Another order of the changes would give each a somewhat different share."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per step that shares a seed with the step before; empty without runs of an ablation.

    Columns: those of `sensitivity.table` for "test_accuracy", with `like` the step before, and Test_acc.
    """
    import pandas as pd

    rows = by_row(r for r in records if not r.shortened and not r.is_synthetic)
    between = [key for key in rows if key[0] == EXPERIMENT]
    steps = [rows[key] for key in (FIRST, *between, BEST) if key in rows]
    lines = []
    for like, runs in itertools.pairwise(steps):
        if between and {r.seed for r in runs} & {r.seed for r in like}:
            tested = 100 * sum(r.results["test"]["accuracy"] for r in runs) / len(runs)
            lines.append(sensitivity.effect(runs, like, ["test_accuracy"]) | {"Test_acc": tested})
    return pd.DataFrame(lines)


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """The steps that clearly help or harm, the largest first."""
    clear = table[table["test_accuracy clear"] == sensitivity.CLEAR].sort_values("test_accuracy", ascending=False)
    steps = [f"{changed} ({by:+.1f})" for changed, by in zip(clear["changed"], clear["test_accuracy"], strict=True)]
    return (
        f"Clear effects on test accuracy, in points: {'; '.join(steps) or 'none'}. {len(table) - len(clear)} of "
        f"{len(table)} steps have no clear effect."
    )
