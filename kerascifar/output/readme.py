"""Published records → the generated parts of README and of pages in `docs/`, and all of `docs/results/`."""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascifar.common import drawing, files, terminal
from kerascifar.common.paths import CHECKOUT
from kerascifar.findings import agreement, analyses, claims, compare, faithfulness
from kerascifar.focus import methods
from kerascifar.output import overview, report, tables
from kerascifar.runs import original, records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"
RESULTS = DOCS / "results"
# The choices whose effect README shows: the row without, the row with it, and its words.
EFFECTS = (
    ("M1", "M5", "augmentation"),
    ("M5", "M6", "a batch size of 512 instead of 256"),
    ("M7", "M6", "Adam instead of RMSprop"),
    ("M8", "M6", "Adam instead of SGD"),
    ("M4", "M1", "a learning rate of 0.001 instead of 0.01"),
    ("M6", "Model4", "Model4 instead of M6"),
    ("Model2", "Model3", "removing all BatchNormalization"),
    ("Model4", "Model5", "removing Dropout"),
)
SUBSET = ("M2", "M4")  # the rows that README suggests to train first
VERDICTS = (
    "Each verdict follows from a written [rule](../statistics.md). The numbers behind it: "
    "`kerascifar findings --details`, or the page of `make report`."
)
INTRODUCTION = (
    "Every number here is read from the records in `experiments/results/`, which also hold each run's history, its "
    "predictions (unless it is a candidate), and some runs' weights. Training curves, architecture diagrams and the "
    "tables as CSV are in this folder. Do not edit it: `kerascifar publish` and `kerascifar report` write it."
)
ELSEWHERE = ("agreement", "causes", "classes", "clean-images")  # analyses that have no table of their own here
COMPARISONS = tuple(analysis.name for analysis in analyses.ANALYSES if analysis.name not in ELSEWHERE)
SHOWN = ("accuracy.png", "augmentation.png", "classes.png", "confusion-*.png")


def findings(published: Sequence[records.Record]) -> str:
    """README's answer to "What came out?": some bullets and a figure, as Markdown; empty while nothing is published."""
    runs = [r for r in published if original.row_of(r)]
    if not runs:
        return ""
    bullets = (
        _agreement(runs),
        _best(runs),
        _effects(runs),
        _verdicts(published),
        _focus(published),
        _next(published),
    )
    hours = sum(r.duration for r in runs) / 3600
    return (
        "\n".join(f"- {bullet}" for bullet in bullets if bullet)
        + "\n\n![Accuracies and epochs of each row, original and here](docs/results/accuracy.png)\n\n"
        + f"*{overview.conclusion(overview.table(runs))} The original trained each of its thirteen rows once; here, "
        + f"{len(runs)} runs took {hours:.0f} hours.*\n"
    )


def _agreement(runs: Sequence[records.Record]) -> str:
    table = agreement.table(runs)
    known = table[table["agrees"] != agreement.UNKNOWN]
    accuracy, training, epochs = (known[known["metric"] == metric] for metric in agreement.METRICS)
    agreeing, *others = ((lines["agrees"] == agreement.AGREES).sum() for lines in (accuracy, training, epochs))
    other = accuracy[accuracy["agrees"] == agreement.DIFFERS]
    differing = ", ".join(f"{row} ({d:+.1f} points)" for row, d in zip(other["row"], other["difference"], strict=True))
    unknown = [row for row in table["row"].unique() if row not in set(known["row"])]
    if not len(accuracy):
        return f"**There are too few runs to compare {terminal.listed(unknown)} with the original.**"
    half = accuracy["95 % ±"]
    width = f" (± {half.min():.1f} to {half.max():.1f} points, by row)" if len(half) > 1 else ""
    return (
        f"**In {agreeing} of {len(accuracy)} rows with enough runs, the original's test accuracy could be that of one "
        f"more run here**: it lies in the 95 % prediction interval{width}. "
        + (f"Different: {differing}. " if differing else "")
        + f"The same holds for the original's training accuracy in {others[0]} of {len(training)} rows, and for its "
        f"number of epochs in {others[1]}. Settings that it leaves open were [chosen](docs/second-study.md) to match "
        "its training and validation figures, so some agreement is expected."
        + (f" There are too few runs to judge {terminal.listed(unknown)}." if unknown else "")
    )


