"""The uncertainty of a mean difference: intervals and p, from runs with several seeds on the same images.

Differences are taken in pairs: two rows' runs with the same seed, on the same image. So a difference has three sources
of chance: the seed, the image, and the interaction of both. Their variances are estimated as in an analysis of variance
of seeds × images, both random and crossed (e.g. Searle, Casella and McCulloch, "Variance Components", 1992, chapter 4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
FEWEST_TO_PREDICT = 3  # with two, t is 12.7, and two equal values would make the interval empty
SETTLING = 5  # epochs in which a curve falls steeply; axes are fitted to what follows


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """The mean of some runs' values and their standard deviation, which is NaN for a single one."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Estimate:
    """A mean with its uncertainty.

    Attributes:
        mean: of the differences.
        error: its standard error; NaN if it cannot be estimated.
        degrees: degrees of freedom of Student's t; infinite if only images vary.
    """

    mean: float
    error: float
    degrees: float

    @property
    def half(self) -> float:
        """Half the width of the two-sided 95 % interval; NaN if the error is NaN."""
        from scipy import stats

        return self.error * float(stats.t.ppf(1 - LEVEL / 2, self.degrees))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval, two-sided; NaN if the error is NaN."""
        half = self.half
        return self.mean - half, self.mean + half

    def p_above(self, edge: float = 0.0) -> float:
        """One-sided p of the hypothesis that the true mean is at most `edge`: small p, mean above `edge`."""
        from scipy import stats

        if math.isnan(self.error):
            return 1.0
        if self.error == 0:
            return 0.0 if self.mean > edge else 1.0
        return float(stats.t.sf((self.mean - edge) / self.error, self.degrees))

    def p_below(self, edge: float = 0.0) -> float:
        """One-sided p of the hypothesis that the true mean is at least `edge`: small p, mean below `edge`."""
        return Estimate(-self.mean, self.error, self.degrees).p_above(-edge)

    def p_other(self) -> float:
        """Two-sided p of the hypothesis that the true mean is 0."""
        return min(1.0, 2 * min(self.p_above(), self.p_below()))


def of_seeds(differences: Sequence[float] | np.ndarray) -> Estimate:
    """The estimate for a metric that is one number per run, e.g. its epochs: Student's t over seeds.

    Args:
        differences: one per seed; the error of a single one is unknown.
    """
    values = np.asarray(differences, "float64")
    if len(values) < 2:
        return Estimate(float(values.mean()), math.nan, math.nan)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))), len(values) - 1.0)


def of_seeds_and_images(*samples: np.ndarray) -> Estimate:
    """The estimate for the sum of the samples' means, seeds and images crossed; degrees of freedom by Satterthwaite.

    Each variance counts once: MS_s / nm over seeds and MS_i / nm over images both include the interaction of seed and
    image, so MS_si / nm is subtracted. With one seed, the error is from the images alone.

    Args:
        samples: float (seeds, images), with the same seeds but different images; NaN where an image does not count.
            One sample for a paired difference; two, the second negated, to compare different images.
    """
    n = len(samples[0])
    by_seed = np.sum([np.nanmean(sample, axis=1) for sample in samples], axis=0)
    mean = float(by_seed.mean())
    images, together = zip(*(_image_terms(sample) for sample in samples), strict=True)
    image_terms, joint_terms = list(images), list(together)
    if n == 1:
        return Estimate(mean, math.sqrt(sum(term for term, _ in image_terms)), math.inf)
    seed_term = (float(by_seed.var(ddof=1)) / n, n - 1.0)
    terms = [seed_term, *image_terms, *((-term, degrees) for term, degrees in joint_terms)]
    variance = sum(term for term, _ in terms)
    # If the interaction explains all of one of the two terms, the sum may come out below the other term alone.
    least = max(seed_term[0], sum(term for term, _ in image_terms))
    if variance < least:
        terms = [seed_term] if seed_term[0] == least else image_terms
        variance = least
    if variance == 0:
        return Estimate(mean, 0.0, n - 1.0)
    degrees = variance**2 / sum(term**2 / degrees for term, degrees in terms)
    return Estimate(mean, math.sqrt(variance), max(degrees, n - 1.0))


def _image_terms(sample: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """MS_i / nm and MS_si / nm of a (seeds, images) sample, each with its degrees of freedom."""
    counted = sample[:, ~np.isnan(sample).all(axis=0)]
    n, m = counted.shape
    by_image = np.nanmean(counted, axis=0)
    images = float(by_image.var(ddof=1)) / m
    if n == 1:
        return (images, m - 1.0), (0.0, 1.0)
    residual = counted - by_image - (np.nanmean(counted, axis=1) - np.nanmean(counted))[:, None]
    degrees = max(float((~np.isnan(residual)).sum()) - n - m + 1, 1.0)
    return (images, m - 1.0), (float(np.nansum(residual**2)) / degrees / (n * m), degrees)


def prediction_interval(values: Sequence[float], level: float = LEVEL) -> float:
    """Half-width of the prediction interval for one more normally distributed value; NaN for fewer than three values.

    With the default `level`, the 95 % interval.

    Its centre is the mean; the half-width is t · sd · √(1 + 1/n), Student's t with n − 1 degrees of freedom.
    """
    from scipy import stats

    n = len(values)
    if n < FEWEST_TO_PREDICT:
        return math.nan
    return float(stats.t.ppf(1 - level / 2, n - 1) * np.std(values, ddof=1) * math.sqrt(1 + 1 / n))


def over_seeds(curves: Sequence[Sequence[float | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Curves of one row's runs by epoch, float64 (runs, epochs), and their median, lowest and highest, (3, epochs).

    A value that is missing or not finite is NaN. The second array is NaN where fewer than half of the runs have a
    value, and ends with the last epoch that has enough.
    """
    values = np.full((len(curves), max(map(len, curves))), np.nan)
    for line, curve in zip(values, curves, strict=True):
        line[: len(curve)] = finite(curve)
    enough = (~np.isnan(values)).sum(axis=0) * 2 >= len(curves)
    summary = np.full((3, np.flatnonzero(enough).max(initial=-1) + 1), np.nan)
    there = values[:, enough]
    summary[:, enough[: summary.shape[1]]] = np.nanmedian(there, 0), np.nanmin(there, 0), np.nanmax(there, 0)
    return values, summary


def finite(values: Sequence[float | None]) -> np.ndarray:
    """float64, with NaN for values that are missing or not finite."""
    found = np.array(values, "float64")
    return np.where(np.isfinite(found), found, np.nan)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p (Holm 1979): compare each with the level for the whole family."""
    adjusted, so_far = [0.0] * len(p), 0.0
    for rank, place in enumerate(np.argsort(p, kind="stable")):
        so_far = max(so_far, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = so_far
    return adjusted


def power(distance: float, by_seed: Sequence[float], image_error: float, *, n: int, level: float) -> float:
    """The probability that n seeds show a difference on the right side of an edge, by a one-sided t test.

    Args:
        distance: of the true mean from the edge; the power is at most `level` if it is not positive.
        by_seed: differences of earlier seeds; their standard deviation is taken as the true one.
        image_error: the mean's standard error from the images, which more seeds do not reduce.
        level: of the test, after a correction for a family of tests.
    """
    from scipy import stats

    error = math.sqrt(float(np.var(by_seed, ddof=1)) / n + image_error**2)
    if error == 0:
        return float(distance > 0)
    return float(stats.nct.sf(stats.t.isf(level, n - 1), n - 1, distance / error))
