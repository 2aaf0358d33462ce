"""Which assumptions matter? Compares the rows of `experiments/sensitivity.toml` with the rows that they vary.

Each changes one assumption of a row of the original, with whose name its own begins. Runs are compared in pairs: the
same seed, which means the same initial weights, order and augmentation where the assumption leaves them alone.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kerascifar.findings import metrics
from kerascifar.runs import rows_in_words
from kerascifar.runs.grouping import by_row
from kerascifar.runs.records import ORIGINALS, Record

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "sensitivity"
COMPARED = ("validation_accuracy", "test_accuracy", "epochs")  # of `metrics.METRICS`
CLEAR, UNCLEAR, UNKNOWN = "yes", "no", "unknown"
IN_WORDS = {True: CLEAR, False: UNCLEAR, None: UNKNOWN}
NOTE = (
    "Differences in percentage points and epochs: the changed row minus the unchanged one, mean over pairs of runs "
    "with the same seed. low … high is the 95 % interval, by Student's t over seeds and images. A single pair has "
    "none, because it says nothing about seeds. Clear: the interval excludes zero. One in twenty would, even if no "
    "assumption mattered."
)


def table(records: Iterable[Record]) -> "pd.DataFrame":
    """One line per sensitivity row that shares a seed with the row of the original that it changes.

    Columns: row, changed, like (the row of the original), n (pairs), and for each metric of `COMPARED` the difference,
    the ends of its interval ("low", "high"; NaN for one pair), and whether it is clear ("yes", "no", "unknown").
    """
    import pandas as pd

    rows = by_row(r for r in records if not r.shortened)
    originals = {name: runs for (experiment, name), runs in rows.items() if experiment in ORIGINALS}
    changed = {name: runs for (experiment, name), runs in rows.items() if experiment == EXPERIMENT}
    pairs = [(runs, originals.get(name.partition("_")[0], [])) for name, runs in changed.items()]
    return pd.DataFrame([effect(runs, like) for runs, like in pairs if {r.seed for r in runs} & {r.seed for r in like}])


def effect(runs: Sequence[Record], like: Sequence[Record], compared: Sequence[str] = COMPARED) -> dict[str, Any]:
    """A line of `table`, by the metrics `compared`: how a row differs from `like`, with which it shares a seed."""
    what = rows_in_words.differing(runs[0].row, like[0].row)
    line: dict[str, Any] = {"row": runs[0].name, "changed": what, "like": like[0].name}
    for metric in compared:
        difference = metrics.difference(runs, like, metric)
        assert difference is not None  # as there are seeds
        low, high = difference.interval
        line |= {
            "n": len(difference.seeds),
            metric: difference.estimate.mean,
            f"{metric} low": low,
            f"{metric} high": high,
            f"{metric} clear": IN_WORDS[difference.is_clear],
        }
    return line


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """How many of the changed assumptions clearly change test accuracy."""
    clear = table["test_accuracy clear"]
    moved, known = int((clear == CLEAR).sum()), int((clear != UNKNOWN).sum())
    assumptions = "assumption" if known == 1 else "assumptions"
    sentences = [f"Test accuracy clearly changed for {moved} of {known} {assumptions} that we varied."] * bool(known)
    if rest := len(clear) - known:
        tested = f"{'was' if rest == 1 else 'were'} tested with only one seed, which cannot tell an effect from chance"
        sentences.append(f"{rest} of {len(clear)} varied assumptions {tested}.")
    return " ".join(sentences)
