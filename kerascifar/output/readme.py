"""Published records → README's results, between two marks, and the tables and figures in `docs/results/`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.common import drawing, files
from kerascifar.common.paths import CHECKOUT
from kerascifar.findings import analyses, claims
from kerascifar.focus import measuring
from kerascifar.output import report, tables
from kerascifar.runs import records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

README = CHECKOUT / "README.md"
RESULTS = CHECKOUT / "docs" / "results"
START, END = "<!-- results -->\n", "<!-- /results -->"
VERDICTS = (
    "By a written rule (`kerascifar/findings/claims.py`), which decides nothing with fewer than six seeds. *So far*: "
    "where what is undecided points, from three seeds on; no verdict. The evidence: `python -m kerascifar findings`, "
    "or the page of `make report`."
)
LOOKING = (
    "Means over the test images; `random` and `centred` are maps that know nothing of the model. Higher is more "
    "faithful for road (chance is 0) and insertion, lower for deletion. Border compares maps of one row, not rows: "
    "Model4's last convolution has no cells at the image's edges. Likeness to the maps of random weights is what it is "
    "more than by chance. n: the models measured; maps of another n are of other models, too. What each measure is: "
    "`kerascifar/focus/measuring.py`."
)
COMPARISONS = ("choices-compared", "sensitivity-compared")  # analyses that stand beside the two experiments
SHOWN = ("validation.png", "augmentation.png", "classes.png", "confusion-*.png")


def results(published: Sequence[records.Record]) -> str:
    """README's results of the published runs, as Markdown; empty while there are none."""
    parts: list[str] = []
    if published:
        verdicts = claims.verdicts(claims.table(published, claims.read()))
        shown = verdicts.rename(columns={"words": "the report says"}).drop(columns="evidence")
        parts += ["### Which findings hold", tables.plain_markdown(shown), VERDICTS]
        parts += [result.summary for result in analyses.results(published, "causes") if result.summary]
    for experiment, title in report.TITLES.items():
        if runs := [r for r in published if r.experiment == experiment]:
            parts += [f"### {title}", tables.as_markdown(tables.results([], runs)), *tables.notes([], runs)]
    for result in analyses.results(published, *COMPARISONS):
        parts += [f"### {result.title}", tables.plain_markdown(result.table), result.note]
    if len(measured := measuring.table(published)):
        parts += ["### Where the models look, measured", tables.plain_markdown(measured), LOOKING]
        for result in analyses.results(published, "centred"):
            parts += [tables.plain_markdown(result.table), result.note, result.summary]
    drawn = [path for name in SHOWN for path in sorted(RESULTS.glob(name))]
    parts += [f"![{path.stem}](docs/results/{path.name})" for path in drawn]
    return "\n\n".join(parts) + "\n" if parts else ""


def write_tables(published: Sequence[records.Record]) -> list[Path]:
    """Writes the tables in `docs/results/` and README's results; returns the paths written."""
    written = report.write_tables([], published, RESULTS)
    for result in analyses.results(published, *COMPARISONS):
        tables.save_plain(result.table, RESULTS / result.name, result.title, [result.text])
        written += [RESULTS / f"{result.name}.csv", RESULTS / f"{result.name}.md"]
    page = README.read_text(encoding="utf-8")
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    updated = before + START + results(published) + END + after
    if start and end and updated != page:
        files.write_text(README, updated)
        written.append(README)
    return written


def write(published: Sequence[records.Record], focus: Callable[[records.Record], "Figure"]) -> list[Path]:
    """Writes tables, figures and README's results; returns the paths written.

    Args:
        published: records, as returned by `records.current`.
        focus: draws a run's focus maps for the ten classes.
    """
    written = report.write_figures(published, RESULTS)
    for experiment, row in report.EXPLAINED:
        for run in published:
            if (run.experiment, run.name, run.seed) == (experiment, row, 0):
                drawing.save(partial(focus, run), RESULTS / f"focus-{row}.png")
                written.append(RESULTS / f"focus-{row}.png")
    return [*written, *write_tables(published)]
