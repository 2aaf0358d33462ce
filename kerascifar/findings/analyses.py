"""All analyses other than the verdicts, in one list that the page, README and the command line use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kerascifar.findings import (
    ablation,
    agreement,
    causes,
    changes,
    choices,
    clean_images,
    cost,
    faithfulness,
    maps_compared,
    measured,
    search,
    sensitivity,
    verdicts,
)
from kerascifar.runs import original
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd


def _nothing(records: Sequence[Record], table: "pd.DataFrame") -> str:
    return ""


def _of_one_study(records: Sequence[Record]) -> Sequence[Record]:
    """The records; none while some rows still have results of an earlier study, with which no row can be compared."""
    return [] if original.outdated(records) else records


@dataclass(frozen=True)
class Analysis:
    """A table made from records.

    Attributes:
        name: of its files, such as "sensitivity-compared".
        title: its heading.
        table: makes it; empty if the records have nothing for it.
        note: explains the table, in Markdown.
        summary: says what the table shows, given the records and the table.
    """

    name: str
    title: str
    table: "Callable[[Sequence[Record]], pd.DataFrame]"
    note: str = ""
    summary: "Callable[[Sequence[Record], pd.DataFrame], str]" = _nothing


@dataclass(frozen=True)
class Result:
    """An analysis of some records."""

    name: str
    title: str
    table: "pd.DataFrame"
    note: str
    summary: str

    @property
    def text(self) -> str:
        """The summary, then the note."""
        return "\n\n".join(filter(None, (self.summary, self.note)))


ANALYSES = (
    Analysis("agreement", "Agreement with the original", agreement.table, agreement.NOTE),
    Analysis("changes", "The effect of each change", changes.table, changes.NOTE, changes.summary),
    Analysis("choices-compared", choices.TITLE, choices.table, choices.NOTE),
    Analysis("readings", "How to read the original's tables", choices.readings, choices.READINGS_NOTE),
    Analysis("sensitivity-compared", "Sensitivity", sensitivity.table, sensitivity.NOTE, sensitivity.summary),
    Analysis("cost", "Accuracy and cost", cost.table, cost.NOTE, cost.summary),
    Analysis("ablation-steps", "From Model4 to Best", ablation.table, ablation.NOTE, ablation.summary),
    Analysis("search-ranked", "The search for Best", search.table, search.NOTE, search.summary),
    Analysis("focus", "Where the models look, measured", measured.table, measured.NOTE),
    Analysis(
        "centred",
        "Compared with the centred spot",
        faithfulness.against_centred,
        faithfulness.AGAINST_CENTRED,
        faithfulness.summary,
    ),
    Analysis("maps-compared", "Kinds of map compared", maps_compared.table, maps_compared.NOTE, maps_compared.summary),
    Analysis(
        "measures-agree",
        "Do the measures agree?",
        maps_compared.agreement,
        maps_compared.AGREE_NOTE,
        maps_compared.conclusion,
    ),
    Analysis("classes", "Where the models look, by class", faithfulness.by_class, faithfulness.BY_CLASS),
    Analysis(
        "causes",
        "The numbers behind the verdicts",
        lambda records: causes.table(_of_one_study(records)),
        causes.NOTE,
        causes.summary,
    ),
    Analysis(
        "clean-images",
        "Test accuracy on clean images",
        clean_images.table,
        summary=clean_images.summary,
    ),
)


def results(records: Sequence[Record], *names: str) -> list[Result]:
    """The analyses with these names, or all of them, that have something to show for these records."""
    shown = []
    for analysis in ANALYSES:
        if not names or analysis.name in names:
            table = analysis.table(records)
            if len(table):
                summary = analysis.summary(records, table)
                shown.append(Result(analysis.name, analysis.title, table, analysis.note, summary))
    return shown


@dataclass(frozen=True)
class Findings:
    """What some records show.

    Attributes:
        verdicts: of the original's claims, as `verdicts.table` returns them.
        results: by name, the analyses that have something to show.
    """

    verdicts: "pd.DataFrame"
    results: dict[str, Result]

    def only(self, names: Sequence[str]) -> list[Result]:
        """The results with these names."""
        return [result for name, result in self.results.items() if name in names]


def findings(records: Sequence[Record], *names: str) -> Findings:
    """The verdicts on the original's claims, and the analyses with these names."""
    return Findings(verdicts.of_original(records), {result.name: result for result in results(records, *names)})
