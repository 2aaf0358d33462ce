"""Metrics of runs, and the difference of two rows by one of them: in pairs of runs with the same seed."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerascifar.findings import statistics
from kerascifar.findings.statistics import Estimate
from kerascifar.runs import measurements, original
from kerascifar.runs.records import Record

OTHERS = "other classes"


def gap(run: Record) -> float:
    """Training minus validation accuracy, in points."""
    return run.accuracy("train") - run.accuracy("validation")


def variation(run: Record) -> float:
    """How much the validation loss fluctuates from epoch to epoch, in nats; NaN for fewer than ten epochs.

    The standard deviation around its running median over five epochs, without the first five, where it falls steeply.
    """
    from scipy import ndimage

    losses = np.array(run.history["val_loss"])
    if len(losses) < 10:
        return math.nan
    return float(np.std((losses - ndimage.median_filter(losses, 5, mode="nearest"))[statistics.SETTLING :]))


def epochs_to_65(run: Record) -> float:
    """The number of epochs until validation accuracy first reaches 65 %; NaN if it never does."""
    reached = np.flatnonzero(np.array(run.history["val_accuracy"]) >= 0.65)
    return float(reached[0] + 1) if len(reached) else math.nan


@dataclass(frozen=True)
class Metric:
    """A metric of a run: one number, or a mean over images.

    Attributes:
        words: its name in a sentence.
        of_run: computes it; None for a mean over images.
        split: whose images it is a mean over.
        reported: computes it from a line of `reported.csv`; None if the original does not report it.
        unit: of a difference.
        digits: after the decimal point of a difference.
        compared: a sentence on a difference, without its end. `other` is the second row with the words that it needs.
        ways: the words for a difference below and above zero.
    """

    words: str
    of_run: Callable[[Record], float] | None = None
    split: str = "test"
    reported: Callable[[Mapping[str, str]], float] | None = None
    unit: str = "points"
    digits: int = 1
    compared: str = "{first}'s {words} is {size} {unit} {way} than {other}"
    ways: tuple[str, str] = ("lower", "higher")


METRICS = {
    "test_accuracy": Metric("test accuracy", reported=lambda line: float(line["test_acc"])),
    "validation_accuracy": Metric(
        "validation accuracy", split="validation", reported=lambda line: float(line["valid_acc"])
    ),
    "gap": Metric(
        "gap between training and validation accuracy",
        gap,
        reported=lambda line: float(line["train_acc"]) - float(line["valid_acc"]),
    ),
    "epochs": Metric(
        "number of epochs",
        lambda run: float(run.epochs_trained),
        reported=lambda line: float(line["epochs"]),
        unit="epochs",
        digits=0,
        compared="{first} trains {size} epochs {way} than {second}",
        ways=("less", "longer"),
    ),
    "epochs_to_65": Metric(
        "number of epochs to 65 % validation accuracy",
        epochs_to_65,
        unit="epochs",
        compared="{first} reaches 65 % validation accuracy {size} epochs {way} than {second}",
        ways=("earlier", "later"),
    ),
    "variation": Metric("variation of the validation loss", variation, unit="nats", digits=3),
    # Measures of focus/measuring.py: means over the correctly predicted test images
    "border": Metric("share of the evidence at the border"),
    "pointing": Metric("share of a mosaic's evidence in the right quarter"),
    "background": Metric("share of images recognised on another background"),
}
ACCURACIES = ("test_accuracy", "validation_accuracy")  # means over images, each right or wrong
OF_MAPS = ("border", "pointing", "background")


@dataclass(frozen=True)
class Difference:
    """The difference first − second of two rows, in the metric's unit.

    Attributes:
        seeds: the seeds that both rows have been trained and measured with.
        levels: the means of `first` and `second` over the seeds and images compared.
        by_seed: the difference for each seed; empty if a run has no value.
        estimate: the mean difference with its error.
        flaw: why the difference tells nothing about the rows; the error of its estimate is then unknown.
    """

    seeds: tuple[int, ...]
    levels: tuple[float, float]
    by_seed: tuple[float, ...]
    estimate: Estimate
    flaw: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval; NaN for a single seed, which says nothing about others."""
        return self.estimate.interval if len(self.seeds) > 1 else (math.nan, math.nan)

    @property
    def is_clear(self) -> bool | None:
        """Whether the interval excludes zero; None if there is no interval."""
        low, high = self.interval
        return None if math.isnan(low) else low > 0 or high < 0