def _best(runs: Sequence[records.Record]) -> str:
    table = tables.results([], runs)
    here = table[table["source"] == "published"]
    ours = here.loc[here["Valid_acc"].idxmax()]
    theirs = max(original.rows().values(), key=lambda line: float(line["valid_acc"]))
    same = here[here["row"] == theirs["row"]]

    def accuracy(line: "pd.Series") -> str:
        spread = "" if math.isnan(line["Test_acc sd"]) else f" ± {line['Test_acc sd']:.2f}"
        return f"{line['Test_acc']:.2f}{spread} % (n = {line['n']:.0f})"

    text = f"**The original's best model is {theirs['row']}, with {float(theirs['test_acc']):.2f} % test accuracy.** "

    def is_unclear(row: str) -> bool:
        line = _compared(runs, row, ours["row"])
        return line is None or line["pairs"] < claims.FEWEST or line["low"] <= 0 <= line["high"]

    others = here[here["row"] != ours["row"]].sort_values("Valid_acc", ascending=False, kind="stable")
    beside = [line for place, (_, line) in enumerate(others.iterrows()) if not place or line["row"] == theirs["row"]]
    near = {line["row"]: f"{line['row']}, with {accuracy(line)}" for line in beside if is_unclear(line["row"])}
    but = f", but cannot be told apart from {terminal.listed(list(near.values()))}" if near else ""
    if ours["row"] == theirs["row"]:
        text += f"It also has the highest validation accuracy here, and a test accuracy of {accuracy(ours)}{but}."
        return text + " These runs are from the first study." * (ours["row"] in original.outdated(runs))
    is_apart = len(same) and theirs["row"] not in near
    rest = f"; {theirs['row']}'s is clearly different: {accuracy(same.iloc[0])}" if is_apart else ""
    return (
        f"{text}Here, {ours['row']} has the highest validation accuracy, and a test accuracy of {accuracy(ours)}"
        f"{but}{rest}."
    )


def _compared(runs: Sequence[records.Record], base: str, changed: str) -> "pd.Series | None":
    """How a row's test accuracy differs from another's, in points; None unless they have a seed in common."""
    groups = {name: [r for r in runs if r.name == name] for name in (base, changed)}
    if not all(groups.values()):
        return None
    line = compare.table(groups).iloc[1]
    return None if math.isnan(line["difference"]) else line


def _effects(runs: Sequence[records.Record]) -> str:
    """The effect of each of `EFFECTS` on the test accuracy, by whether it agrees with the original's."""
    same: list[str] = []
    opposite: list[str] = []
    unclear: list[str] = []
    few: list[str] = []
    outdated = {*original.outdated(runs)}
    for base, changed, words in EFFECTS:
        line = _compared(runs, base, changed)
        if line is None:
            continue
        effect, half, pairs = line["difference"], line["high"] - line["difference"], line["pairs"]
        reported = float(original.rows()[changed]["test_acc"]) - float(original.rows()[base]["test_acc"])
        sign = ", the opposite sign" if round(effect, 1) * round(reported, 1) < 0 else ""
        if pairs < claims.FEWEST:
            seeds = "1 seed" if pairs == 1 else f"{pairs:.0f} seeds"
            seeds += " of the first study" * bool({base, changed} & outdated)
            few.append(f"{words} {effect:+z.1f} with {seeds} ({reported:+z.1f}{sign})")
            continue
        kind = unclear if abs(effect) <= half else same if effect * reported > 0 else opposite
        kind.append(f"{words} {effect:+z.1f} ± {half:.1f} ({reported:+z.1f}{sign if kind is unclear else ''})")
    if not (changes := same + opposite + unclear + few):
        return ""
    return (
        f"**{len(same)} of {len(changes)} changes to a model or its training clearly move test "
        "accuracy in the same direction as in the original.** Each difference is in points, with its 95 % interval, "
        "not adjusted for the number of changes; the original's difference is in brackets: "
        + "; ".join(same or ["none"])
        + (f". **The opposite effect:** {'; '.join(opposite)}" if opposite else "")
        + (f". Not clear: {'; '.join(unclear)}" if unclear else "")
        + (f". Too few runs: {'; '.join(few)}" if few else "")
        + "."
    )


def _verdicts(published: Sequence[records.Record]) -> str:
    """How many claims have each verdict; then the claims themselves in a few words, or only named while they wait."""
    lines = claims.table(published, claims.read()).drop_duplicates("claim")
    groups = {verdict: lines[lines["verdict"] == verdict] for verdict in claims.counts(lines)}
    counts = terminal.listed([f"{len(group)} {verdict}" for verdict, group in groups.items()])
    rule = "by a written [rule](docs/statistics.md)"
    sentences = [f"**The original's {len(lines)} claims: {counts}**, {rule}."]
    for verdict, group in groups.items():
        if verdict != claims.PENDING:
            named = "; ".join(f"{words} ({name})" for name, words in zip(group["claim"], group["words"], strict=True))
            sentences.append(f"{verdict.capitalize()}: {named}.")
    if claims.PENDING in groups:
        names, plan = ", ".join(groups[claims.PENDING]["claim"]), "[plan](docs/second-study.md)"
        sentences.append(f"Pending, until all of their runs are trained and measured: {names} ({plan}).")
    return " ".join(sentences)


def _focus(published: Sequence[records.Record]) -> str:
    table = faithfulness.against_centred(published)
    if not len(table):
        return ""
    answers, outdated = [], {*original.outdated(published)}
    for line in table[table["map"] == methods.title("gradcam")].to_dict("records"):
        better, worse = map(len, faithfulness.compared_with_spot(line))
        runs = f"{line['n']} run{'s' * (line['n'] > 1)}{' of the first study' * (line['row'] in outdated)}"
        answer = "yes" if not worse and better else "mostly" if better > worse else "no"
        of = f"better on {better} of {len(faithfulness.FAITHFUL)} measures, worse on {worse}"
        answers.append(f"For {line['row']}, {answer}: {of} ({runs}).")
    return (
        "**Is a Grad-CAM map more faithful than a spot in the middle of every image, which knows nothing about the "
        f"model? {' '.join(answers)}** Where the spot is better, a map does not show what the prediction depends on "
        "([when to trust one](docs/gradcam.md))."
    )


