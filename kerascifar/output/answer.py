"""Published records → README's answer to "What came out?", as Markdown."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from kerascifar.common import terminal
from kerascifar.findings import agreement, analyses, faithfulness, metrics, rule, verdicts
from kerascifar.findings.claims import Claim
from kerascifar.focus import methods
from kerascifar.output import result_tables
from kerascifar.runs import original, records


def findings(found: analyses.Findings) -> str:
    """Some bullets and a figure; empty while nothing of the original's rows is published."""
    runs = [r for r in found.records if original.row_of(r)]
    if not runs:
        return ""
    bullets = (
        _agreement(found.get("agreement")),
        _best(runs),
        _in_bold(found.summary("changes")),
        _verdicts(found.decisions),
        _focus(found.records, found.get("centred")),
        _next(found),
    )
    return (
        "\n".join(f"- {bullet}" for bullet in bullets if bullet)
        + "\n\n![Accuracies and epochs of each row, original and here](docs/results/accuracy.png)\n\n"
        + _effort(found.records, runs)
    )


def _effort(published: Sequence[records.Record], runs: Sequence[records.Record]) -> str:
    """How many runs it took: `runs` of the original's rows, and the others."""
    hours = sum(r.duration for r in published) / 3600
    candidates = sum(r.is_candidate for r in published)
    others = len(published) - len(runs) - candidates
    parts = [f"{len(runs)} runs of these rows"]
    parts += [f"{others} of rows that we added"] * bool(others)
    parts += [f"{candidates} to choose settings that the original leaves open"] * bool(candidates)
    return (
        f"*The original trained each of its thirteen rows once. Here, training took {hours:.0f} hours, added over "
        f"runs: {terminal.listed(parts)}.*\n"
    )


def _next(found: analyses.Findings) -> str:
    if not (cost := found.summary("cost")):
        return ""
    return f"**What next?** {cost} {found.summary('search-ranked')}".strip()


def _in_bold(text: str) -> str:
    """The text with its first sentence in bold."""
    first, _, rest = text.partition(". ")
    return f"**{first}.** {rest}" if rest else text


def _agreement(result: analyses.Result | None) -> str:
    if result is None:
        return ""
    table = result.table
    known = table[table["agrees"] != agreement.UNKNOWN]
    is_accuracy = known["metric"] == agreement.TEST_ACCURACY
    accuracy, other = known[is_accuracy], known[~is_accuracy]
    unknown = terminal.listed([row for row in table["row"].unique() if row not in set(known["row"])])
    if not len(accuracy):
        return f"**There are too few runs to compare {unknown} with the original.**"
    low, high = f"{accuracy['95 % ±'].min():.1f}", f"{accuracy['95 % ±'].max():.1f}"
    width = f"± {low} points" if low == high else f"± {low} to {high} points, depending on the row"
    outside = accuracy[accuracy["agrees"] == agreement.DIFFERS]
    every = f"all {len(accuracy)}" if len(accuracy) > 1 else "the only"
    judged = f"{len(accuracy) - len(outside)} of the {len(accuracy)}" if len(outside) else every
    rows_judged = f"row{'s' * (len(accuracy) > 1)}{' judged so far' if unknown else ''}"
    rows = zip(outside["row"], outside["difference"], strict=True)
    differing = ", ".join(f"{row} ({difference:+.1f} points)" for row, difference in rows)
    return (
        f"**In {judged} {rows_judged}, the original's test accuracy fits ours:** it lies in the 95 % prediction "
        f"interval for one more run ({width}). "
        + (f"Different: {differing}. " if differing else "")
        + f"Of the original's {len(other)} other figures (training accuracies and numbers of epochs), "
        f"{(other['agrees'] == agreement.DIFFERS).sum()} do not fit; chance alone would explain about "
        f"{0.05 * len(other):.0f}. Some of the settings that the original leaves open were "
        "[chosen](docs/second-study.md) to match its training and validation figures, so some agreement is expected."
        + (f" Not judged yet: {unknown}." if unknown else "")
    )