def difference(
    firsts: Sequence[Record],
    seconds: Sequence[Record],
    metric: str,
    *,
    of: str = "",
    second_of: str = "",
    kind: str = "gradcam",
) -> Difference | None:
    """The difference of two rows, given their runs; None if no seed has what is needed in both.

    Args:
        metric: a key of `METRICS`.
        of: the class whose images count for the first row; by default all images count.
        second_of: likewise for the second row: a class, or `OTHERS`; by default the same as `of`.
        kind: of map that was measured, a key of `measuring.KINDS`.
    """
    first, second = ({run.seed: run for run in runs} for runs in (firsts, seconds))
    seeds = sorted(first.keys() & second.keys())
    if metric in OF_MAPS:
        name = f"{kind}/{metric}"
        seeds = [s for s in seeds if all(name in measurements.read(runs[s]) for runs in (first, second))]
    if not seeds:
        return None
    pairs = [first[s] for s in seeds], [second[s] for s in seeds]
    if METRICS[metric].of_run:
        return _of_runs(*pairs, METRICS[metric])
    return _of_images(*pairs, metric, kind, of=of, second_of=second_of or of)


def _of_images(
    firsts: Sequence[Record], seconds: Sequence[Record], metric: str, kind: str, *, of: str, second_of: str
) -> Difference | None:
    """The difference by a metric that is a mean over images, given pairs of runs with the same seed.

    None if fewer than two images count.
    """
    others = second_of == OTHERS
    of_first = [_by_image(run, metric, kind, of=of) for run in firsts]
    of_second = [_by_image(run, metric, kind, of=of if others else second_of, others=others) for run in seconds]
    count = min(map(len, of_first + of_second))  # some runs may be measured on fewer images
    a, b = (np.array([values[:count] for values in side]) for side in (of_first, of_second))
    if second_of == of:  # the same images: keep the ones that count in both runs
        a, b = np.where(np.isnan(b), np.nan, a), np.where(np.isnan(a), np.nan, b)
        samples = [a - b]
    else:
        samples = [a, -b]
    if any((~np.isnan(sample)).sum(axis=1).min() < 2 for sample in samples):
        return None
    by_seed = np.sum([np.nanmean(sample, axis=1) for sample in samples], axis=0)
    levels = (float(np.nanmean(a, axis=1).mean()), float(np.nanmean(b, axis=1).mean()))
    estimate, flaw = statistics.of_seeds_and_images(*samples), ""
    if metric in OF_MAPS and not (np.nan_to_num(a).any() or np.nan_to_num(b).any()):
        estimate = Estimate(0.0, math.nan, math.nan)
        flaw = f"{firsts[0].name}'s {METRICS[metric].words} is 0 in every image"
    return Difference(tuple(run.seed for run in firsts), levels, tuple(by_seed.tolist()), estimate, flaw)


def _of_runs(firsts: Sequence[Record], seconds: Sequence[Record], metric: Metric) -> Difference:
    """The difference by a metric that is one number per run, given pairs of runs with the same seed."""
    assert metric.of_run
    seeds = tuple(run.seed for run in firsts)
    values = np.array([[metric.of_run(run) for run in runs] for runs in (firsts, seconds)])
    by_seed, (first, second) = values[0] - values[1], values.mean(axis=1).tolist()
    if np.isfinite(by_seed).all():
        return Difference(seeds, (first, second), tuple(by_seed.tolist()), statistics.of_seeds(by_seed))
    side, place = np.argwhere(~np.isfinite(values))[0]
    lacking = (firsts, seconds)[side][place]
    flaw = f"{lacking.name} has no {metric.words} with seed {lacking.seed}"
    return Difference(seeds, (first, second), (), Estimate(math.nan, math.nan, math.nan), flaw)


def _by_image(run: Record, metric: str, kind: str, *, of: str, others: bool = False) -> np.ndarray:
    """A metric's value for each image, in percent, float64; NaN for images that do not count.

    Only the images of the class `of` count; with `others`, only those of all other classes.
    """
    split = METRICS[metric].split
    if metric in ACCURACIES:
        values = 100.0 * run.right(split)
    else:
        values = 100.0 * measurements.read(run)[f"{kind}/{metric}"].astype("float64")
        values[~run.right()[: len(values)]] = math.nan
    if of:
        is_of = run.predictions[f"{split}_label"][: len(values)] == run.dataset["class_names"].index(of)
        values[is_of == others] = math.nan
    return values


def reported(first: str, second: str, metric: str) -> float:
    """The same difference of two rows in the original's own figures; NaN where it reports none."""
    lines = [original.find(row) for row in (first, second)]
    value = METRICS[metric].reported
    return value(lines[0]) - value(lines[1]) if value and lines[0] and lines[1] else math.nan


def confusion(runs: Sequence[Record]) -> np.ndarray:
    """Predicted classes (columns) for each label (row), % of the label: float64 (10, 10), the mean over runs."""
    pairs = [10 * run.predictions["test_label"].astype("int64") + run.predictions["test_predicted"] for run in runs]
    counts = np.mean([np.bincount(pair, minlength=100) for pair in pairs], axis=0).reshape(10, 10)
    return np.asarray(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
