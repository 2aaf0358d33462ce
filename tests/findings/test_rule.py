"""Claims are decided by the written rule, from paired runs."""

import dataclasses
import math

import factories
import numpy as np
import pytest
from factories import better, trained
from scipy import stats

from kerascifar.common.errors import UserError
from kerascifar.findings import rule
from kerascifar.findings.claims import Claim, Claims
from kerascifar.findings.metrics import Difference
from kerascifar.findings.rule import (
    CONFIRMED,
    CONTRADICTED,
    NO_DIFFERENCE,
    PENDING,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Decision,
)
from kerascifar.findings.statistics import Estimate

BY_SEED = (1.84, 5.43, 4.25, 8.32, 4.89, 1.89)


def difference(by_seed, error):
    """A difference with this standard error."""
    mean, seeds = float(np.mean(by_seed)), range(len(by_seed))
    return Difference(tuple(seeds), (0.0, 0.0), tuple(by_seed), Estimate(mean, error, len(by_seed) - 1.0))


def decided(claim, *differences):
    """The decision on these differences, before the adjustment for the family."""
    return Decision(claim, differences, True, len(differences[0].seeds), rule._p(claim, differences))


@pytest.mark.parametrize(
    ("first_is", "mean", "p_for", "p_against"),
    [
        ("higher", 1.0, stats.t.sf(2, 5), stats.t.cdf(1, 5)),
        ("higher", 0.4, 1.0, stats.t.cdf(-0.2, 5)),  # surely above 0 or not, it does not reach the margin
        ("not higher", 1.0, stats.t.cdf(1, 5), stats.t.sf(2, 5)),
        ("not higher", 0.4, stats.t.cdf(-0.2, 5), 1.0),
        ("other", -1.0, 2 * stats.t.sf(2, 5), stats.t.sf(-1, 5)),
        ("other", 0.4, 1.0, stats.t.cdf(-0.2, 5)),
    ],
)
def test_p_for_and_against(first_is, mean, p_for, p_against):
    """Standard error 0.5, 5 degrees of freedom, margin 0.5."""
    comparison, d = better(first_is=first_is), difference([mean] * 6, 0.5)
    assert rule.p_for(comparison, d) == pytest.approx(p_for)
    assert rule.p_against(comparison, d) == pytest.approx(p_against)


@pytest.mark.parametrize(
    ("first_is", "mean", "error", "holm", "verdict"),
    [
        ("higher", 3.0, 1.0, 0.04, CONFIRMED),
        ("higher", 3.0, 1.0, 0.06, SUPPORTED),
        ("higher", 2.0, 1.0, 0.04, UNDECIDED),  # the interval, ± 2.57, contains 0
        ("higher", -3.0, 1.0, 0.04, REFUTED),
        ("higher", -3.0, 1.0, 0.06, CONTRADICTED),
        ("higher", 0.1, 0.1, 0.04, NO_DIFFERENCE),
        ("not higher", -3.0, 1.0, 0.04, CONFIRMED),
        ("not higher", 0.1, 0.1, 0.04, CONFIRMED),
        ("not higher", 3.0, 1.0, 0.04, REFUTED),
        ("other", -3.5, 1.0, 0.04, CONFIRMED),
        ("other", 0.1, 0.1, 0.04, NO_DIFFERENCE),
        ("other", 0.1, 0.2, 0.04, UNDECIDED),  # the interval, ± 0.51, is not within ± 0.5
    ],
)
def test_the_verdicts(first_is, mean, error, holm, verdict):
    decision = decided(Claim("C", "w", (better(first_is=first_is),)), difference([mean] * 6, error))
    assert dataclasses.replace(decision, adjusted=(holm, holm)).verdict == verdict


@pytest.mark.parametrize(("decided_by", "told"), [("all", "D"), ("any", "B")])
def test_below_the_margin_the_weakest_comparison_is_the_one_further_away(decided_by, told):
    """A leads B by 0.4 points and trails D by 0.3. Below the margin of 0.5, both p for the claim are 1.

    Fails if the first of them counts as the weakest, or as the clearest.
    """
    claim = Claim("C", "w", (better("A", "B"), better("A", "D")), decided_by=decided_by)
    for order in (1, -1):
        turned = dataclasses.replace(claim, comparisons=claim.comparisons[::order])
        decision = decided(turned, *[difference([mean] * 6, 0.5) for mean in (0.4, -0.3)[::order]])
        assert decision.verdict == UNDECIDED and decision.telling[0].second == told


