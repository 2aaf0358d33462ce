"""The analyses that stand beside the verdicts, in one list: the page, README and the command line go through it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kerascifar.findings import causes, choices, claims, clean_images, sensitivity
from kerascifar.focus import measuring
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Analysis:
    """A table made from records.

    Attributes:
        name: of its files, such as "sensitivity-compared".
        title: its heading.
        table: makes it; empty if the records have nothing for it.
        note: explains the table, in Markdown; given the records and the table.
    """

    name: str
    title: str
    table: "Callable[[Sequence[Record]], pd.DataFrame]"
    note: "Callable[[Sequence[Record], pd.DataFrame], str]"


@dataclass(frozen=True)
class Result:
    """An analysis of some records."""

    name: str
    title: str
    table: "pd.DataFrame"
    note: str


ANALYSES = (
    Analysis("choices-compared", choices.TITLE, choices.table, lambda records, table: choices.NOTE),
    Analysis("sensitivity-compared", "Sensitivity", sensitivity.table, lambda records, table: sensitivity.NOTE),
    Analysis("focus", "Where the models look, measured", measuring.table, lambda records, table: measuring.NOTE),
    Analysis(
        "centred",
        "Compared with the centred spot",
        claims.against_centred,
        lambda records, table: f"{claims.faithful(records)}\n\n{claims.AGAINST_CENTRED}",
    ),
    Analysis("classes", "Where the models look, by class", claims.by_class, lambda records, table: claims.BY_CLASS),
    Analysis(
        "causes",
        "The numbers behind the verdicts",
        causes.table,
        lambda records, table: f"{causes.remark(table)}\n\n{causes.NOTE}".strip(),
    ),
    Analysis(
        "clean-images",
        "Test accuracy on clean images",
        clean_images.table,
        lambda records, table: clean_images.remark(table),
    ),
)


def results(records: Sequence[Record], *names: str) -> list[Result]:
    """The analyses with these names, or all of them, that have something to show for these records."""
    found = []
    for analysis in ANALYSES:
        if not names or analysis.name in names:
            table = analysis.table(records)
            if len(table):
                found.append(Result(analysis.name, analysis.title, table, analysis.note(records, table)))
    return found
