"""The original's claims (`experiments/claims.toml`), each decided from the published records by a written rule.

Only full runs of experiments 1 and 2 on CIFAR-10 count, and only with seeds 0 to 5: anyone who keeps training until
something is decided will find something. Runs are compared in pairs: same seed, same images. For every comparison, with
d = first − second, we compute:

- The sign-flip p over seeds, two-sided and exact. Over n seeds it is at least 2^(1−n), so five or fewer seeds never
  reach 0.05.
- Student's t with n − 1 degrees of freedom: the mean of d over its standard error √(s²/n + v²), where s is the standard
  deviation over seeds and v the standard error of the mean over images. It gives two p: that of d = 0, two-sided, and
  that of |d| reaching the margin, one-sided. Both are adjusted by Holm's method over all declared comparisons, even
  those without runs. A claim about where models look is a family of its own, because it has a comparison for every
  class. Noise that is specific to one seed and one image enters both s and v. This makes the error somewhat too large,
  which favours "undecided".
- The 95 % interval, from the same t and error, not adjusted for the number of comparisons. With one seed, it comes from
  the images alone.
- McNemar's exact test within each seed, on the images that one row gets right and the other wrong. It is shown, but
  decides nothing.

The rule. d is *above* when its mean is at least the margin and both the sign-flip p and the first p are at most 0.05;
*below* likewise on the other side; *no higher* when the second p is at most 0.05 on the upper side. "higher" holds when
d is above, and does not hold when d is no higher; "not higher" is the opposite. "other" holds when d is above or below,
and does not hold when |d| reaches the margin on neither side. With fewer than six seeds, nothing is decided. A claim
holds when all its comparisons hold, does not hold when at least one of them does not hold, and is undecided otherwise.
So "higher holds" says that there is a difference, and that the best estimate of it is at least the margin.

An undecided claim may still point one way: it is supported or contradicted *so far* (*for* or *against* in the column
*so far*). This takes three seeds or more and follows the same rule, with the 95 % interval in place of each p and no
adjustment for the number of comparisons. It is not a verdict. From three seeds on, an undecided comparison also shows
about how many seeds would decide it if the difference stays the same, adjusted for the whole family of comparisons.
More than six seeds would be a new study, with its own seeds.
"""

import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import terminal
from kerascifar.common.errors import UserError, suggest
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.findings.statistics import holm
from kerascifar.focus import measuring, methods
from kerascifar.images import cifar10
from kerascifar.runs import measurements, original
from kerascifar.runs.records import ORIGINALS, Record

if TYPE_CHECKING:
    import pandas as pd

RULE = (__doc__ or "").partition("\n\n")[2].strip()  # shown with the tables
CLAIMS = EXPERIMENTS / "claims.toml"
LEVEL = 0.05
SEEDS = range(6)  # the ones that count
FEWEST = 6  # seeds: the smallest n with 2^(1-n) at most LEVEL
POINTING = 3  # seeds: from here on, an undecided comparison may point one way
MOST = 100  # seeds: beyond this, only "more than 100" is shown
RESAMPLES = 9_999
HOLDS, NOT, UNDECIDED = "holds", "does not hold", "undecided"
SO_FAR = {HOLDS: "for", NOT: "against", UNDECIDED: ""}
FIRST_IS = ("higher", "not higher", "other")


def gap(run: Record) -> float:
    """Training minus validation accuracy, in points."""
    return 100 * (run.results["train"]["accuracy"] - run.results["validation"]["accuracy"])


def variation(run: Record) -> float:
    """How much the validation loss fluctuates from epoch to epoch, in nats; NaN for fewer than ten epochs.

    The standard deviation around its running median over five epochs, without the first five, where it falls steeply.
    """
    from scipy import ndimage

    losses = np.array(run.history["val_loss"])
    if len(losses) < 10:
        return math.nan
    return float(np.std((losses - ndimage.median_filter(losses, 5, mode="nearest"))[5:]))