def _next(published: Sequence[records.Record]) -> str:
    found = {result.name: result.summary for result in analyses.results(published, "cost", "search-ranked")}
    return f"**What next?** {' '.join(filter(None, found.values()))}" if found.get("cost") else ""


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
        accuracies = [np.mean([r.accuracy() for r in runs]) for runs in line.values()]
        where = records.machines(line[SUBSET[0]])
        expected = f", in about {minutes:.0f} minutes ({where}). Expect a test accuracy of about "
        expected += " and ".join(f"{a:.0f} % for {name}" for name, a in zip(SUBSET, accuracies, strict=True))
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
        of_rows = [[r.duration for r in of_row] for of_row in records.by_row(runs).values()]
        hours = sum(map(np.mean, of_rows)) / 3600
        parts += [f"{title} took {hours:.1f} hours ({records.machines(runs)})"] if runs else []
    return f"With one seed, {' and '.join(parts)}.\n" if parts else ""


def rows(published: Sequence[records.Record]) -> str:
    """README's table of the original's rows, as Markdown; empty while nothing is published."""
    runs = [r for r in published if original.row_of(r)]
    if not runs:
        return ""
    return "\n".join(filter(None, (tables.plain_markdown(tables.narrow([], runs)) + "\n", _earlier(runs, "docs/"))))


def _earlier(runs: Sequence[records.Record], folder: str) -> str:
    """Names the rows with results of the first study, with a link to the page in `folder`; empty if there are none."""
    if not (outdated := original.outdated(runs)):
        return ""
    return (
        f"Results of {terminal.listed(outdated)} are still from the first study, which used Keras's defaults "
        f"([why there are two studies]({folder}second-study.md)).\n"
    )


def results(published: Sequence[records.Record], compared: Sequence[analyses.Result]) -> str:
    """The page of all result tables, `docs/results/README.md`, as Markdown; `compared` are those of `COMPARISONS`."""
    parts = ["# Results", INTRODUCTION]
    if published:
        declared = claims.read()
        parts.append(_earlier(published, "../").strip())
        lines = claims.table(published, declared)
        verdicts = claims.verdicts(lines)
        shown = verdicts.rename(columns={"words": "the original says"}).drop(columns="comparisons")
        parts += ["## Verdicts on the claims", tables.plain_markdown(shown), f"{VERDICTS} {declared.note}".strip()]
        notes = lines.drop_duplicates("claim").set_index("claim")["note"]
        parts += ["\n".join(f"- {claim}: {note}" for claim, note in notes.items() if note)]
        parts += [result.summary for result in analyses.results(published, "causes")]
    for result in analyses.results(published, "agreement"):
        parts += [f"## {result.title}", tables.plain_markdown(result.table), result.note]
    for experiment, table, notes in report.results([], published):
        if experiment in report.TITLES:
            whole = tables.readable(table, whole=True)
            parts += [f"## {report.TITLES[experiment]}", tables.plain_markdown(whole), *notes]
    for result in compared:
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
    compared = analyses.results(published, *COMPARISONS)
    for result in compared:
        tables.save(result.table, RESULTS / result.name, result.title, [result.text])
        written += [RESULTS / f"{result.name}.csv", RESULTS / f"{result.name}.md"]
    files.write_text(RESULTS / "README.md", results(published, compared))
    written.append(RESULTS / "README.md")
    filled = [path for path, name, text in parts(published) if files.fill(path, name, text)]
    return list(dict.fromkeys(written + filled))


def parts(published: Sequence[records.Record]) -> list[tuple[Path, str, str]]:
    """The generated parts of hand-written pages: the page, the part's name in its two marks, and its text."""
    return [
        (README, "findings", findings(published)),
        (README, "subset", subset(published)),
        (README, "rows", rows(published)),
        (README, "times", times([r for r in published if r.experiment in records.ORIGINALS])),
        (DOCS / "statistics.md", "rule", f"{claims.RULE}\n"),
    ]


def write(published: Sequence[records.Record], focus: Callable[[records.Record], "Figure"]) -> list[Path]:
    """Writes tables, figures and the generated parts of pages; returns the paths written.

    Args:
        published: records, as returned by `records.current`.
        focus: draws a run's focus maps for the ten classes.
    """
    written = report.write_figures(overview.shown([], published), RESULTS)
    for experiment, row in records.EXPLAINED:
        runs = [r for r in published if (r.experiment, r.name) == (experiment, row) and records.has_weights(r)]
        if runs:
            first = min(runs, key=lambda run: run.seed)
            drawing.save(partial(focus, first), RESULTS / f"focus-{row}.png")
            written.append(RESULTS / f"focus-{row}.png")
    return [*written, *write_tables(published)]
