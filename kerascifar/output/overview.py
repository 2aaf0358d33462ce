"""Each row beside the original: a table, and what it shows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerascifar.findings import ablation, agreement, sensitivity
from kerascifar.runs import rows_in_words
from kerascifar.runs.records import Record, by_row

if TYPE_CHECKING:
    import pandas as pd


def pool(own: Sequence[Record], published: Sequence[Record]) -> list[Record]:
    """The runs that the output is about: the user's, or the published ones if the user has none but candidates."""
    return list(published if all(r.is_candidate for r in own) else own)


def shown(own: Sequence[Record], published: Sequence[Record]) -> list[Record]:
    """The runs of `pool` without candidates."""
    return [r for r in pool(own, published) if not r.is_candidate]


def main_rows(shown: Sequence[Record]) -> list[Record]:
    """The runs without sensitivity and ablation rows, which would crowd out the rest; all, if there are no others."""
    return [r for r in shown if r.experiment not in (sensitivity.EXPERIMENT, ablation.EXPERIMENT)] or list(shown)


def table(shown: Sequence[Record], metric: str = agreement.TEST_ACCURACY) -> "pd.DataFrame":
    """One line per row, by a metric of `agreement.METRICS`.

    Columns: experiment, row, settings (in words), and the keys of `agreement.beside_original`.
    """
    import pandas as pd

    return pd.DataFrame(
        {"experiment": experiment, "row": name, "settings": rows_in_words.described(runs[0].row)}
        | agreement.beside_original(runs, metric)
        for (experiment, name), runs in by_row(shown).items()
    )


def conclusion(table: "pd.DataFrame", metric: str = agreement.TEST_ACCURACY) -> str:
    """What the table of this metric shows, in one or two sentences."""
    compared, known = table[table["original"].notna()], table[table["agrees"] != agreement.UNKNOWN]
    if not len(compared):
        return "No row can be compared with the original: it has none like them, or these runs are shortened trials."
    judged = known if len(known) else compared
    far = judged.loc[judged["difference"].abs().idxmax()]
    more, size = far["difference"] > 0, abs(far["difference"])
    in_points = f"{size:.1f} points {'higher' if more else 'lower'}"
    in_epochs = f"{size:.0f} epochs {'more' if more else 'fewer'}"
    which = "Of these, " if len(known) > 1 else ""
    most = " differs most" * (len(judged) > 1)
    largest = f"{which}{far['row']}{most}: {in_epochs if metric == agreement.EPOCHS else in_points} here."
    if not len(known):
        return largest
    inside = int((known["agrees"] == agreement.AGREES).sum())
    rows = "1 row" if len(known) == 1 else f"{len(known)} rows"
    what = "number of epochs" if metric == agreement.EPOCHS else metric
    return f"The original's {what} lies inside the 95 % prediction interval in {inside} of {rows}. {largest}"