METRICS: dict[str, Callable[[Record], float]] = {
    "gap": gap,
    "epochs": lambda run: float(run.epochs_trained),
    "variation": variation,
}
RIGHT = {"test_accuracy": "test", "validation_accuracy": "validation"}  # means over images, each right or wrong
# Measures of `focus/measuring.py`: means for one kind of map over the correctly predicted test images.
LOOKS = ("border", "pointing", "background")
BETWEEN_MODELS = ("pointing", "background")  # these do not depend on where a layer's cells lie
UNITS = {"epochs": "epochs", "variation": "nats"}  # others: points
OTHERS = "other classes"
BY_CLASS = (
    "M6 against Model4: Grad-CAM's maps of the test images that both predict correctly, in percent. *pointing*: the "
    "share of a mosaic's evidence in the quarter that shows the image (few mosaics are themselves predicted as that "
    "image's class). *background*: the share of images still predicted correctly after the half with the least "
    "evidence is replaced by another image's. 95 % interval and p: Student's t over seeds and images, or over images "
    "alone with one seed; p by Holm's method over the ten classes. *by a spot*: the same difference with the centred "
    "spot in place of the maps. The part of a difference that the spot shows too is not due to where the models look."
)
AGAINST_CENTRED = (
    "Each kind of map minus a spot in the middle of every image, which knows nothing of the model, on the same test "
    "images: road, and in points deletion (lower is better), insertion and background. ± is the half-width of the 95 % "
    "interval by Student's t over seeds and images, of one seed from images alone, each for itself."
)
FAITHFUL = {"road": 1, "deletion": -1, "insertion": 1, "background": 1}  # -1: lower is better


@dataclass(frozen=True)
class Comparison:
    """One row against another: by `metric`, `first` is `first_is` than `second`; see `experiments/claims.toml`.

    `of` and `second_of` name the class whose images count, or `OTHERS`. By default all images count, and `second_of` is
    the same as `of`. `kind` is the kind of map that is measured, one of `measuring.KINDS`.
    """

    first: str
    second: str
    metric: str
    first_is: str
    matters: float
    of: str = ""
    second_of: str = ""
    kind: str = "gradcam"

    def __str__(self) -> str:
        first, second = (f"{self.first} {self.of}".strip(), f"{self.second} {self.second_of or self.of}".strip())
        return f"{first} {self.first_is} than {second}, {self.metric}"


@dataclass(frozen=True)
class Claim:
    """A claim in the original, in a few words, with the comparisons that decide it."""

    name: str
    words: str
    comparisons: tuple[Comparison, ...]
    note: str = ""  # what the comparisons leave unanswered


@dataclass(frozen=True)
class Evidence:
    """What the records say about one comparison; differences are first − second, in the metric's unit.

    Attributes:
        seeds: the seeds that both rows have.
        levels: the means of `first` and `second`, over the seeds and images compared.
        differences: one per seed.
        image_error: the mean's standard error from the images; 0 for a metric that is one number per run.
        mcnemar: p for each seed; empty unless the metric is an accuracy over all images.
    """

    seeds: tuple[int, ...]
    levels: tuple[float, float]
    differences: tuple[float, ...]
    image_error: float
    mcnemar: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return float(np.mean(self.differences))

    @property
    def error(self) -> float:
        """The mean's standard error, from seeds and images; with one seed, from images alone."""
        n = len(self.differences)
        return math.sqrt((np.var(self.differences, ddof=1) / n if n > 1 else 0.0) + self.image_error**2)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean by Student's t; with one seed, from images alone, or NaN if the metric has none."""
        from scipy import stats

        n = len(self.differences)
        if n == 1 and not self.image_error:
            return math.nan, math.nan
        half = self.error * float(stats.t.ppf(1 - LEVEL / 2, n - 1) if n > 1 else stats.norm.ppf(1 - LEVEL / 2))
        return self.mean - half, self.mean + half

    @property
    def sign_flip(self) -> float:
        """The sign-flip p over seeds."""
        return sign_flip(self.differences)

    def p_zero(self) -> float:
        """Student's t: two-sided p of no difference; 1 for a single seed."""
        return min(1.0, 2 * min(self._below(0.0), 1 - self._below(0.0)))

    def p_reaching(self, matters: float) -> tuple[float, float]:
        """Student's t: one-sided p of a difference of at least `matters`, and of at most −`matters`; 1 for one seed."""
        return self._below(matters), 1 - self._below(-matters)

    def _below(self, edge: float) -> float:
        """The probability of a mean this small or smaller if the true difference were `edge`."""
        from scipy import stats

        n = len(self.differences)
        if n < 2:
            return 1.0 if edge > 0 else 0.0 if edge < 0 else 0.5
        if self.error == 0:
            return 0.5 if self.mean == edge else float(self.mean > edge)
        return float(stats.t.cdf((self.mean - edge) / self.error, n - 1))


