"""Published records → README's answer to "What came out?", as Markdown."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from kerascifar.common import terminal
from kerascifar.findings import agreement, analyses, claims, faithfulness, metrics
from kerascifar.focus import methods
from kerascifar.output import tables
from kerascifar.runs import original, records


def findings(published: Sequence[records.Record]) -> str:
    """Some bullets and a figure; empty while nothing is published."""
    runs = [r for r in published if original.row_of(r)]
    if not runs:
        return ""
    summaries = {result.name: result.summary for result in analyses.results(published, "cost", "search-ranked")}
    summaries |= {result.name: result.summary for result in analyses.results(runs, "changes")}
    bullets = (
        _agreement(runs),
        _best(runs),
        _in_bold(summaries.get("changes", "")),
        _verdicts(published),
        _focus(published),
        f"**What next?** {summaries['cost']} {summaries.get('search-ranked', '')}".strip()
        if "cost" in summaries
        else "",
    )
    hours = sum(r.duration for r in runs) / 3600
    return (
        "\n".join(f"- {bullet}" for bullet in bullets if bullet)
        + "\n\n![Accuracies and epochs of each row, original and here](docs/results/accuracy.png)\n\n"
        + f"*The original trained each of its thirteen rows once; here, {len(runs)} runs took {hours:.0f} hours.*\n"
    )


def _next(summaries: Mapping[str, str]) -> str:
    if not (cost := summaries.get("cost")):
        return ""
    return f"**What next?** {cost} {summaries.get('search-ranked', '')}".strip()


def _in_bold(text: str) -> str:
    """The text with its first sentence in bold."""
    first, _, rest = text.partition(". ")
    return f"**{first}.** {rest}" if rest else text


def _agreement(runs: Sequence[records.Record]) -> str:
    table = agreement.table(runs)
    known = table[table["agrees"] != agreement.UNKNOWN]
    accuracy, training, epochs = (known[known["metric"] == metric] for metric in agreement.METRICS)
    agreeing, *others = ((lines["agrees"] == agreement.AGREES).sum() for lines in (accuracy, training, epochs))
    other = accuracy[accuracy["agrees"] == agreement.DIFFERS]
    differing = ", ".join(f"{row} ({d:+.1f} points)" for row, d in zip(other["row"], other["difference"], strict=True))
    unknown = terminal.listed([row for row in table["row"].unique() if row not in set(known["row"])])
    if not len(accuracy):
        return f"**There are too few runs to compare {unknown} with the original.**"
    half = accuracy["95 % ±"]
    width = f" (± {half.min():.1f} to {half.max():.1f} points, by row)" if len(half) > 1 else ""
    return (
        f"**In {agreeing} of {len(accuracy)} rows, the original's test accuracy could be that of one more run here:** "
        f"it lies in the 95 % prediction interval{width}. "
        + (f"Different: {differing}. " if differing else "")
        + f"The same holds for its training accuracy in {others[0]} of these and its number of epochs in {others[1]}. "
        "Some agreement is expected, because settings that the original leaves open were "
        "[chosen](docs/second-study.md) to match its training and validation figures."
        + (f" Too few runs: {unknown}." if unknown else "")
    )


def _best(runs: Sequence[records.Record]) -> str:
    """The row with the highest validation accuracy, here and in the original, and which rows could be as good."""
    table = tables.results([], runs)
    here = table[table["source"] == "published"].sort_values("Valid_acc", ascending=False, kind="stable")
    best, *others = here.to_dict("records")
    theirs = max(original.rows().values(), key=lambda line: float(line["valid_acc"]))
    name, reported = theirs["row"], f"{float(theirs['test_acc']):.2f} % in the original"

    def accuracy(line: Mapping[Hashable, Any]) -> str:
        spread = "" if math.isnan(line["Test_acc sd"]) else f" ± {line['Test_acc sd']:.2f}"
        return f"{line['Test_acc']:.2f}{spread} % (n = {line['n']:.0f})"

    beside = [line for place, line in enumerate(others) if not place or line["row"] == name]
    near = [line for line in beside if not _differ(runs, best["row"], line["row"])]
    if best["row"] == name:
        text = f"**{name} is the best model, as in the original:** it has the highest validation accuracy, "
        text += f"and a test accuracy of {accuracy(best)}; {reported}."
    else:
        text = f"**The best model here is {best['row']}, not the original's {name}:** it has the highest validation "
        text += f"accuracy, and a test accuracy of {accuracy(best)}."
        if clear := [line for line in beside if line["row"] == name and line not in near]:
            text += f" {name}'s is clearly different: {accuracy(clear[0])}; {reported}."
    if near:
        alike = terminal.listed([f"{line['row']}, with {accuracy(line)}" for line in near])
        text += f" It cannot be told apart from {alike}."
    return text + " These runs are from the first study." * (best["row"] in original.outdated(runs))


def _differ(runs: Sequence[records.Record], first: str, second: str) -> bool:
    """Whether the test accuracies of two rows clearly differ."""
    firsts, seconds = ([r for r in runs if r.name == row] for row in (first, second))
    found = metrics.difference(firsts, seconds, "test_accuracy")
    if found is None or len(found.seeds) < claims.FEWEST:
        return False
    low, high = found.estimate.interval
    return low > 0 or high < 0


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
        plan = "the [plan](docs/second-study.md)'s runs are trained and measured"
        sentences.append(f"Pending until all of {plan}: {', '.join(groups[claims.PENDING]['claim'])}.")
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