def test_a_pending_claim_changes_no_other_verdict():
    """Fails if Holm's method uses the interim p of a claim that lacks seeds: the other's p would not be doubled."""
    found = trained({"A": 0.75, "B": 0.70, "C": 0.60})
    early = [r for r in found if r.name != "C" or r.seed != found[-1].seed]
    one, other = Claim("X", "w", (better("A", "B"),)), Claim("Y", "w", (better("A", "C"),))
    seeds = {"experiment1": tuple(sorted({r.seed for r in found}))}
    x, y = rule.decide(early, Claims((one, other), seeds))
    assert y.verdict == PENDING and rule.p_for(*y.telling) < x.p[0]
    assert x.adjusted[0] / x.p[0] == pytest.approx(2)


def test_a_claim_pays_for_its_comparisons_once():
    """All: the largest p for it, and k times the smallest against it. Any: the other way round."""
    found = trained({"A": 0.75, "B": 0.74, "C": 0.70})
    one, two = better("A", "B"), better("A", "C")
    x, y = rule.decide(found, Claims((Claim("X", "w", (one, two)), Claim("Y", "w", (one, two), "f", "any")), {}))
    p_for, p_against = (
        [p(c, d) for c, d in zip((one, two), x.differences, strict=True)] for p in (rule.p_for, rule.p_against)
    )
    assert x.p == (max(p_for), pytest.approx(min(1, 2 * min(p_against))))
    assert y.p == (pytest.approx(2 * min(p_for)), max(p_against))


def test_holm_adjusts_over_the_declared_claims_of_a_family():
    """Fails if training another row, or another family, can change a verdict."""
    found = trained({"A": 0.75, "B": 0.70})
    claim = Claim("X", "w", (better(),), "f")
    untrained = [Claim(f"Y{i}", "w", (better(f"no{i}", metric="gap"),), "f") for i in range(9)]
    elsewhere = [Claim(f"Z{i}", "w", (better(f"no{i}", metric="gap"),), "g") for i in range(9)]
    alone, among, beside = (
        rule.decide(found, Claims((claim, *others), {}))[0].adjusted[0] for others in ((), untrained, elsewhere)
    )
    assert among == pytest.approx(10 * alone) and beside == alone


@pytest.mark.parametrize(
    ("first_is", "mean", "image_error", "needed"),
    [("higher", 1.0, 0.0, 18), ("higher", 0.0, 0.0, 65), ("higher", 1.0, 0.6, None), ("other", -1.0, 0.0, 22)],
)
def test_seeds_needed_have_the_power_to_decide(first_is, mean, image_error, needed):
    """Seeds differ by √2. By simulation: the share of t tests that decide is 80 %, and less with one seed fewer."""
    d = difference([mean - 1, mean + 1], math.hypot(1.0, image_error))
    assert rule.seeds_needed(decided(Claim("C", "w", (better(first_is=first_is),)), d)) == needed
    if needed:
        distance = abs(mean) if mean else 0.5
        for n, enough in ((needed - 1, False), (needed, True)):
            drawn = np.random.default_rng(0).normal(distance, math.sqrt(2), (200_000, n))
            alternative = "two-sided" if first_is == "other" else "greater"
            share = (stats.ttest_1samp(drawn, 0, axis=1, alternative=alternative).pvalue <= 0.025).mean()
            assert (share >= 0.8) == enough


def test_seeds_needed_count_the_family():
    decision = decided(Claim("C", "w", (better(),)), difference(BY_SEED, 1.0))
    assert [rule.seeds_needed(dataclasses.replace(decision, family=family)) for family in (1, 24)] == [7, 9]


@pytest.mark.parametrize(
    ("first_is", "decided_by", "needed"),
    [("higher", "any", 9), ("higher", "all", 7), ("not higher", "any", 7), ("not higher", "all", 9)],
)
def test_seeds_needed_count_the_comparisons_of_which_one_decides(first_is, decided_by, needed):
    """The p of twelve comparisons, of which one is enough, is multiplied by twelve: 0.025 / 12 is 0.05 / 24.

    These differences lead toward "higher" and away from "not higher", where one of "all" is enough.
    """
    claim = Claim("X", "w", (better(first_is=first_is),) * 12, decided_by=decided_by)
    assert rule.seeds_needed(decided(claim, *[difference(BY_SEED, 1.0)] * 12)) == needed


def test_a_row_of_two_experiments_must_be_named_with_one():
    """Fails if the runs of both are mixed."""
    found = [factories.answering(name, s) for name in ("A", "B") for s in range(3)]
    found += [dataclasses.replace(factories.answering("A", s), experiment="mine") for s in range(3)]
    with pytest.raises(UserError, match="A is a row of several experiments.\nExpected one of: experiment1/A, mine/A"):
        rule.decide(found, Claims((Claim("C", "w", (better("A", "B"),)),), {}))
    (decision,) = rule.decide(found, Claims((Claim("C", "w", (better("mine/A", "B"),)),), {}))
    assert decision.differences[0].seeds == (0, 1, 2)