def read(path: Path = CLAIMS) -> tuple[Claim, ...]:
    """The declared claims.

    Raises:
        UserError: wrong syntax, key or value; the message says where, and what was expected.
    """
    try:
        blocks = tomllib.loads(path.read_text(encoding="utf-8"))["claim"]
        claims = []
        for block in blocks:
            comparisons = []
            for values in block["comparisons"]:
                comparison = Comparison(**values)
                classes = ("", *cifar10.CLASS_NAMES)
                for value, known in (
                    (comparison.metric, (*METRICS, *RIGHT, *LOOKS)),
                    (comparison.first_is, FIRST_IS),
                    (comparison.of, classes),
                    (comparison.second_of, (OTHERS, *classes)),
                    (comparison.kind, measuring.KINDS),
                ):
                    if value not in known:
                        raise UserError(
                            f'{path}, claim {block["name"]}: "{value}" is not known. {suggest(value, known)}'
                        )
                if not (type(comparison.matters) in (int, float) and comparison.matters >= 0):
                    raise UserError(f"{path}, claim {block['name']}: matters must be a number, 0 or more.")
                comparisons.append(comparison)
            claims.append(Claim(block["name"], block["words"], tuple(comparisons), block.get("note", "")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: {error}. Compare it with the comment at its top.") from None
    return tuple(claims)


def counted(records: Sequence[Record]) -> list[Record]:
    """The runs that decide claims: full runs of the original's experiments on CIFAR-10, with these seeds."""
    return [
        r for r in records if r.experiment in ORIGINALS and r.seed in SEEDS and not r.shortened and not r.is_synthetic
    ]


def reported(comparison: Comparison) -> float:
    """The same difference in the original's own figures; NaN where it reports none."""
    first, second = (original.rows().get(name) for name in (comparison.first, comparison.second))
    of = {
        "test_accuracy": lambda line: float(line["test_acc"]),
        "validation_accuracy": lambda line: float(line["valid_acc"]),
        "gap": lambda line: float(line["train_acc"]) - float(line["valid_acc"]),
        "epochs": lambda line: float(line["epochs"]),
    }.get(comparison.metric)
    return of(first) - of(second) if first and second and of and not comparison.of else math.nan


def evidence(comparison: Comparison, records: Sequence[Record]) -> Evidence | None:
    """The comparison's result from the runs; None if the two rows have no seed in common."""
    first, second = ([r for r in records if r.name == name] for name in (comparison.first, comparison.second))
    return between(first, second, comparison)


def between(firsts: Sequence[Record], seconds: Sequence[Record], comparison: Comparison) -> Evidence | None:
    """Like `evidence`, but for given runs of two rows, whatever their names."""
    first, second = ({r.seed: r for r in runs} for runs in (firsts, seconds))
    seeds = sorted(first.keys() & second.keys())
    metric = comparison.metric
    if metric in METRICS:
        pairs = {s: (METRICS[metric](first[s]), METRICS[metric](second[s])) for s in seeds}
        pairs = {s: pair for s, pair in pairs.items() if np.isfinite(pair).all()}
        if not pairs:
            return None
        values = np.array(list(pairs.values()))
        differences = values[:, 0] - values[:, 1]
        levels = (float(values[:, 0].mean()), float(values[:, 1].mean()))
        return Evidence(tuple(pairs), levels, tuple(differences.tolist()), 0.0)
    if metric in LOOKS:  # not measured for every run
        name = f"{comparison.kind}/{metric}"
        seeds = [s for s in seeds if name in measurements.read(first[s]) and name in measurements.read(second[s])]
    if not seeds:
        return None
    others = comparison.second_of == OTHERS
    second_of = comparison.of if others else comparison.second_of or comparison.of
    of_first = [_by_image(first[s], comparison, comparison.of) for s in seeds]
    of_second = [_by_image(second[s], comparison, second_of, others) for s in seeds]
    count = min(map(len, of_first + of_second))  # some runs may be measured on fewer images
    a, b = (np.array([values[:count] for values in side]) for side in (of_first, of_second))
    if second_of == comparison.of and not others:  # the same images: keep the ones that count in both runs
        a, b = np.where(np.isnan(b), np.nan, a), np.where(np.isnan(a), np.nan, b)
        samples = [_some(a - b)]
    else:
        samples = [_some(a), _some(-b)]
    if any((~np.isnan(sample)).sum(axis=1).min() < 2 for sample in samples):
        return None
    differences = sum(np.nanmean(sample, axis=1) for sample in samples)
    return Evidence(
        tuple(seeds),
        (float(np.nanmean(a, axis=1).mean()), float(np.nanmean(b, axis=1).mean())),
        tuple(differences.tolist()),
        _image_error(samples),
        tuple(map(mcnemar, a / 100, b / 100)) if metric in RIGHT and not comparison.of else (),
    )


def _by_image(run: Record, comparison: Comparison, of: str, others: bool = False) -> np.ndarray:
    """A metric's value for each image, in percent, float64; NaN for images that do not count.

    Only the images of the class `of` count; with `others`, only those of all other classes.
    """
    metric = comparison.metric
    split = RIGHT.get(metric, "test")
    if metric in RIGHT:
        values = 100.0 * run.right(split)
    else:
        values = 100.0 * measurements.read(run)[f"{comparison.kind}/{metric}"].astype("float64")
        values[~run.right()[: len(values)]] = math.nan
    if of:
        is_of = run.predictions[f"{split}_label"][: len(values)] == run.dataset["class_names"].index(of)
        values[is_of == others] = math.nan
    return values


def _image_error(samples: Sequence[np.ndarray]) -> float:
    """The standard error, from the images, of the sum of the samples' means; each (seeds, images)."""
    by_image = [np.nanmean(sample, axis=0) for sample in samples]
    return math.sqrt(sum(np.var(values, ddof=1) / len(values) for values in by_image))


def _some(values: np.ndarray) -> np.ndarray:
    """(seeds, images), without the images that do not count for any seed."""
    return values[:, ~np.isnan(values).all(axis=0)]


def sign_flip(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the mean under all 2^n assignments of signs; beyond 16 values, under a random sample of them."""
    from scipy import stats

    if len(differences) < 2:
        return 1.0
    result = stats.permutation_test(
        (np.asarray(differences, "float64"),),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf if len(differences) <= 16 else RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Exact two-sided p of two models being equally good, from their right answers (0 or 1 per image)."""
    from scipy import stats

    only_first, only_second = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return float(stats.binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def decide(comparison: Comparison, result: Evidence | None, p_zero: float, p_reaching: float) -> str:
    """The verdict on one comparison, by the rule at the top of this module; both p are adjusted by Holm's method."""
    if result is None or len(result.seeds) < FEWEST:
        return UNDECIDED
    return _rule(comparison, result.mean, result.sign_flip <= LEVEL and p_zero <= LEVEL, p_reaching <= LEVEL)


def so_far(comparison: Comparison, result: Evidence | None) -> str:
    """Which way an undecided comparison points, as a verdict; UNDECIDED if neither way or with too few seeds."""
    if result is None or len(result.seeds) < POINTING:
        return UNDECIDED
    low, high = result.interval
    within = max(high, -low) if comparison.first_is == "other" else high
    return _rule(comparison, result.mean, low > 0 or high < 0, within <= comparison.matters)


def _rule(comparison: Comparison, mean: float, differs: bool, within: bool) -> str:
    """differs: significantly different from 0. within: significantly no higher than the margin."""
    above = differs and mean >= comparison.matters
    below = differs and mean <= -comparison.matters
    if comparison.first_is == "other":
        return HOLDS if above or below else NOT if within else UNDECIDED
    holds, fails = (above, within) if comparison.first_is == "higher" else (within, above)
    return HOLDS if holds else NOT if fails else UNDECIDED


def _all(verdicts: set[str]) -> str:
    """A claim's verdict, from those of its comparisons."""
    return NOT if NOT in verdicts else HOLDS if verdicts == {HOLDS} else UNDECIDED


def seeds_needed(comparison: Comparison, result: Evidence, family: int = 1) -> int | None:
    """How many seeds would decide an undecided comparison if mean and spread stayed the same; None: more than `MOST`.

    The mean has to clear an edge: 0 if it is at least the margin, otherwise the margin. The p of its distance from that
    edge must be small enough for a family of `family` comparisons. The error from the images is assumed to stay.
    """
    from scipy import stats

    n = len(result.seeds)
    if n < 2:
        return None
    mean = abs(result.mean) if comparison.first_is == "other" else result.mean
    distance, sides = (mean, 2) if mean >= comparison.matters else (comparison.matters - mean, 1)
    seeds = np.arange(max(FEWEST, n + 1), MOST + 1)
    error = np.sqrt(np.var(result.differences, ddof=1) / seeds + result.image_error**2)
    with np.errstate(divide="ignore"):
        p = family * sides * stats.t.sf(distance / error, seeds - 1)
    return next(map(int, seeds[p <= LEVEL]), None)


def _needed(comparison: Comparison, result: Evidence, family: int) -> str:
    """`seeds_needed`, in words; one or two seeds are too few for a forecast."""
    if len(result.seeds) < POINTING:
        return f"at least {FEWEST}"
    needed = seeds_needed(comparison, result, family)
    return f"about {needed}" if needed else f"more than {MOST}"


def table(records: Sequence[Record], claims: Sequence[Claim]) -> "pd.DataFrame":
    """One line per comparison, with its claim's verdict. Differences are first − second, in the metric's unit."""
    import pandas as pd

    records = counted(records)
    declared = [(claim, comparison) for claim in claims for comparison in claim.comparisons]
    distinct = list(dict.fromkeys(comparison for _, comparison in declared))
    results = {comparison: evidence(comparison, records) for comparison in terminal.track(distinct, "Claims")}
    size_of_family: dict[Comparison, int] = {}
    p_zero: dict[Comparison, float] = {}
    p_reaching: dict[Comparison, float] = {}
    for family in dict.fromkeys(_family(claim) for claim in claims):
        members = list(dict.fromkeys(comparison for claim, comparison in declared if _family(claim) == family))
        size_of_family |= dict.fromkeys(members, len(members))
        p_zero |= zip(members, holm([_p_zero(results[c]) for c in members]), strict=True)
        p_reaching |= zip(members, holm([_p_reaching(c, results[c]) for c in members]), strict=True)
    verdict = {c: decide(c, result, p_zero[c], p_reaching[c]) for c, result in results.items()}
    lines: list[dict[str, Any]] = []
    for claim, comparison in declared:
        judged = _all({verdict[other] for other in claim.comparisons})
        points = _all({so_far(other, results[other]) for other in claim.comparisons})
        line = {
            "claim": claim.name,
            "words": claim.words,
            "verdict": judged,
            "so far": SO_FAR[points] if judged == UNDECIDED else "",
            "comparison": str(comparison),
            "margin": comparison.matters,
            "unit": UNITS.get(comparison.metric, "points"),
            "decided": verdict[comparison],
            "reported": reported(comparison),
            "note": claim.note,
            "n": 0,
        }
        if (result := results[comparison]) is not None:
            line |= {
                "n": len(result.seeds),
                "first": result.levels[0],
                "second": result.levels[1],
                "difference": result.mean,
                "low": result.interval[0],
                "high": result.interval[1],
                "by seed": "; ".join(f"{d:+.3g}" for d in result.differences),
                "sign-flip p": result.sign_flip,
                "p, no difference (Holm)": p_zero[comparison],
                "p, reaching the margin (Holm)": p_reaching[comparison],
                "McNemar p by seed": "; ".join(f"{q:.2g}" for q in result.mcnemar),
                "seeds to decide": "",
            }
            if verdict[comparison] == UNDECIDED:
                line["seeds to decide"] = _needed(comparison, result, size_of_family[comparison])
        lines.append(line)
    return pd.DataFrame(lines)


def _p_zero(result: Evidence | None) -> float:
    return 1.0 if result is None else result.p_zero()


def _p_reaching(comparison: Comparison, result: Evidence | None) -> float:
    if result is None:
        return 1.0
    above, below = result.p_reaching(comparison.matters)
    return max(above, below) if comparison.first_is == "other" else above


def by_class(records: Sequence[Record], first: str = "M6", second: str = "Model4") -> "pd.DataFrame":
    """Where two rows look, by class: each of `BETWEEN_MODELS`, on the test images that both predict correctly.

    p: Student's t over seeds and images, adjusted by Holm's method over the ten classes; empty for a single seed.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for metric in BETWEEN_MODELS:

        def pairs(kind: str, metric: str = metric) -> dict[str, Evidence]:
            names = cifar10.CLASS_NAMES
            comparisons = [Comparison(first, second, metric, "other", 0.0, of=name, kind=kind) for name in names]
            results = {comparison.of: evidence(comparison, counted(records)) for comparison in comparisons}
            return {name: result for name, result in results.items() if result is not None}

        by_gradcam, by_a_spot = pairs("gradcam"), pairs("centred")
        adjusted = holm([e.p_zero() for e in by_gradcam.values()])
        for (name, e), p in zip(by_gradcam.items(), adjusted, strict=True):
            lines.append(
                {
                    "measure": metric,
                    "class": name,
                    "n": len(e.seeds),
                    first: e.levels[0],
                    second: e.levels[1],
                    "difference": e.mean,
                    "low": e.interval[0],
                    "high": e.interval[1],
                    "by a spot": by_a_spot[name].mean if name in by_a_spot else math.nan,
                    "p (Holm)": p if len(e.seeds) > 1 else math.nan,
                }
            )
    return pd.DataFrame(lines)


def against_centred(records: Sequence[Record], alike: bool = False) -> "pd.DataFrame":
    """For each row and method of `focus/methods.py`: its maps against the centred spot; see `AGAINST_CENTRED`.

    alike: use only a row's runs on which all its methods were measured.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for name in dict.fromkeys(r.name for r in counted(records)):
        runs = {r.seed: measurements.read(r) for r in counted(records) if r.name == name}
        kinds = [kind for kind in methods.METHODS if any(f"{kind}/road" in values for values in runs.values())]
        if alike:
            runs = {s: values for s, values in runs.items() if all(f"{kind}/road" in values for kind in kinds)}
        for kind in kinds:
            both = (f"{kind}/road", "centred/road")
            measured = {seed: values for seed, values in runs.items() if all(value in values for value in both)}
            if not measured:
                continue
            count = min(len(values[value]) for values in measured.values() for value in both)
            line: dict[str, Any] = {"row": name, "map": methods.title(kind), "n": len(measured)}
            for measure in FAITHFUL:
                pairs = ((values[f"{kind}/{measure}"], values[f"centred/{measure}"]) for values in measured.values())
                scale = 1 if measure == "road" else 100
                d = scale * np.array([a[:count].astype("float64") - b[:count] for a, b in pairs])
                e = Evidence(tuple(measured), (0, 0), tuple(d.mean(axis=1).tolist()), _image_error([d]))
                line |= {measure: e.mean, f"{measure} ±": e.interval[1] - e.mean}
            lines.append(line)
    return pd.DataFrame(lines)


def faithful(records: Sequence[Record]) -> str:
    """A summary of `against_centred`: where Grad-CAM is more faithful than the spot, and which method is most so."""
    sentences, table, alike = [], against_centred(records), against_centred(records, alike=True)
    for name, group in table.groupby("row", sort=False) if len(table) else ():
        better = {way: [] for way in (1, -1)}  # type: dict[int, list[str]]
        for line in group[group["map"] == methods.title("gradcam")].to_dict("records"):
            for measure, sign in FAITHFUL.items():
                if abs(line[measure]) > line[f"{measure} ±"]:
                    better[1 if sign * line[measure] > 0 else -1].append(measure)
        words = {way: ", ".join(measures) or "none of the four" for way, measures in better.items()}
        sentence = f"{name}: Grad-CAM is more faithful than a spot in the middle by {words[1]}, and less by {words[-1]}"
        if len(alike) and len(same := alike[alike["row"] == name]):
            best = (f"{same.loc[(sign * same[m]).idxmax(), 'map']} by {m}" for m, sign in FAITHFUL.items())
            sentence += f"; of {len(same)} maps of the same models (n = {same['n'].min()}) the best is "
            sentence += ", ".join(best)
        sentences.append(f"{sentence}.")
    return " ".join(sentences)


def _family(claim: Claim) -> str:
    """The name of a claim's family: the comparisons of one family are adjusted together."""
    return claim.name if any(comparison.of for comparison in claim.comparisons) else ""


def verdicts(table: "pd.DataFrame", between: str = "; ") -> "pd.DataFrame":
    """One line per claim: its words, verdict, which way it points, seeds (the fewest of its comparisons), and evidence.

    For each comparison, the evidence gives the difference (in points unless another unit is named), its 95 % interval,
    the number of seeds, how many would decide it, and the reported difference. The claim's note comes last. `between`
    separates these parts.
    """
    import pandas as pd

    def text(line: dict[str, Any]) -> str:
        comparison = line["comparison"].replace("_", " ")
        digits = 4 if line["unit"] == "nats" else 0 if line["unit"] == "epochs" else 2
        reported = "" if math.isnan(line["reported"]) else f"; reported {line['reported']:+.{digits}f}"
        if not line["n"]:
            done = "trained and measured" if line["comparison"].endswith(LOOKS) else "trained"
            return f"{comparison}: not {done} yet{reported}"
        known = not math.isnan(line["low"])
        alone = ", from images alone" if line["n"] == 1 else ""
        interval = f" ({line['low']:+.{digits}f} … {line['high']:+.{digits}f}{alone})" if known else ""
        needed = line["seeds to decide"]
        outlook = f", {needed} seeds {'would decide it' if needed.startswith('about') else 'needed'}" if needed else ""
        unit = "" if line["unit"] == "points" else f" {line['unit']}"
        return f"{comparison}: {line['difference']:+.{digits}f}{unit}{interval}, n = {line['n']}{outlook}{reported}"

    return pd.DataFrame(
        {
            "claim": name,
            "words": group["words"].iloc[0],
            "verdict": group["verdict"].iloc[0],
            "so far": group["so far"].iloc[0],
            "seeds": str(group["n"].min()),
            "evidence": between.join(filter(None, [*map(text, group.to_dict("records")), group["note"].iloc[0]])),
        }
        for name, group in table.groupby("claim", sort=False)
    )
