"""Do our runs agree with the original? Its accuracies and epochs for each row, beside ours.

A reported figure agrees if it lies in the 95 % prediction interval of one more run like ours. With fewer than three
runs of a row there is no interval, so agreement is unknown.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerascifar.findings.statistics import mean_and_sd, prediction_interval
from kerascifar.runs import original, rows_in_words
from kerascifar.runs.grouping import by_row
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

AGREES, DIFFERS, UNKNOWN = "yes", "no", "unknown"
TEST_ACCURACY, TRAINING_ACCURACY, EPOCHS = "test accuracy", "training accuracy", "epochs"
METRICS = {TEST_ACCURACY: "test_acc", TRAINING_ACCURACY: "train_acc", EPOCHS: "epochs"}  # the original's columns
COLUMNS = ("metric", "row", "n", "original", "here", "sd", "difference", "95 % ±", "agrees")
NOTE = (
    "Accuracies are in percent, at the kept epoch; epochs are counted until early stopping. ± is the half-width of the "
    "95 % prediction interval for one further run with a different seed. The original reports one run of each row."
)


def beside_original(runs: Sequence[Record], metric: str = TEST_ACCURACY) -> dict[str, Any]:
    """The runs of one row beside the original's figure, by a metric of `METRICS`.

    Keys: n (runs), original (NaN if the row or its settings are not the original's), here (the runs' mean), sd,
    difference (here − original), "95 % ±" (NaN for fewer than three runs), low and high (the ends of that interval),
    agrees ("yes", "no", "unknown"), and seeds (the single runs).
    """
    line = None if any(run.shortened for run in runs) else original.comparable(runs[0])
    reported = float(line[METRICS[metric]]) if line else math.nan
    values = [original.figures(run)[METRICS[metric]] for run in runs]
    (here, sd), half = mean_and_sd(values), prediction_interval(values)
    unknown = math.isnan(reported + half)
    return {
        "n": len(values),
        "original": reported,
        "here": here,
        "sd": sd,
        "difference": here - reported,
        "95 % ±": half,
        "low": here - half,
        "high": here + half,
        "agrees": UNKNOWN if unknown else AGREES if abs(here - reported) <= half else DIFFERS,
        "seeds": values,
    }


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per metric and row of the original that has full runs with the original's settings.

    Columns: metric, row, and the keys of `beside_original` without low, high and seeds.
    """
    import pandas as pd

    counted = by_row(run for run in records if original.comparable(run) and not run.shortened)
    lines = [
        {"metric": metric, "row": name} | beside_original(runs, metric)
        for metric in METRICS
        for (_, name), runs in counted.items()
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def rows(shown: Sequence[Record], metric: str = TEST_ACCURACY) -> "pd.DataFrame":
    """One line per row, by a metric of `METRICS`.

    Columns: experiment, row, settings (in words), and the keys of `beside_original`.
    """
    import pandas as pd

    return pd.DataFrame(
        {"experiment": experiment, "row": name, "settings": rows_in_words.described(runs[0].row)}
        | beside_original(runs, metric)
        for (experiment, name), runs in by_row(shown).items()
    )


def conclusion(table: "pd.DataFrame", metric: str = TEST_ACCURACY) -> str:
    """What the table of this metric shows, in one or two sentences."""
    compared, known = table[table["original"].notna()], table[table["agrees"] != UNKNOWN]
    if not len(compared):
        return (
            "No row can be compared with the original: it has no rows like these, or these runs are shortened trials."
        )
    judged = known if len(known) else compared
    far = judged.loc[judged["difference"].abs().idxmax()]
    more, size = far["difference"] > 0, abs(far["difference"])
    in_points = f"{size:.1f} points {'higher' if more else 'lower'}"
    in_epochs = f"{size:.0f} epochs {'more' if more else 'fewer'}"
    which = "Of these, " if len(known) > 1 else ""
    most = " differs most" * (len(judged) > 1)
    largest = f"{which}{far['row']}{most}: {in_epochs if metric == EPOCHS else in_points} here."
    if not len(known):
        return largest
    inside = int((known["agrees"] == AGREES).sum())
    of_rows = "1 row" if len(known) == 1 else f"{len(known)} rows"
    what = "number of epochs" if metric == EPOCHS else metric
    return f"The original's {what} lies inside the 95 % prediction interval in {inside} of {of_rows}. {largest}"
