"""What does each choice of the original change? Its rows that differ in one thing, in pairs of runs with one seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerascifar.findings import metrics, statistics
from kerascifar.runs import original
from kerascifar.runs.grouping import by_name
from kerascifar.runs.records import ORIGINALS, Record

if TYPE_CHECKING:
    import pandas as pd

CHANGES = (  # the row without, the row with it, and its words
    ("M1", "M5", "augmentation"),
    ("M5", "M6", "a batch size of 512 instead of 256"),
    ("M7", "M6", "Adam instead of RMSprop"),
    ("M8", "M6", "Adam instead of SGD"),
    ("M4", "M1", "a learning rate of 0.001 instead of 0.01"),
    ("M6", "Model4", "Model4 instead of M6"),
    ("Model2", "Model3", "removing all BatchNormalization"),
    ("Model4", "Model5", "removing Dropout"),
)
SAME, OPPOSITE, UNCLEAR, UNKNOWN = "as in the original", "the opposite", "not clear", "unknown"
NOTE = (
    "Test accuracy in points: the row with the change minus the row without it, mean over n pairs of runs with the "
    "same seed. low … high is the 95 % interval, by Student's t over seeds and images, not adjusted for the number of "
    "changes; a single pair has none. The original's difference comes from a single pair. To compare it with ours, "
    "*one more pair* gives the half-width of the 95 % prediction interval for another pair of runs here; this needs at "
    "least three pairs."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per change whose two rows have a seed in common.

    Runs with other settings than the plan's, such as those of an earlier study, do not count.

    Columns: change (in words), with and without (the rows), n (pairs), difference (points), low and high (its 95 %
    interval; NaN for one pair), one more pair (half-width of its 95 % prediction interval; NaN for fewer than three),
    original (its difference), and effect: "as in the original", "the opposite", "not clear" or "unknown".
    """
    import pandas as pd

    outdated = original.outdated(records)
    runs = by_name(r for r in records if r.experiment in ORIGINALS and r.is_full and r.name not in outdated)
    lines = []
    for base, row, words in CHANGES:
        found = metrics.difference(runs.get(row, []), runs.get(base, []), "test_accuracy")
        if found is None:
            continue
        mean, (low, high) = found.estimate.mean, found.interval
        reported = metrics.reported(row, base, "test_accuracy")
        clear = SAME if mean * reported > 0 else OPPOSITE
        effect = {True: clear, False: UNCLEAR, None: UNKNOWN}[found.is_clear]
        line = {"change": words, "with": row, "without": base, "n": len(found.seeds)}
        line |= {"difference": mean, "low": low, "high": high}
        line["one more pair"] = statistics.prediction_interval(found.by_seed)
        lines.append(line | {"original": reported, "effect": effect})
    return pd.DataFrame(lines)


def conclusion(table: "pd.DataFrame") -> str:
    """How many changes have the original's effect, and how many of its differences fit; empty if none can be judged."""
    judged = table[table["effect"] != UNKNOWN]
    if not len(judged):
        return ""
    count = f"{(judged['effect'] == SAME).sum()} of {len(judged)} changes clearly move test accuracy"
    text = f"{count} in the same direction as in the original."
    known = judged[judged["one more pair"].notna()]
    if len(known):
        fits = int(((known["original"] - known["difference"]).abs() <= known["one more pair"]).sum())
        interval = "the 95 % prediction interval for one more pair of runs here"
        of = f"all {fits}" if fits == len(known) > 1 else f"{fits} of {len(known)}"
        text += f" For {of}, the original's difference lies in {interval}."
    return text


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """The conclusion, then the changes by their effect."""

    def listed(effect: str) -> str:
        lines = table[table["effect"] == effect]
        values = zip(lines["change"], lines["difference"], lines["high"], lines["original"], strict=True)
        return "; ".join(
            f"{words}: " + f"{by:+z.1f} ± {high - by:.1f} ({theirs:+z.1f})".replace("-", "−")
            for words, by, high, theirs in values
        )

    judged = set(table.loc[table["effect"] != UNKNOWN, "change"])
    trained = {r.name for r in records}
    waiting = [words for *rows, words in CHANGES if trained.intersection(rows) and words not in judged]
    parts = {
        "In points ± half the width of the 95 % interval, with the original's difference in brackets": listed(SAME),
        "Clearly in the opposite direction": listed(OPPOSITE),
        "Not clear": listed(UNCLEAR),
        "Not judged yet, for lack of runs": "; ".join(waiting),
    }
    sentences = [conclusion(table), *(f"{heading}: {text}." for heading, text in parts.items() if text)]
    return " ".join(filter(None, sentences))
