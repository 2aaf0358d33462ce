"""The report's claims (`experiments/claims.toml`), each decided by a written rule from the published records.

Only full runs on CIFAR-10 of experiments 1 and 2 with the seeds 0 to 5 count, as whoever trains until something is
decided will find something. They are compared in pairs: same seed, same images. For every comparison
d = first − second:

- the sign-flip p over seeds: two-sided, exact. Over n seeds it is at least 2^(1−n): with five or fewer never 0.05;
- Student's t with n − 1 degrees of freedom, of the mean of d over its standard error √(s²/n + v²), s over seeds and v
  that of the mean over images: p of d = 0, two-sided, and p of |d| reaching what matters, one-sided. Both by Holm's
  method over all declared comparisons, also those without runs; a claim about where models look is a family of its own,
  as it has a comparison for every class. The noise that belongs to a seed and an image together is in both s and v, so
  the error is rather too large, which makes for "undecided";
- its 95 % interval by the same t and error, for itself alone; of one seed, from the images alone;
- McNemar's exact test within each seed, on the images that one row has right and the other wrong. It is shown, and
  decides nothing.

The rule. d is *above* when its mean is at least what matters, and the sign-flip p and the first p are at most 0.05;
*below* likewise on the other side; *no higher* when the second p is at most 0.05 on the upper side. "higher" holds when
d is above, and does not when it is no higher; "not higher" is the opposite. "other" holds when d is above or below, and
does not when |d| reaches what matters on neither side. With fewer than six seeds nothing is decided. A claim holds when
all its comparisons hold, does not hold when one does not, and is undecided otherwise. So "higher holds" says that there
is a difference, and that the best estimate of it is at least what matters.

What is undecided may still point one way, *so far for* or *so far against* the claim: with three seeds or more, by the
same rule with the 95 % interval in the place of each p, and nothing for the number of comparisons. That is no verdict.
About how many seeds would decide it is told, from three on, for a difference that stays, with the whole family counted
against it: more than six would be a new study, with seeds of its own.
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

RULE = (__doc__ or "").partition("\n\n")[2].strip()  # what the tables say of themselves
CLAIMS = EXPERIMENTS / "claims.toml"
LEVEL = 0.05
SEEDS = range(6)  # those that count
FEWEST = 6  # seeds: 2^(1-6) is the first that is at most LEVEL
POINTING = 3  # seeds, from which on what is undecided may point one way
MOST = 100  # seeds: more are not told
RESAMPLES = 9_999
HOLDS, NOT, UNDECIDED = "holds", "does not hold", "undecided"
SO_FAR = {HOLDS: "for", NOT: "against", UNDECIDED: ""}
FIRST_IS = ("higher", "not higher", "other")


def gap(run: Record) -> float:
    """Training minus validation accuracy, in points."""
    return 100 * (run.results["train"]["accuracy"] - run.results["validation"]["accuracy"])


def variation(run: Record) -> float:
    """How much the validation loss goes up and down from epoch to epoch, nats; NaN for fewer than ten epochs.

    The standard deviation around its running median of five epochs, without the first five, in which it falls steeply.
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
RIGHT = {"test_accuracy": "test", "validation_accuracy": "validation"}  # means over images, right or wrong
# Of `looking.py`: means of a kind of map over the test images that are predicted right.
LOOKS = ("border", "pointing", "background")
BETWEEN_MODELS = ("pointing", "background")  # what does not depend on where a layer's cells lie
UNITS = {"epochs": "epochs", "variation": "nats"}  # others: points
OTHERS = "other classes"
BY_CLASS = (
    "M6 against Model4, Grad-CAM's maps of the test images that both predict right, in percent: the evidence in the "
    "right quarter of a mosaic of which the image is a part (few mosaics are themselves predicted as that image's "
    "class), and the images that stay right when the half with the least evidence is another image's. 95 % interval "
    "and p: Student's t over seeds and images, of one seed from images alone; p by Holm's method over the ten classes. "
    "*by a spot*: the same difference with a spot in the middle of every image in the place of the maps; what it shows "
    "of a difference is not owed to where the models look."
)
AGAINST_CENTRED = (
    "Each kind of map minus a spot in the middle of every image, which knows nothing of the model, on the same test "
    "images: road, and in points deletion (lower is better), insertion and background. ± is the half-width of the 95 % "
    "interval by Student's t over seeds and images, of one seed from images alone, each for itself."
)
FAITHFUL = {"road": 1, "deletion": -1, "insertion": 1, "background": 1}  # -1: lower is better


