"""The rule that decides a claim from records.

Only full runs on CIFAR-10 count, with the seeds that the file names for each experiment. The seeds were fixed before
the first of these runs was trained, and no verdict is given until the last one is finished. Runs are compared in pairs:
same seed, same images. For every comparison, d = first − second. The standard error of its mean combines seeds and
images, which are crossed; p comes from Student's t with Satterthwaite's degrees of freedom
(`kerascifar/findings/statistics.py`; for a metric with one number per run, from Student's t over seeds). p is the
probability of a difference at least as extreme as the observed one if the statement in its cell were true:

| the claim says | p for the claim | p against it |
|---|---|---|
| first is higher | d ≤ 0; set to 1 if the mean is below the margin | d ≥ margin |
| first is not higher | d ≥ margin | d ≤ 0; set to 1 if the mean is below the margin |
| they differ (`other`) | d = 0, two-sided; 1 if the mean is within ± margin | the larger p of d ≥ margin, d ≤ −margin |

A claim holds only if all its comparisons hold: its p is the largest p for them. It fails if one comparison fails: the p
against it is the smallest p against its k comparisons, times k. If one comparison is enough for a claim (`decided_by =
"any"`), these two rules are swapped. Holm's method adjusts p for the number of claims in a family, such as the claims
about training. While a claim is pending, its p counts as 1 there. The verdicts:

- *supported*: the p for the claim is at most 0.025, so that the 95 % intervals are clear of zero (or of the margin);
  for `other`, whose p is two-sided, the 97.5 % intervals.
- *confirmed*: supported, and the p adjusted by Holm's method is at most 0.05.
- *contradicted* and *refuted*: like *supported* and *confirmed*, with the p against the claim.
- *no clear difference*: the claim says that there is a difference, but the 95 % interval of each comparison lies within
  the margin.
- *undecided*: none of these; or the metric says nothing: it is 0 in every image of both rows, or a run has no value.
- *pending*: not all runs have been trained and measured, or there are fewer than three seeds.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerascifar.common import terminal
from kerascifar.findings import metrics, statistics
from kerascifar.findings.claims import Claim, Claims, Comparison
from kerascifar.findings.metrics import Difference
from kerascifar.findings.statistics import LEVEL
from kerascifar.runs import selection
from kerascifar.runs.records import Record

RULE = (__doc__ or "").partition("\n\n")[2].strip()  # shown with the tables
CONFIRMED, SUPPORTED, NO_DIFFERENCE = "confirmed", "supported", "no clear difference"
CONTRADICTED, REFUTED, UNDECIDED, PENDING = "contradicted", "refuted", "undecided", "pending"
VERDICTS = (CONFIRMED, SUPPORTED, NO_DIFFERENCE, CONTRADICTED, REFUTED, UNDECIDED, PENDING)
FEWEST = 3  # seeds: two say too little about the spread
POWER = 0.8  # with which the number of seeds in `seeds_needed` decides a comparison
MOST = 100  # seeds: beyond this, only "more than 100" is shown


def p_for(comparison: Comparison, d: Difference) -> float:
    """p for what the comparison says, as in the table above."""
    if comparison.first_is == "not higher":
        return d.estimate.p_below(comparison.margin)
    mean = _mean(comparison, d)
    if mean < comparison.margin:
        return 1.0
    return d.estimate.p_above() if comparison.first_is == "higher" else d.estimate.p_other()


def p_against(comparison: Comparison, d: Difference) -> float:
    """p against what the comparison says, as in the table above."""
    margin = comparison.margin
    if comparison.first_is == "not higher":
        return d.estimate.p_above() if d.estimate.mean >= margin else 1.0
    below = d.estimate.p_below(margin)
    return below if comparison.first_is == "higher" else max(below, d.estimate.p_above(-margin))


def _is_within_margin(comparison: Comparison, d: Difference) -> bool:
    """Whether the 95 % interval lies within the margin, although the claim says that there is a difference."""
    low, high = d.estimate.interval
    return comparison.first_is != "not higher" and -comparison.margin < low and high < comparison.margin


def _mean(comparison: Comparison, d: Difference) -> float:
    """The mean difference, without its sign if the claim only says that there is a difference."""
    return abs(d.estimate.mean) if comparison.first_is == "other" else d.estimate.mean


def one_decides(claim: Claim, toward: bool) -> bool:
    """Whether one of the comparisons is enough for a verdict; otherwise, all are needed.

    Args:
        toward: for the claim, not against it.
    """
    return toward == (claim.decided_by == "any")


def _factor(claim: Claim, toward: bool) -> int:
    """By which the smallest p of the comparisons is multiplied where one of them decides; otherwise 1."""
    return len(claim.comparisons) if one_decides(claim, toward) else 1


def _p(claim: Claim, differences: Sequence[Difference | None]) -> tuple[float, float]:
    """p for and against the claim, from those of its comparisons, all of which have differences."""

    def combined(p_of: Callable[[Comparison, Difference], float], toward: bool) -> float:
        p = [p_of(c, d) for c, d in zip(claim.comparisons, differences, strict=True) if d is not None]
        return min(1.0, _factor(claim, toward) * min(p)) if one_decides(claim, toward) else max(p)

    return combined(p_for, toward=True), combined(p_against, toward=False)


@dataclass(frozen=True)
class Decision:
    """A claim with what the runs say about it.

    Attributes:
        differences: one per comparison; None where no two runs can be compared.
        complete: whether all seeds are there for all comparisons.
        needed: the number of seeds that a verdict takes.
        p: for and against the claim.
        adjusted: the same, adjusted by Holm's method for the claims of its family.
        family: the number of these claims.
    """

    claim: Claim
    differences: tuple[Difference | None, ...]
    complete: bool
    needed: int
    p: tuple[float, float]
    adjusted: tuple[float, float] = (1.0, 1.0)
    family: int = 1

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if not self.complete:
            return PENDING
        (toward, against), (holm_toward, holm_against) = self.p, self.adjusted
        if toward <= LEVEL / 2:
            return CONFIRMED if holm_toward <= LEVEL else SUPPORTED
        if all(d and _is_within_margin(c, d) for c, d in zip(self.claim.comparisons, self.differences, strict=True)):
            return NO_DIFFERENCE
        if against <= LEVEL / 2:
            return REFUTED if holm_against <= LEVEL else CONTRADICTED
        return UNDECIDED

    @property
    def seeds(self) -> int:
        """The number of seeds that each comparison has at least."""
        return min(len(d.seeds) if d else 0 for d in self.differences)

    @property
    def toward(self) -> bool:
        """Whether the verdict is for the claim, or open, rather than against it."""
        return self.verdict not in (REFUTED, CONTRADICTED)

    @property
    def telling(self) -> tuple[Comparison, Difference]:
        """The comparison on which the verdict rests: for the claim, its weakest link.

        Only if the verdict is not pending: then all comparisons have differences.
        """
        pairs = [(c, d) for c, d in zip(self.claim.comparisons, self.differences, strict=True) if d is not None]
        # Below the margin, p for a comparison is 1; then p against it says which of several is the weaker one.
        sides = (p_for, p_against) if self.toward else (p_against, p_for)
        p = [(sides[0](c, d), -sides[1](c, d)) for c, d in pairs]
        return pairs[p.index((min if one_decides(self.claim, self.toward) else max)(p))]


def decide(records: Sequence[Record], declared: Claims) -> list[Decision]:
    """Decides the claims, in their order.

    Raises:
        UserError: a row that a claim names belongs to several experiments.
    """
    runs: dict[str, list[Record]] = {}
    for record in declared.counted(records):
        for name in (record.name, f"{record.experiment}/{record.name}"):
            runs.setdefault(name, []).append(record)
    for name in declared.rows:
        selection.check_unambiguous(name, runs.get(name, ()))
    decisions = [_decide(claim, runs, declared.seeds) for claim in terminal.track(declared.claims, "Claims")]
    families: dict[str, list[Decision]] = {}
    for decision in decisions:
        families.setdefault(decision.claim.family, []).append(decision)
    adjusted: dict[str, tuple[float, float]] = {}
    for members in families.values():
        for_and_against = (statistics.holm([member.p[side] for member in members]) for side in (0, 1))
        names = [member.claim.name for member in members]
        adjusted |= dict(zip(names, zip(*for_and_against, strict=True), strict=True))
    return [
        dataclasses.replace(each, adjusted=adjusted[each.claim.name], family=len(families[each.claim.family]))
        for each in decisions
    ]


def _decide(claim: Claim, runs: Mapping[str, Sequence[Record]], seeds: Mapping[str, tuple[int, ...]]) -> Decision:
    """Without the adjustment for the family."""
    differences = []
    for c in claim.comparisons:
        sides = (runs.get(c.first, ()), runs.get(c.second, ()))
        differences.append(metrics.difference(*sides, c.metric, of=c.of, second_of=c.second_of, kind=c.kind))
    expected = [_expected(c, runs, seeds) for c in claim.comparisons]
    complete = all(
        d is not None and len(d.seeds) >= FEWEST and wanted <= {*d.seeds}
        for wanted, d in zip(expected, differences, strict=True)
    )
    # While seeds are missing, interim results must not change the verdicts on other claims.
    p = _p(claim, differences) if complete else (1.0, 1.0)
    return Decision(claim, tuple(differences), complete, max(FEWEST, *map(len, expected)), p)


def _expected(
    comparison: Comparison, runs: Mapping[str, Sequence[Record]], seeds: Mapping[str, tuple[int, ...]]
) -> set[int]:
    """The seeds that both rows must have: those declared for both experiments, as far as the rows have runs."""
    experiments = {r.experiment for row in (comparison.first, comparison.second) for r in runs.get(row, ())}
    declared = [{*seeds[experiment]} for experiment in experiments if experiment in seeds]
    return set.intersection(*declared) if declared else set()


def seeds_needed(decision: Decision) -> int | None:
    """How many seeds would probably decide an undecided claim if mean and spread stayed the same.

    With this number, the comparison on which the verdict rests is decided with probability `POWER`. Its mean has to
    clear an edge: 0 if it is at least the margin, otherwise the margin. The error from the images is assumed to stay.

    Returns:
        The number; None if it is more than `MOST`.
    """
    comparison, d = decision.telling
    n = len(d.by_seed)
    if n < 2:
        return None
    mean = _mean(comparison, d)
    distance = mean if mean >= comparison.margin else comparison.margin - mean
    two_sided = comparison.first_is == "other" and mean >= comparison.margin
    # Whether more seeds with the same mean would support the claim rather than contradict it.
    toward = (mean >= comparison.margin) != (comparison.first_is == "not higher")
    level = min(LEVEL / 2, LEVEL / decision.family) / _factor(decision.claim, toward) / (1 + two_sided)
    image_error = math.sqrt(max(d.estimate.error**2 - float(np.var(d.by_seed, ddof=1)) / n, 0.0))
    for seeds in range(n + 1, MOST + 1):
        if statistics.power(distance, d.by_seed, image_error, n=seeds, level=level) >= POWER:
            return seeds
    return None
