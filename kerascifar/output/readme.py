"""Published records → the generated parts of README and of pages in `docs/`, and all of `docs/results/`."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascifar.common import drawing, files, terminal
from kerascifar.common.paths import CHECKOUT
from kerascifar.findings import analyses, claims, rule, verdicts
from kerascifar.output import answer, report, result_tables, tables
from kerascifar.runs import grouping, original, records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"
RESULTS = DOCS / "results"
SUBSET = ("M2", "M4")  # the rows that README suggests to train first
VERDICTS = (
    "Each verdict follows from a written [rule](../statistics.md). The numbers behind it: "
    "`kerascifar findings --details`, or the page of `make report`."
)
INTRODUCTION = (
    "Every number here is read from the records in `experiments/results/`, which also hold each run's history, its "
    "predictions (unless it is a candidate), and some runs' weights. Training curves, architecture diagrams and the "
    "tables as CSV are in this folder. Do not edit it: `kerascifar publish` writes it, and `kerascifar report` its "
    "tables."
)
SHOWN = ("accuracy.png", "augmentation.png", "classes.png", "confusion-*.png")


def subset(published: Sequence[records.Record]) -> str:
    """README's shortest real experiment; empty unless both of its rows are published.

    It has duration and result if the published runs have the rows' present settings.
    """
    line = {name: [r for r in published if r.name == name and r.experiment == "experiment1"] for name in SUBSET}
    if not all(line.values()):
        return ""
    expected = " in a few minutes"
    if not original.outdated(r for runs in line.values() for r in runs):
        minutes = sum(np.mean([r.duration for r in runs]) for runs in line.values()) / 60
        where = grouping.machines(line[SUBSET[0]])
        expected = f", in about {minutes:.0f} minutes ({where}). In our runs, the test accuracy was "
        accuracies = {name: terminal.spanned([r.accuracy() for r in runs]) for name, runs in line.items()}
        expected += " and ".join(f"{accuracy} % for {name}" for name, accuracy in accuracies.items())
    return (
        f'```sh\nmake experiment1 ROWS="{" ".join(SUBSET)}"\n```\n\n'
        f"This downloads CIFAR-10 (170 MB) once and trains two rows that differ only in their learning rate{expected}. "
        "If you stop it, the same command resumes it.\n"
    )


def times(published: Sequence[records.Record]) -> str:
    """How long one seed of each of the original's experiments took, and where, in one sentence."""
    parts = []
    for experiment, title in report.TITLES.items():
        runs = [r for r in published if r.experiment == experiment]
        of_rows = [[r.duration for r in of_row] for of_row in grouping.by_row(runs).values()]
        hours = sum(map(np.mean, of_rows)) / 3600
        parts += [f"{title} took {hours:.1f} hours ({grouping.machines(runs)})"] if runs else []
    return f"With one seed, {' and '.join(parts)}.\n" if parts else ""


def rows(published: Sequence[records.Record]) -> str:
    """README's table of the original's rows, as Markdown; empty while nothing is published."""
    runs = [r for r in published if original.row_of(r)]
    if not runs:
        return ""
    return "\n".join(
        filter(None, (tables.plain_markdown(result_tables.narrow([], runs)) + "\n", _earlier(runs, "docs/")))
    )


def _earlier(runs: Sequence[records.Record], folder: str) -> str:
    """Names the rows with results of the first study, with a link to the page in `folder`; empty if there are none."""
    if not (outdated := original.outdated(runs)):
        return ""
    return (
        f"Results of {terminal.listed(outdated)} are still from the first study, which used Keras's defaults "
        f"([why there are two studies]({folder}second-study.md)).\n"
    )


def results(found: analyses.Findings) -> str:
    """The page of all result tables, `docs/results/README.md`, as Markdown."""
    parts, published = ["# Results", INTRODUCTION], found.records
    if published:
        parts.append(_earlier(published, "../").strip())
        decisions, note = found.decisions, claims.read().note
        shown = verdicts.by_claim(decisions)
        shown = shown.rename(columns={"words": "the original says"}).drop(columns="comparisons")
        parts += ["## Verdicts on the claims", tables.plain_markdown(shown), f"{VERDICTS} {note}".strip()]
        parts += ["\n".join(f"- {d.claim.name}: {d.claim.note}" for d in decisions if d.claim.note)]
        parts.append(found.summary("causes"))
    if result := found.get("agreement"):
        parts += [f"## {result.title}", tables.plain_markdown(result.table), result.note]
    for experiment, table, notes in report.results([], published):
        if experiment in report.TITLES:
            whole = result_tables.readable(table, whole=True)
            parts += [f"## {report.TITLES[experiment]}", tables.plain_markdown(whole), *notes]
    for result in found.all(lambda analysis: analysis.in_results):
        parts += [f"## {result.title}", result.summary, tables.plain_markdown(result.table), result.note]
    drawn = [path for name in SHOWN for path in sorted(RESULTS.glob(name))]
    parts += ["## Figures"] if drawn else []
    parts += [f"![{path.stem}]({path.name})" for path in drawn]
    headings = [part[3:] for part in parts if part.startswith("## ")]
    parts.insert(2, " · ".join(f"[{heading}](#{_anchor(heading)})" for heading in headings))
    return "\n\n".join(filter(None, parts)) + "\n"


def _anchor(heading: str) -> str:
    """The address that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def write_tables(published: Sequence[records.Record]) -> list[Path]:
    """Writes the tables in `docs/results/` and the generated parts of README and docs; returns the paths written."""
    written = report.write_tables([], published, RESULTS)
    found = analyses.Findings(published)
    for result in found.all(lambda analysis: analysis.in_results):
        tables.save(result.table, RESULTS / result.name, result.title, [result.text])
        written += [RESULTS / f"{result.name}.csv", RESULTS / f"{result.name}.md"]
    files.write_text(RESULTS / "README.md", results(found))
    written.append(RESULTS / "README.md")
    filled = [path for path, name, text in parts(found) if files.fill(path, name, text)]
    return list(dict.fromkeys(written + filled))


def parts(found: analyses.Findings) -> list[tuple[Path, str, str]]:
    """The generated parts of hand-written pages: the page, the part's name in its two marks, and its text."""
    published = found.records
    return [
        (README, "findings", answer.findings(found)),
        (README, "subset", subset(published)),
        (README, "rows", rows(published)),
        (README, "times", times([r for r in published if r.experiment in records.ORIGINALS])),
        (DOCS / "statistics.md", "rule", f"{rule.RULE}\n"),
    ]


def write(published: Sequence[records.Record], focus: Callable[[records.Record], "Figure"]) -> list[Path]:
    """Writes tables, figures and the generated parts of pages; returns the paths written.

    Args:
        published: records, as returned by `grouping.current`.
        focus: draws a run's focus maps for the ten classes.
    """
    written = report.write_figures(report.shown([], published), RESULTS)
    for runs in grouping.explained(r for r in published if records.has_weights(r)):
        first = min(runs, key=lambda run: run.seed)
        path = RESULTS / f"focus-{first.name}.png"
        drawing.save(partial(focus, first), path)
        written.append(path)
    return [*written, *write_tables(published)]