@dataclass(frozen=True)
class Comparison:
    """What a claim says of row `first` against row `second`; see `experiments/claims.toml`.

    `of` and `second_of` name the class whose images count, or `OTHERS`; all images by default, and `of` for both.
    `kind` is the kind of map, of `looking.KINDS`, that is looked at.
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
    """A claim of the report, in short words."""

    name: str
    words: str
    comparisons: tuple[Comparison, ...]
    note: str = ""  # what the comparisons cannot tell


@dataclass(frozen=True)
class Evidence:
    """What the records say about one comparison; differences are first − second, in the metric's unit.

    Attributes:
        seeds: those that both rows have.
        levels: the mean of `first` and of `second`, over what is compared.
        differences: one per seed.
        image_error: the mean's standard error from the images; 0 for what a run has one number of.
        mcnemar: p per seed; empty for metrics without images.
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
        """The mean's standard error, from seeds and images; of one seed, from images alone."""
        n = len(self.differences)
        return math.sqrt((np.var(self.differences, ddof=1) / n if n > 1 else 0.0) + self.image_error**2)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the mean by Student's t; of one seed, from images alone, and NaN where it has none."""
        from scipy import stats

        n = len(self.differences)
        if n == 1 and not self.image_error:
            return math.nan, math.nan
        half = self.error * float(stats.t.ppf(1 - LEVEL / 2, n - 1) if n > 1 else stats.norm.ppf(1 - LEVEL / 2))
        return self.mean - half, self.mean + half

    @property
    def sign_flip(self) -> float:
        """p over seeds."""
        return sign_flip(self.differences)

    def p_zero(self) -> float:
        """Student's t: p of no difference, two-sided; 1 for a single seed."""
        return min(1.0, 2 * min(self._below(0.0), 1 - self._below(0.0)))

    def p_reaching(self, matters: float) -> tuple[float, float]:
        """Student's t: p of a difference of at least `matters`, and of one of at most −`matters`; 1 for one seed."""
        return self._below(matters), 1 - self._below(-matters)

    def _below(self, edge: float) -> float:
        """The probability of so small a mean, or a smaller one, were the true difference `edge`."""
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
        UserError: wrong syntax, key or value; the text says where and what was expected.
    """
    try:
        blocks = tomllib.loads(path.read_text(encoding="utf-8"))["claim"]
        claims = []
        for block in blocks:
            found = []
            for values in block["comparisons"]:
                one = Comparison(**values)
                classes = ("", *cifar10.CLASS_NAMES)
                for value, known in (
                    (one.metric, (*METRICS, *RIGHT, *LOOKS)),
                    (one.first_is, FIRST_IS),
                    (one.of, classes),
                    (one.second_of, (OTHERS, *classes)),
                    (one.kind, measuring.KINDS),
                ):
                    if value not in known:
                        raise UserError(
                            f'{path}, claim {block["name"]}: "{value}" is not known. {suggest(value, known)}'
                        )
                if not (type(one.matters) in (int, float) and one.matters >= 0):
                    raise UserError(f"{path}, claim {block['name']}: matters must be a number from 0 on.")
                found.append(one)
            claims.append(Claim(block["name"], block["words"], tuple(found), block.get("note", "")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: {error}. Compare it with the comment at its top.") from None
    return tuple(claims)


def counted(found: Sequence[Record]) -> list[Record]:
    """The runs that claims are decided by: full ones on CIFAR-10, of the report's experiments, with these seeds."""
    return [
        r for r in found if r.experiment in ORIGINALS and r.seed in SEEDS and not r.shortened and not r.is_synthetic
    ]


