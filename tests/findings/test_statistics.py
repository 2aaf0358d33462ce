"""Errors, intervals and p against values by hand, other implementations, and simulated runs whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from kerascifar.findings import statistics
from kerascifar.findings.statistics import Estimate


def test_of_seeds_matches_students_t():
    values = [1.0, 2.0, 4.0, 5.0]
    found = statistics.of_seeds(values)
    expected = stats.ttest_1samp(values, 0.0)
    low, high = expected.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high))
    assert found.p_above() == pytest.approx(expected.pvalue / 2) and found.p_below() == pytest.approx(
        1 - expected.pvalue / 2
    )
    assert found.p_above(3.0) == pytest.approx(0.5) == found.p_below(3.0)


def test_one_seed_of_one_figure_says_nothing():
    found = statistics.of_seeds([3.0])
    assert (found.p_above(), found.p_below()) == (1.0, 1.0) and math.isnan(found.interval[0])


def test_the_error_of_seeds_and_images_by_hand():
    """2 seeds × 3 images. Row means 2, 5; column means 2, 3, 5.5; MS_s 13.5, MS_i 6.5, MS_si 0.5; nm = 6."""
    sample = np.array([[1.0, 1.0, 4.0], [3.0, 5.0, 7.0]])
    found = statistics.of_seeds_and_images(sample)
    assert found.mean == 3.5
    seeds = 3 * np.var([2.0, 5.0], ddof=1)
    images = 2 * np.var([2.0, 3.0, 5.5], ddof=1)
    residual = sample - np.array([2.0, 3.0, 5.5]) - np.array([[-1.5], [1.5]])
    together = (residual**2).sum() / 2
    assert (seeds, images, together) == pytest.approx((13.5, 6.5, 0.5))
    variance = seeds + images - together
    assert found.error == pytest.approx(math.sqrt(variance / 6))
    assert found.degrees == pytest.approx(variance**2 / (seeds**2 + images**2 / 2 + together**2 / 2))


def test_of_one_seed_the_error_is_that_of_a_mean_over_images():
    values = np.array([[0.0, 1.0, 1.0, 0.0, 1.0]])
    found = statistics.of_seeds_and_images(values)
    assert found.error == pytest.approx(stats.sem(values[0])) and found.degrees == math.inf
    low, high = found.interval
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * stats.sem(values[0]))


def test_images_that_do_not_count_are_left_out():
    """A column without values is not there; one that counts in one seed only enters that seed's mean."""
    sample = np.array([[1.0, np.nan, 3.0, np.nan], [2.0, 4.0, 5.0, np.nan]])
    found = statistics.of_seeds_and_images(sample)
    assert found.mean == pytest.approx((2.0 + 11 / 3) / 2)
    assert np.isfinite(found.error) and found.error == statistics.of_seeds_and_images(sample[:, :3]).error


def test_different_images_add_their_variances_and_share_the_seeds():
    """A constant second sample moves the mean alone."""
    first = np.random.default_rng(0).normal(size=(4, 50))
    alone, both = statistics.of_seeds_and_images(first), statistics.of_seeds_and_images(first, np.full((4, 20), -2.0))
    assert both.mean == pytest.approx(alone.mean - 2) and both.error == pytest.approx(alone.error)


def test_without_any_spread_the_answer_is_certain():
    found = statistics.of_seeds_and_images(np.full((3, 4), 2.0))
    assert (found.error, found.p_above(), found.p_above(2.0), found.p_below(2.5)) == (0.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("seed_sd", "image_sd", "joint_sd"), [(1.0, 1.0, 1.0), (0.0, 5.0, 5.0), (3.0, 0.0, 5.0), (0.0, 0.0, 5.0)]
)
def test_the_interval_covers_the_truth(seed_sd, image_sd, joint_sd):
    """Simulated: 6 seeds × 60 images, 2,000 times. 95 % intervals miss at most 6.5 % of the time. Fails if a source of
    chance is left out, or if the interval is far too wide where both seeds and images vary."""
    random = np.random.default_rng(1)
    missed, times = 0, 2000
    for _ in range(times):
        sample = seed_sd * random.normal(size=(6, 1)) + image_sd * random.normal(size=(1, 60))
        found = statistics.of_seeds_and_images(sample + joint_sd * random.normal(size=(6, 60)))
        missed += not found.interval[0] <= 0 <= found.interval[1]
    assert missed / times < 0.065
    if seed_sd and image_sd:
        assert missed / times > 0.035


def test_holms_p():
    """The example of R's p.adjust: 0.01, 0.02, 0.03, 0.04 by "holm"."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert statistics.holm([]) == []


def test_p_below_mirrors_p_above():
    found = Estimate(1.0, 0.5, 5.0)
    assert found.p_below(2.0) == pytest.approx(float(stats.t.cdf(-2, 5)))
    assert found.p_above(0.0) == pytest.approx(float(stats.t.sf(2, 5)))


def test_mean_and_standard_deviation_of_a_few_runs():
    """By hand: √((1 + 0 + 1) / 2). One run has no standard deviation; fails if it is 0."""
    assert statistics.mean_and_sd([68.0, 69.0, 70.0]) == (69.0, 1.0)
    mean, sd = statistics.mean_and_sd([70.0])
    assert mean == 70 and math.isnan(sd)