def _best(runs: Sequence[records.Record]) -> str:
    """The row with the highest validation accuracy, here and in the original, and which rows could be as good."""
    table = result_tables.results([], runs)
    here = table[table["source"] == "published"].sort_values("Valid_acc", ascending=False, kind="stable")
    best, *others = here.to_dict("records")
    theirs = max(original.rows().values(), key=lambda line: float(line["valid_acc"]))
    name, outdated = theirs["row"], original.outdated(runs)
    beside = [line for place, line in enumerate(others) if not place or line["row"] == name]
    differ = {line["row"]: _differ(runs, best["row"], line["row"]) for line in beside}

    def listed(judgement: bool | None) -> str:
        return terminal.listed([with_accuracy(line) for line in beside if differ[line["row"]] is judgement])

    def with_accuracy(line: Mapping[Hashable, Any]) -> str:
        spread = "" if math.isnan(line["Test_acc sd"]) else f" ± {line['Test_acc sd']:.2f}"
        study = ", first study" * (line["row"] in outdated)
        return f"{line['row']} (test accuracy {line['Test_acc']:.2f}{spread} %, n = {line['n']:.0f}{study})"

    if not differ or None in differ.values() or name not in {best["row"], *differ}:
        text = "**Which model is best is still open.**"
    elif False in differ.values():
        text = "**No model is clearly the best.**"
    elif best["row"] == name:
        text = f"**{name} is the best model, as in the original.**"
    else:
        text = f"**The best model here is {best['row']}, not the original's {name}.**"
    where = ", as in the original" if best["row"] == name else f"; in the original, {name}"
    text += f" {with_accuracy(best)} has the highest validation accuracy{where} "
    text += f"(test accuracy {float(theirs['test_acc']):.2f} %)."
    text += f" It cannot be told apart from {near}." if (near := listed(False)) else ""
    text += f" There are too few runs with the same seeds to tell it apart from {few}." if (few := listed(None)) else ""
    text += f" Clearly different: {clear}." if (clear := listed(True)) else ""
    return text + " After ±: the standard deviation over n runs."


def _differ(runs: Sequence[records.Record], first: str, second: str) -> bool | None:
    """Whether the test accuracies of two rows clearly differ; None if there are too few runs."""
    firsts, seconds = ([r for r in runs if r.name == row] for row in (first, second))
    found = metrics.difference(firsts, seconds, "test_accuracy")
    return found.is_clear if found and len(found.seeds) >= rule.FEWEST else None


def _verdicts(decisions: Sequence[rule.Decision]) -> str:
    """How many claims have each verdict; then the claims themselves in a few words, or only named while they wait."""
    counts = verdicts.counts(decisions)
    shown = terminal.listed([f"{count} {verdict}" for verdict, count in counts.items()])
    parts = [
        f"**{len(decisions)} of the original's claims are tested here: {shown}.** *Confirmed*: clear even after a "
        "correction for the number of claims; *supported*: clear only without it ([rule](docs/statistics.md))."
    ]
    for verdict in counts:
        of_verdict = [decision.claim for decision in decisions if decision.verdict == verdict]
        if verdict == rule.PENDING:
            plan = "the [plan](docs/second-study.md)'s runs are trained and measured"
            parts.append(f"  - Pending until all of {plan}: {', '.join(claim.name for claim in of_verdict)}.")
        else:
            parts.append(f"  - {verdict.capitalize()}: {'; '.join(map(_reserved, of_verdict))}.")
    return "\n".join(parts)


def _reserved(claim: Claim) -> str:
    """A claim with the first sentence of its note."""
    first, _, _ = claim.note.removesuffix(".").partition(". ")
    reservation = first[:1].lower() + first[1:] if first[1:2].islower() else first
    return f"{claim.words} ({': '.join(filter(None, (claim.name, reservation)))})"


def _focus(published: Sequence[records.Record], centred: analyses.Result | None) -> str:
    if centred is None:
        return ""
    table = centred.table
    answers, outdated = [], {*original.outdated(published)}
    for line in table[table["map"] == methods.title("gradcam")].to_dict("records"):
        better, worse = map(len, faithfulness.compared_with_spot(line))
        runs = f"{line['n']} run{'s' * (line['n'] > 1)}{' of the first study' * (line['row'] in outdated)}"
        answer = "yes" if not worse and better else "mostly" if better > worse else "no"
        if line["n"] == 1:  # which says nothing about other seeds
            answer = "still open"
        of = f"better on {better}, worse on {worse}"
        answers.append(f"For {line['row']}, {answer}: {of} ({runs}).")
    measures = f"{len(faithfulness.FAITHFUL)} [measures](docs/focus-measures.md)"
    return (
        "**Does a Grad-CAM map show what the prediction depends on better than a spot in the middle of every image, "
        f"which ignores the model?** Judged by {measures}: **{' '.join(answers)}** The spot is hard to beat, because "
        "the subjects are in the middle. Where the spot is better, these measures give no reason to trust the map "
        "([when to trust one](docs/gradcam.md))."
    )