def reported(comparison: Comparison) -> float:
    """The same difference by the report's own figures; NaN where it gives none."""
    first, second = (original.rows().get(name) for name in (comparison.first, comparison.second))
    of = {
        "test_accuracy": lambda line: float(line["test_acc"]),
        "validation_accuracy": lambda line: float(line["valid_acc"]),
        "gap": lambda line: float(line["train_acc"]) - float(line["valid_acc"]),
        "epochs": lambda line: float(line["epochs"]),
    }.get(comparison.metric)
    return of(first) - of(second) if first and second and of and not comparison.of else math.nan


def evidence(comparison: Comparison, found: Sequence[Record]) -> Evidence | None:
    """What the runs say; None where no seed has both rows."""
    first, second = ([r for r in found if r.name == name] for name in (comparison.first, comparison.second))
    return between(first, second, comparison)


def between(firsts: Sequence[Record], seconds: Sequence[Record], comparison: Comparison) -> Evidence | None:
    """As `evidence`, of one row's runs against another's, whatever their names."""
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
    ours = [_by_image(first[s], comparison, comparison.of) for s in seeds]
    theirs = [_by_image(second[s], comparison, second_of, others) for s in seeds]
    count = min(map(len, ours + theirs))  # some may be measured on fewer images
    a, b = (np.array([values[:count] for values in side]) for side in (ours, theirs))
    if second_of == comparison.of and not others:  # the same images: those that count in both runs
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
    """A metric's value for every image, in percent, float64; NaN for images that do not count.

    of, others: only this class's images, or only those of all others.
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
    """(seeds, images) without the images that count in no seed."""
    return values[:, ~np.isnan(values).all(axis=0)]


def sign_flip(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the mean under all 2^n assignments of signs; for more than 16 values, under some drawn by lot."""
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
    """Exact two-sided p that two models with these right answers (0 or 1 per image) are equally good."""
    from scipy import stats

    only_first, only_second = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return float(stats.binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def decide(comparison: Comparison, found: Evidence | None, p_zero: float, p_reaching: float) -> str:
    """The verdict on one comparison by the rule at the top; both p by Holm's method."""
    if found is None or len(found.seeds) < FEWEST:
        return UNDECIDED
    return _rule(comparison, found.mean, found.sign_flip <= LEVEL and p_zero <= LEVEL, p_reaching <= LEVEL)


def so_far(comparison: Comparison, found: Evidence | None) -> str:
    """Where an undecided comparison points, as a verdict; UNDECIDED where it points nowhere or seeds are too few."""
    if found is None or len(found.seeds) < POINTING:
        return UNDECIDED
    low, high = found.interval
    within = max(high, -low) if comparison.first_is == "other" else high
    return _rule(comparison, found.mean, low > 0 or high < 0, within <= comparison.matters)


def _rule(comparison: Comparison, mean: float, differs: bool, within: bool) -> str:
    """differs: surely from 0. within: surely no higher than what matters."""
    above = differs and mean >= comparison.matters
    below = differs and mean <= -comparison.matters
    if comparison.first_is == "other":
        return HOLDS if above or below else NOT if within else UNDECIDED
    holds, fails = (above, within) if comparison.first_is == "higher" else (within, above)
    return HOLDS if holds else NOT if fails else UNDECIDED


def _all(verdicts: set[str]) -> str:
    """A claim's, from those of its comparisons."""
    return NOT if NOT in verdicts else HOLDS if verdicts == {HOLDS} else UNDECIDED


def seeds_needed(comparison: Comparison, found: Evidence, family: int = 1) -> int | None:
    """How many seeds would decide an undecided comparison, were mean and spread to stay; None: more than `MOST`.

    p of the distance between the mean and the edge that it has to clear (0 where it is at least what matters, else what
    matters) must be small enough for a family of so many comparisons. The images' part of the error is taken to stay.
    """
    from scipy import stats

    n = len(found.seeds)
    if n < 2:
        return None
    mean = abs(found.mean) if comparison.first_is == "other" else found.mean
    distance, sides = (mean, 2) if mean >= comparison.matters else (comparison.matters - mean, 1)
    seeds = np.arange(max(FEWEST, n + 1), MOST + 1)
    error = np.sqrt(np.var(found.differences, ddof=1) / seeds + found.image_error**2)
    with np.errstate(divide="ignore"):
        p = family * sides * stats.t.sf(distance / error, seeds - 1)
    return next(map(int, seeds[p <= LEVEL]), None)


def _needed(comparison: Comparison, found: Evidence, family: int) -> str:
    """`seeds_needed`, in words; of one or two seeds nothing can be foretold."""
    if len(found.seeds) < POINTING:
        return f"at least {FEWEST}"
    needed = seeds_needed(comparison, found, family)
    return f"about {needed}" if needed else f"more than {MOST}"


def table(found: Sequence[Record], claims: Sequence[Claim]) -> "pd.DataFrame":
    """One line per comparison, with its claim's verdict. Differences are first − second, in the metric's unit."""
    import pandas as pd

    found = counted(found)
    declared = [(claim, one) for claim in claims for one in claim.comparisons]
    each = list(dict.fromkeys(one for _, one in declared))
    seen = {one: evidence(one, found) for one in terminal.track(each, "Claims")}
    family_of: dict[Comparison, int] = {}
    p_zero: dict[Comparison, float] = {}
    p_reaching: dict[Comparison, float] = {}
    for family in dict.fromkeys(_family(claim) for claim in claims):
        those = list(dict.fromkeys(one for claim, one in declared if _family(claim) == family))
        family_of |= dict.fromkeys(those, len(those))
        p_zero |= zip(those, holm([e.p_zero() if (e := seen[one]) else 1.0 for one in those]), strict=True)
        p_reaching |= zip(those, holm([_p_reaching(one, seen[one]) for one in those]), strict=True)
    verdict = {one: decide(one, seen[one], p_zero[one], p_reaching[one]) for one in seen}
    lines: list[dict[str, Any]] = []
    for claim, one in declared:
        judged = _all({verdict[other] for other in claim.comparisons})
        points = _all({so_far(other, seen[other]) for other in claim.comparisons})
        line = {
            "claim": claim.name,
            "words": claim.words,
            "verdict": judged,
            "so far": SO_FAR[points] if judged == UNDECIDED else "",
            "comparison": str(one),
            "matters": one.matters,
            "unit": UNITS.get(one.metric, "points"),
            "decided": verdict[one],
            "reported": reported(one),
            "note": claim.note,
            "n": 0,
        }
        if (e := seen[one]) is not None:
            line |= {
                "n": len(e.seeds),
                "first": e.levels[0],
                "second": e.levels[1],
                "difference": e.mean,
                "low": e.interval[0],
                "high": e.interval[1],
                "by seed": "; ".join(f"{d:+.3g}" for d in e.differences),
                "sign-flip p": e.sign_flip,
                "p, no difference (Holm)": p_zero[one],
                "p, reaching what matters (Holm)": p_reaching[one],
                "McNemar p by seed": "; ".join(f"{q:.2g}" for q in e.mcnemar),
                "seeds to decide": _needed(one, e, family_of[one]) if verdict[one] == UNDECIDED else "",
            }
        lines.append(line)
    return pd.DataFrame(lines)


def _p_reaching(comparison: Comparison, found: Evidence | None) -> float:
    if found is None:
        return 1.0
    above, below = found.p_reaching(comparison.matters)
    return max(above, below) if comparison.first_is == "other" else above


def by_class(found: Sequence[Record], first: str = "M6", second: str = "Model4") -> "pd.DataFrame":
    """Where two rows look, by class: each of `BETWEEN_MODELS` on the test images that both predict right.

    p: Student's t over seeds and images, by Holm's method over the ten classes; empty for a single seed.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for metric in BETWEEN_MODELS:

        def pairs(kind: str, metric: str = metric) -> dict[str, Evidence]:
            asked = {n: Comparison(first, second, metric, "other", 0.0, of=n, kind=kind) for n in cifar10.CLASS_NAMES}
            found_of = {n: evidence(one, counted(found)) for n, one in asked.items()}
            return {n: e for n, e in found_of.items() if e is not None}

        seen, by_a_spot = pairs("gradcam"), pairs("centred")
        adjusted = holm([e.p_zero() for e in seen.values()])
        for (name, e), p in zip(seen.items(), adjusted, strict=True):
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


def against_centred(found: Sequence[Record], alike: bool = False) -> "pd.DataFrame":
    """Per row and method of `maps.py`: its maps against a spot in the middle; see `AGAINST_CENTRED`.

    alike: only by the runs of a row that all its methods were measured on.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for name in dict.fromkeys(r.name for r in counted(found)):
        runs = {r.seed: measurements.read(r) for r in counted(found) if r.name == name}
        kinds = [kind for kind in methods.METHODS if any(f"{kind}/road" in values for values in runs.values())]
        if alike:
            runs = {s: values for s, values in runs.items() if all(f"{kind}/road" in values for kind in kinds)}
        for kind in kinds:
            both = (f"{kind}/road", "centred/road")
            those = {seed: values for seed, values in runs.items() if all(value in values for value in both)}
            if not those:
                continue
            count = min(len(values[value]) for values in those.values() for value in both)
            line: dict[str, Any] = {"row": name, "map": methods.title(kind), "n": len(those)}
            for measure in FAITHFUL:
                pairs = ((values[f"{kind}/{measure}"], values[f"centred/{measure}"]) for values in those.values())
                scale = 1 if measure == "road" else 100
                d = scale * np.array([a[:count].astype("float64") - b[:count] for a, b in pairs])
                e = Evidence(tuple(those), (0, 0), tuple(d.mean(axis=1).tolist()), _image_error([d]))
                line |= {measure: e.mean, f"{measure} ±": e.interval[1] - e.mean}
            lines.append(line)
    return pd.DataFrame(lines)


def faithful(found: Sequence[Record]) -> str:
    """What `against_centred` comes to: where Grad-CAM tells more than the spot, and which map tells most."""
    told, table, alike = [], against_centred(found), against_centred(found, alike=True)
    for name, group in table.groupby("row", sort=False) if len(table) else ():
        better = {way: [] for way in (1, -1)}  # type: dict[int, list[str]]
        for line in group[group["map"] == methods.title("gradcam")].to_dict("records"):
            for measure, sign in FAITHFUL.items():
                if abs(line[measure]) > line[f"{measure} ±"]:
                    better[1 if sign * line[measure] > 0 else -1].append(measure)
        words = {way: ", ".join(those) or "none of the four" for way, those in better.items()}
        sentence = f"{name}: Grad-CAM is more faithful than a spot in the middle by {words[1]}, and less by {words[-1]}"
        if len(alike) and len(those := alike[alike["row"] == name]):
            best = (f"{those.loc[(sign * those[m]).idxmax(), 'map']} by {m}" for m, sign in FAITHFUL.items())
            sentence += f"; of {len(those)} maps of the same models (n = {those['n'].min()}) the best is "
            sentence += ", ".join(best)
        told.append(f"{sentence}.")
    return " ".join(told)


def _family(claim: Claim) -> str:
    """Comparisons of one family are corrected together."""
    return claim.name if any(one.of for one in claim.comparisons) else ""


def verdicts(table: "pd.DataFrame", between: str = "; ") -> "pd.DataFrame":
    """One line per claim: its words, verdict, where it points, seeds (the fewest of its comparisons), and evidence.

    The evidence: each comparison's difference, points where nothing else is said, with its 95 % interval, seeds, how
    many would decide, and the report's own difference; then the claim's note; `between` parts them.
    """
    import pandas as pd

    def text(line: dict[str, Any]) -> str:
        comparison = line["comparison"].replace("_", " ")
        digits = 4 if line["unit"] == "nats" else 0 if line["unit"] == "epochs" else 2
        theirs = "" if math.isnan(line["reported"]) else f"; report {line['reported']:+.{digits}f}"
        if not line["n"]:
            done = "trained and measured" if line["comparison"].endswith(LOOKS) else "trained"
            return f"{comparison}: not {done} yet{theirs}"
        known = not math.isnan(line["low"])
        alone = ", from images alone" if line["n"] == 1 else ""
        interval = f" ({line['low']:+.{digits}f} … {line['high']:+.{digits}f}{alone})" if known else ""
        needed = line["seeds to decide"]
        seeds = f"n = {line['n']}" + (f", {needed} needed" if needed else "")
        unit = "" if line["unit"] == "points" else f" {line['unit']}"
        return f"{comparison}: {line['difference']:+.{digits}f}{unit}{interval}, {seeds}{theirs}"

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
