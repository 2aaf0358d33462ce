"""The verdicts on claims as a table: one line per comparison, or one per claim, with a sentence for each."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kerascifar.findings import claims, metrics, rule
from kerascifar.findings.claims import Comparison
from kerascifar.findings.metrics import METRICS, OTHERS, Difference
from kerascifar.findings.rule import Decision
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd


def of_original(records: Sequence[Record]) -> list[Decision]:
    """The decisions on the original's claims."""
    return rule.decide(records, claims.read())


def table(decisions: Sequence[Decision]) -> "pd.DataFrame":
    """One line per comparison, with its claim's verdict. Differences are first − second, in the metric's unit.

    Columns: claim, words, family, decided_by, verdict, sentence, comparison, metric, margin, unit, reported, note, n
    (seeds), first, second, difference, low, high (95 % interval), by seed, "p for" and "p against" (of the comparison),
    "p for (Holm)" and "p against (Holm)" (of the claim).
    """
    import pandas as pd

    return pd.DataFrame(line for decision in decisions for line in _lines(decision))


def _lines(decision: Decision) -> Iterable[dict[str, Any]]:
    claim, told = decision.claim, sentence(decision)
    for comparison, d in zip(claim.comparisons, decision.differences, strict=True):
        line = {
            "claim": claim.name,
            "words": claim.words,
            "family": claim.family,
            "decided_by": claim.decided_by,
            "verdict": decision.verdict,
            "sentence": told,
            "comparison": str(comparison),
            "metric": comparison.metric,
            "margin": comparison.margin,
            "unit": METRICS[comparison.metric].unit,
            "reported": _reported(comparison),
            "note": claim.note,
            "n": len(d.seeds) if d else 0,
            **dict.fromkeys(("first", "second", "difference", "low", "high"), math.nan),
            "by seed": "",
            **dict.fromkeys(("p for", "p against"), math.nan),
        }
        if d and decision.verdict != rule.PENDING:  # interim differences must not tempt anyone to stop early
            low, high = d.estimate.interval
            line |= {
                "first": d.levels[0],
                "second": d.levels[1],
                "difference": d.estimate.mean,
                "low": low,
                "high": high,
                "by seed": "; ".join(f"{value:+.3g}" for value in d.by_seed),
                "p for": rule.p_for(comparison, d),
                "p against": rule.p_against(comparison, d),
            }
        yield line | {"p for (Holm)": decision.adjusted[0], "p against (Holm)": decision.adjusted[1]}


def _reported(comparison: Comparison) -> float:
    return math.nan if comparison.of else metrics.reported(comparison.first, comparison.second, comparison.metric)


def sentence(decision: Decision) -> str:
    """What the comparison on which the verdict rests shows, in plain words."""
    if decision.verdict == rule.PENDING:
        there = decision.seeds
        if not there:
            return "Some of its rows have not yet been trained and measured with all planned seeds."
        have = "has" if there == 1 else "have"
        return f"{there} of the {decision.needed} seeds that a verdict needs {have} been trained and measured."
    comparison, d = decision.telling
    if d.flaw:
        return f"{d.flaw}, so it cannot test the claim."
    text = _in_words(comparison, d)
    if (count := len(decision.differences)) > 1:
        which = "clearest" if rule.one_decides(decision.claim, decision.toward) else "weakest"
        text = f"The {which} of {count} comparisons: {text}"
    if decision.verdict == rule.UNDECIDED:
        needed = rule.seeds_needed(decision)
        would = f"about {needed} seeds would probably" if needed else f"even {rule.MOST} seeds would hardly"
        text += f" If mean and spread stayed as they are, {would} decide it."
    return text


def _in_words(comparison: Comparison, d: Difference) -> str:
    """A sentence that says which one is higher; the figures in brackets are positive in that direction."""
    metric, mean = METRICS[comparison.metric], d.estimate.mean
    direction = -1 if mean < 0 else 1
    low, high = sorted((direction * d.estimate.interval[0], direction * d.estimate.interval[1]))
    of = f"For {comparison.of} images, " if comparison.of else ""
    text = of + metric.compared.format(
        first=comparison.first,
        words=metric.words,
        size=f"{abs(mean):.{metric.digits}f}",
        unit=metric.unit,
        way=metric.ways[mean >= 0],
        second=comparison.second,
        other=_other(comparison),
    )
    if not math.isnan(low):
        text += f" (95 % interval {low:z.{metric.digits}f} … {high:z.{metric.digits}f}"
        reported = round(direction * _reported(comparison), metric.digits)
        sign = ", the opposite sign" * (reported < 0)
        text += ")" if math.isnan(reported) else f"; original {reported:z.{metric.digits}f}{sign})"
    return f"{text}."


def _other(comparison: Comparison) -> str:
    """The second side of a comparison, with the images that count if they are not those of the first."""
    images = "those of other classes" if comparison.second_of == OTHERS else f"{comparison.second_of} images"
    if comparison.second_of in ("", comparison.of):
        return f"{comparison.second}'s"
    return f"for {images}" if comparison.first == comparison.second else f"{comparison.second}'s for {images}"


def counts(decisions: Sequence[Decision]) -> dict[str, int]:
    """The number of claims with each verdict, in the order of `rule.VERDICTS`."""
    found = [decision.verdict for decision in decisions]
    return {word: found.count(word) for word in rule.VERDICTS if word in found}


def by_claim(decisions: Sequence[Decision]) -> "pd.DataFrame":
    """One line per claim: claim, words, verdict, sentence, seeds (the fewest of its comparisons), and comparisons.

    The last one gives, for each comparison, the difference (in points unless another unit is named), its 95 % interval,
    the number of seeds and the original's difference. The claim's note comes last; each part has a line of its own.
    """
    import pandas as pd

    lines = []
    for decision in decisions:
        claim = decision.claim
        is_enough = len(claim.comparisons) > 1 and claim.decided_by == "any"
        compared = [
            f"{comparison}: {_in_figures(comparison, d, decision.verdict)}"
            for comparison, d in zip(claim.comparisons, decision.differences, strict=True)
        ]
        lines.append(
            {
                "claim": claim.name,
                "words": claim.words,
                "verdict": decision.verdict,
                "sentence": sentence(decision),
                "seeds": str(decision.seeds),
                "comparisons": "\n".join(filter(None, ["one of these is enough" * is_enough, *compared, claim.note])),
            }
        )
    return pd.DataFrame(lines)


def _in_figures(comparison: Comparison, d: Difference | None, verdict: str) -> str:
    """A comparison's difference, interval and number of seeds, and the original's difference."""
    metric, reported = METRICS[comparison.metric], _reported(comparison)
    original = "" if math.isnan(reported) else f"; original {reported:+z.{metric.digits}f}"
    if d is None:
        return f"not yet trained and measured with the planned seeds{original}"
    if verdict == rule.PENDING:
        return f"n = {len(d.seeds)} so far{original}"
    if math.isnan(d.estimate.mean):
        return f"at least one run has no value{original}"
    low, high = d.estimate.interval
    interval = "" if math.isnan(low) else f" ({low:+z.{metric.digits}f} … {high:+z.{metric.digits}f})"
    unit = "" if metric.unit == "points" else f" {metric.unit}"
    return f"{d.estimate.mean:+z.{metric.digits}f}{unit}{interval}, n = {len(d.seeds)}{original}"
