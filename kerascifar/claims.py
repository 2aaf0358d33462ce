"""The report's claims (`experiments/claims.toml`), each decided by a written rule from the published records.

Runs are compared in pairs: same seed, same images. For every comparison d = first − second:

- the interval: BCa bootstrap, 95 %, over seeds and test images together; over seeds for what a run has one number of;
- the sign-flip p over seeds: two-sided, exact. Over n seeds it is at least 2^(1−n): with five or fewer never 0.05;
- the bootstrap p: the share of resampled differences beyond 0, two-sided, by Holm's method over all comparisons; a
  claim about where models look is a family of its own, as it has a comparison for every class;
- McNemar's exact test within each seed, on the images that one row has right and the other wrong.

The rule. d is *above* when its mean is at least what matters, the interval is above 0, and both p are at most 0.05;
*below* likewise on the other side; *no higher* when the interval lies below what matters. "higher" holds when d is
above, and does not when it is no higher; "not higher" is the opposite. "other" holds when d is above or below, and does
not when the interval lies within what matters on both sides. With fewer than six seeds nothing is decided. A claim
holds when all its comparisons hold, does not hold when one does not, and is undecided otherwise.
"""

import itertools
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar import data, looking
from kerascifar.errors import UserError, suggest
from kerascifar.records import Record

if TYPE_CHECKING:
    import pandas as pd

RULE = (__doc__ or "").partition("\n\n")[2].strip()  # what the tables say of themselves
CLAIMS = Path(__file__).resolve().parent.parent / "experiments" / "claims.toml"
LEVEL = 0.05
FEWEST = 6  # seeds: 2^(1-6) is the first that is at most LEVEL
RESAMPLES = 9_999
HOLDS, NOT, UNDECIDED = "holds", "does not hold", "undecided"
FIRST_IS = ("higher", "not higher", "other")


def gap(run: Record) -> float:
    """Training minus validation accuracy, in points."""
    return 100 * (run.results["train"]["accuracy"] - run.results["validation"]["accuracy"])


def _variation(run: Record) -> float:
    return float(np.std(np.diff(run.history["val_loss"])))


METRICS: dict[str, Callable[[Record], float]] = {
    "test_accuracy": lambda run: 100 * run.results["test"]["accuracy"],
    "validation_accuracy": lambda run: 100 * run.results["validation"]["accuracy"],
    "gap": gap,
    "epochs": lambda run: float(run.epochs_trained),
    "variation": _variation,
}
RIGHT = {"test_accuracy": "test", "validation_accuracy": "validation"}  # means over images, right or wrong
LOOKS = (
    "border",
    "pointing",
)  # of `looking.py`: means of Grad-CAM's maps over the test images that are predicted right
OTHERS = "other classes"


@dataclass(frozen=True)
class Comparison:
    """What a claim says of row `first` against row `second`; see `experiments/claims.toml`.

    `of` and `second_of` name the class whose images count, or `OTHERS`; all images by default, and `of` for both.
    """

    first: str
    second: str
    metric: str
    first_is: str
    matters: float
    of: str = ""
    second_of: str = ""

    def __str__(self) -> str:
        first, second = (f"{self.first} {self.of}".strip(), f"{self.second} {self.second_of or self.of}".strip())
        return f"{first} {self.first_is} than {second}: {self.metric}"


