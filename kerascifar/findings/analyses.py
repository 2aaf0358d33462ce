"""All analyses other than the verdicts, in one list that the page, README and the command line use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    focus_means,
    maps_compared,
    search,
    sensitivity,
    verdicts,
)
from kerascifar.findings.rule import Decision
from kerascifar.runs import original
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd


def _nothing(records: Sequence[Record], table: "pd.DataFrame") -> str:
    return ""


@dataclass(frozen=True)
class Analysis:
    """A table made from records.

    Attributes:
        name: of its files, such as "sensitivity-compared".
        title: its heading.
        table: makes it; empty if the records have nothing for it.
        note: explains the table, in Markdown.
        summary: says what the table shows, given the records and the table.
        of_one_study: whether it compares rows, so that it has nothing to show while some still have earlier results.
        in_results: whether `docs/results/` has its table.
        details: whether `findings --details` shows it: its columns, or only its summary if this is empty.
    """

    name: str
    title: str
    table: "Callable[[Sequence[Record]], pd.DataFrame]"
    note: str = ""
    summary: "Callable[[Sequence[Record], pd.DataFrame], str]" = _nothing
    of_one_study: bool = False
    in_results: bool = True
    details: Sequence[str] | None = None


@dataclass(frozen=True)
class Result:
    """An analysis of some records."""

    analysis: Analysis
    table: "pd.DataFrame"
    summary: str

    @property
    def name(self) -> str:
        return self.analysis.name

    @property
    def title(self) -> str:
        return self.analysis.title

    @property
    def note(self) -> str:
        return self.analysis.note

    @property
    def text(self) -> str:
        """The summary, then the note."""
        return "\n\n".join(filter(None, (self.summary, self.note)))


ANALYSES = (
    Analysis("agreement", "Agreement with the original", agreement.table, agreement.NOTE, in_results=False),
    Analysis("changes", "The effect of each change", changes.table, changes.NOTE, changes.summary),
    Analysis("choices-compared", choices.TITLE, choices.table, choices.NOTE),
    Analysis("readings", "How to read the original's tables", choices.readings, choices.READINGS_NOTE),
    Analysis("sensitivity-compared", "Sensitivity", sensitivity.table, sensitivity.NOTE, sensitivity.summary),
    Analysis("cost", "Accuracy and cost", cost.table, cost.NOTE, cost.summary),
    Analysis("ablation-steps", "From Model4 to Best", ablation.table, ablation.NOTE, ablation.summary),
    Analysis("search-ranked", "The search for Best", search.table, search.NOTE, search.summary),
    Analysis("focus", "Where the models look, measured", focus_means.table, focus_means.NOTE),
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
        maps_compared.rank_correlations,
        maps_compared.AGREE_NOTE,
        maps_compared.rank_summary,
    ),
    Analysis(
        "classes",
        "Where the models look, by class",
        faithfulness.by_class,
        faithfulness.BY_CLASS,
        in_results=False,
        details=("class", "measure", "M6", "Model4", "difference", "by a spot"),
    ),
    Analysis(
        "causes",
        "The numbers behind the verdicts",
        causes.table,
        causes.NOTE,
        causes.summary,
        of_one_study=True,
        in_results=False,
        details=(),
    ),
    Analysis(
        "clean-images",
        "Test accuracy on clean images",
        clean_images.table,
        summary=clean_images.summary,
        in_results=False,
        details=(),
    ),
)


class Findings:
    """What some records show: verdicts and analyses, each made only when it is first asked for.

    Args:
        records: the runs.
    """

    def __init__(self, records: Sequence[Record]):
        self.records = records
        self._results: dict[str, Result | None] = {}

    @cached_property
    def decisions(self) -> list[Decision]:
        """On the original's claims."""
        return verdicts.of_original(self.records)

    def get(self, name: str) -> Result | None:
        """The analysis with this name; None if it has nothing to show."""
        if name not in self._results:
            (analysis,) = (each for each in ANALYSES if each.name == name)
            self._results[name] = self._made(analysis)
        return self._results[name]

    def _made(self, analysis: Analysis) -> Result | None:
        if analysis.of_one_study and original.outdated(self.records):
            return None
        table = analysis.table(self.records)
        return Result(analysis, table, analysis.summary(self.records, table)) if len(table) else None

    def summary(self, name: str) -> str:
        """What the analysis with this name shows; empty if it has nothing to show."""
        result = self.get(name)
        return result.summary if result else ""

    def all(self, wanted: Callable[[Analysis], bool] = lambda analysis: True) -> list[Result]:
        """The wanted analyses that have something to show."""
        made = [self.get(analysis.name) for analysis in ANALYSES if wanted(analysis)]
        return [result for result in made if result]