@dataclass(frozen=True)
class Claim:
    """A claim of the report, in short words."""

    name: str
    words: str
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Evidence:
    """What the records say about one comparison; differences are first − second, in the metric's unit.

    Attributes:
        seeds: those that both rows have.
        differences: one per seed.
        interval: of the mean; NaN where it cannot be computed (one seed of a metric without images).
        sign_flip: p over seeds.
        bootstrap: p over seeds and images.
        mcnemar: p per seed; empty for metrics without images.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    interval: tuple[float, float]
    sign_flip: float
    bootstrap: float
    mcnemar: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.differences))


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
                classes = ("", *data.CLASS_NAMES)
                for value, known in (
                    (one.metric, (*METRICS, *LOOKS)),
                    (one.first_is, FIRST_IS),
                    (one.of, classes),
                    (one.second_of, (OTHERS, *classes)),
                ):
                    if value not in known:
                        raise UserError(
                            f'{path}, claim {block["name"]}: "{value}" is not known. {suggest(value, known)}'
                        )
                if not (type(one.matters) in (int, float) and one.matters >= 0):
                    raise UserError(f"{path}, claim {block['name']}: matters must be a number from 0 on.")
                found.append(one)
            claims.append(Claim(block["name"], block["words"], tuple(found)))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: {error}. Compare it with the comment at its top.") from None
    return tuple(claims)


def evidence(comparison: Comparison, found: Sequence[Record], keep: np.ndarray | None = None) -> Evidence | None:
    """What the runs say; None where no seed has both rows.

    Args:
        keep: bool (10000,): the test images to count; all by default. Only for test accuracy.
    """
    first, second = ([r for r in found if r.name == name] for name in (comparison.first, comparison.second))
    return between(first, second, comparison, keep)


def between(
    firsts: Sequence[Record], seconds: Sequence[Record], comparison: Comparison, keep: np.ndarray | None = None
) -> Evidence | None:
    """As `evidence`, of one row's runs against another's, whatever their names."""
    first, second = ({r.seed: r for r in runs} for runs in (firsts, seconds))
    seeds = tuple(sorted(first.keys() & second.keys()))
    if comparison.metric in LOOKS:  # not measured for every run
        seeds = tuple(s for s in seeds if looking.read(first[s]) and looking.read(second[s]))
    if not seeds:
        return None
    if comparison.metric not in (*RIGHT, *LOOKS):
        measure = METRICS[comparison.metric]
        differences = np.array([measure(first[s]) - measure(second[s]) for s in seeds])
        interval, p = _over_seeds(differences)
        return Evidence(seeds, tuple(differences.tolist()), interval, sign_flip(differences), p, ())
    others = comparison.second_of == OTHERS
    second_of = comparison.of if others else comparison.second_of or comparison.of
    a = np.array([_by_image(first[s], comparison.metric, comparison.of) for s in seeds])
    b = np.array([_by_image(second[s], comparison.metric, second_of, others) for s in seeds])
    if keep is not None:
        a, b = a[:, keep], b[:, keep]
    if second_of == comparison.of and not others:  # the same images: those that count in both runs
        samples = [_counted(a - b)]
        differences = np.nanmean(samples[0], axis=1, dtype="float64")
    else:
        samples = [_counted(a), _counted(-b)]
        differences = sum(np.nanmean(sample, axis=1, dtype="float64") for sample in samples)
    interval, p = _over_seeds_and_images(samples)
    exact = tuple(map(mcnemar, a / 100, b / 100)) if comparison.metric in RIGHT and not comparison.of else ()
    return Evidence(seeds, tuple(differences.tolist()), interval, sign_flip(differences), p, exact)


def _by_image(run: Record, metric: str, of: str, others: bool = False) -> np.ndarray:
    """A metric's value for every image, in percent, float64; NaN for images that do not count.

    of, others: only this class's images, or only those of all others.
    """
    if metric in RIGHT:
        values = 100.0 * run.right(RIGHT[metric])
        labels = run.predictions[f"{RIGHT[metric]}_label"]
    else:
        values = 100.0 * looking.read(run)[f"gradcam/{metric}"].astype("float64")
        values[~run.right()[: len(values)]] = math.nan
        labels = run.predictions["test_label"][: len(values)]
    if of:
        counted = labels == run.dataset["class_names"].index(of)
        values[counted == others] = math.nan
    return values


def _counted(values: np.ndarray) -> np.ndarray:
    """(seeds, images) without the images that count in no seed."""
    return values[:, ~np.isnan(values).all(axis=0)].astype("float32")


def sign_flip(differences: Sequence[float] | np.ndarray) -> float:
    """Exact two-sided p of the mean under all 2^n assignments of signs."""
    values = np.asarray(differences, dtype="float64")
    signs = np.array(list(itertools.product((-1, 1), repeat=len(values))))
    means = np.abs(signs @ values)
    return float(np.mean(means >= abs(values.sum()) * (1 - 1e-12)))


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Exact two-sided p that two models with these right answers (0 or 1 per image) are equally good."""
    from scipy import stats

    only_first, only_second = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return float(stats.binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p (Holm 1979): each to be compared with the level for the whole family."""
    adjusted, so_far = [0.0] * len(p), 0.0
    for rank, place in enumerate(np.argsort(p, kind="stable")):
        so_far = max(so_far, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = so_far
    return adjusted


def _bootstrap(data: tuple[np.ndarray, ...], statistic: Callable[..., float]) -> tuple[tuple[float, float], float]:
    """BCa interval and two-sided p; each sample of `data` is resampled by itself."""
    from scipy import stats

    result = stats.bootstrap(
        data,
        statistic,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=1 - LEVEL,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    resampled = result.bootstrap_distribution
    smaller = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    low, high = result.confidence_interval
    return (float(low), float(high)), min(1.0, 2 * (1 + smaller) / (1 + len(resampled)))


def _over_seeds(differences: np.ndarray) -> tuple[tuple[float, float], float]:
    if len(differences) < 2:
        return (math.nan, math.nan), 1.0
    if np.ptp(differences) == 0:  # no spread to resample
        return (float(differences[0]), float(differences[0])), 1.0
    return _bootstrap((differences,), lambda sample: float(np.mean(sample)))


def _over_seeds_and_images(samples: Sequence[np.ndarray]) -> tuple[tuple[float, float], float]:
    """Of the sum of the samples' means; each (seeds, images), NaN where an image does not count in a seed.

    The images of each sample are resampled by themselves, the seeds together; one seed is not resampled.
    """
    if not any(sample.any() for sample in samples):
        return (0.0, 0.0), 1.0
    seeds = len(samples[0])
    whole = [not np.isnan(sample).any() for sample in samples]

    def statistic(*chosen: np.ndarray) -> float:
        # The mean over images first of what is whole: a tenth of the work of picking each seed's images.
        return sum(
            float(
                sample[rows].mean(axis=0)[images].mean() if full else np.nanmean(sample[np.ix_(rows, images)], 1).mean()
            )
            for sample, full, images in zip(samples, whole, chosen[-len(samples) :], strict=True)
            for rows in [chosen[0] if seeds > 1 else np.array([0])]
        )

    over = [np.arange(sample.shape[1]) for sample in samples]
    return _bootstrap((np.arange(seeds), *over) if seeds > 1 else tuple(over), statistic)


def decide(comparison: Comparison, found: Evidence | None, adjusted: float) -> str:
    """The verdict on one comparison by the rule at the top. adjusted: its bootstrap p by Holm's method."""
    if found is None or len(found.seeds) < FEWEST:
        return UNDECIDED
    low, high = found.interval
    sure = found.sign_flip <= LEVEL and adjusted <= LEVEL
    above = sure and low > 0 and found.mean >= comparison.matters
    below = sure and high < 0 and found.mean <= -comparison.matters
    no_higher = high < comparison.matters
    if comparison.first_is == "other":
        within = no_higher and low > -comparison.matters
        return HOLDS if above or below else NOT if within else UNDECIDED
    holds, fails = (above, no_higher) if comparison.first_is == "higher" else (no_higher, above)
    return HOLDS if holds else NOT if fails else UNDECIDED


def seeds_needed(comparison: Comparison, found: Evidence) -> int | None:
    """How many seeds would about decide an undecided comparison, were mean and spread to stay; None: cannot be told.

    The interval's half-width shrinks with √n; it must clear 0 or what matters, whichever lies further from the mean.
    """
    if len(found.seeds) < 2:
        return None
    spread = float(np.std(found.differences, ddof=1))
    away = max(abs(found.mean - edge) for edge in (0.0, comparison.matters, -comparison.matters))
    return max(FEWEST, math.ceil((2 * spread / away) ** 2)) if away else None


def table(found: Sequence[Record], claims: Sequence[Claim]) -> "pd.DataFrame":
    """One line per comparison, with its claim's verdict. Differences are first − second, in the metric's unit."""
    import pandas as pd

    everything = [(claim, one, evidence(one, found)) for claim in claims for one in claim.comparisons]
    adjusted: dict[Comparison, float] = {}
    for family in dict.fromkeys(_family(claim) for claim in claims):
        those = {one: e.bootstrap for claim, one, e in everything if e is not None and _family(claim) == family}
        adjusted |= zip(those, holm(list(those.values())), strict=True)
    decided = []
    for claim, one, e in everything:
        p = adjusted.get(one, math.nan)
        decided.append((claim, one, e, p, decide(one, e, p)))
    lines: list[dict[str, Any]] = []
    for claim, one, e, p, verdict in decided:
        verdicts = [v for other, _, _, _, v in decided if other is claim]
        whole = NOT if NOT in verdicts else HOLDS if set(verdicts) == {HOLDS} else UNDECIDED
        line = {
            "claim": claim.name,
            "words": claim.words,
            "verdict": whole,
            "comparison": str(one),
            "matters": one.matters,
            "decided": verdict,
            "n": len(e.seeds) if e else 0,
        }
        if e:
            needed = seeds_needed(one, e) if verdict == UNDECIDED else None
            line |= {
                "difference": e.mean,
                "low": e.interval[0],
                "high": e.interval[1],
                "by seed": "; ".join(f"{d:+.3g}" for d in e.differences),
                "sign-flip p": e.sign_flip,
                "bootstrap p (Holm)": p,
                "McNemar p by seed": "; ".join(f"{q:.2g}" for q in e.mcnemar),
                "seeds to decide": "" if needed is None else str(needed),
            }
        lines.append(line)
    return pd.DataFrame(lines)


def _family(claim: Claim) -> str:
    """Claims of one family are corrected together."""
    return claim.name if any(one.of for one in claim.comparisons) else ""


def verdicts(table: "pd.DataFrame", between: str = "; ") -> "pd.DataFrame":
    """One line per claim: its words, its verdict, and each comparison's difference with its interval.

    between: what parts the comparisons.
    """
    import pandas as pd

    def text(line: dict[str, Any]) -> str:
        if not line["n"]:
            done = "measured" if line["comparison"].endswith(LOOKS) else "trained"
            return f"{line['comparison']} not {done} yet"
        known = not math.isnan(line["low"])
        interval = f"{line['low']:+.2f} … {line['high']:+.2f}" if known else "no interval"
        return f"{line['comparison']} {line['difference']:+.2f} ({interval}; n = {line['n']})"

    return pd.DataFrame(
        {
            "claim": name,
            "words": group["words"].iloc[0],
            "verdict": group["verdict"].iloc[0],
            "evidence": between.join(map(text, group.to_dict("records"))),
        }
        for name, group in table.groupby("claim", sort=False)
    )
