"""Are the focus maps more faithful than a spot in the middle of the image, and do two models look differently?"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import terminal
from kerascifar.findings import metrics, statistics
from kerascifar.focus import measuring, methods
from kerascifar.images import cifar10
from kerascifar.runs import measurements
from kerascifar.runs.records import BEST, ORIGINALS, Record

if TYPE_CHECKING:
    import pandas as pd

BETWEEN_MODELS = ("pointing", "background")  # these do not depend on where a layer's cells lie
FAITHFUL = {name: measuring.MEASURES[name] for name in ("road", "deletion", "insertion", "background")}
BY_CLASS = (
    "M6 against Model4: Grad-CAM's maps of the test images that both predict correctly, in percent. *pointing*: the "
    "share of a mosaic's evidence in the quarter that shows the image (few mosaics are themselves predicted as that "
    "image's class). *background*: the share of images still predicted correctly after the half with the least "
    "evidence is replaced by another image's. 95 % interval: Student's t over seeds and images, or over images alone "
    "with one seed; p, which takes several seeds, by Holm's method over the ten classes. *by a spot*: the same "
    "difference with the centred spot in place of the maps. The part of a difference that the spot shows too is not "
    "due to where the models look."
)
AGAINST_CENTRED = (
    "Each kind of map minus a spot in the middle of every image, which knows nothing about the model, on the same test "
    "images. road has no unit; deletion (lower is better), insertion and background are in points. ± is the half-width "
    "of the 95 % interval by Student's t over seeds and images, or for one seed from the images alone; intervals are "
    "not adjusted for the number of comparisons."
)

Values = dict[int, np.ndarray]  # by seed: one value per image, NaN where it does not count


def by_class(records: Sequence[Record], first: str = "M6", second: str = "Model4") -> "pd.DataFrame":
    """Where two rows look, by class: each of `BETWEEN_MODELS`, on the test images that both predict correctly.

    p: Student's t over seeds and images, adjusted by Holm's method over the ten classes; empty for a single seed.
    """
    import pandas as pd

    firsts, seconds = ([r for r in counted(records) if r.name == name] for name in (first, second))
    lines: list[dict[str, Any]] = []
    for metric in BETWEEN_MODELS:
        differences = {
            kind: {
                name: metrics.difference(firsts, seconds, metric, of=name, kind=kind) for name in cifar10.CLASS_NAMES
            }
            for kind in ("gradcam", "centred")
        }
        by_gradcam = {name: d for name, d in differences["gradcam"].items() if d}
        adjusted = statistics.holm([d.estimate.p_other() for d in by_gradcam.values()])
        for (name, d), p in zip(by_gradcam.items(), adjusted, strict=True):
            low, high = d.estimate.interval
            spot = differences["centred"][name]
            lines.append(
                {
                    "measure": metric,
                    "class": name,
                    "n": len(d.seeds),
                    first: d.levels[0],
                    second: d.levels[1],
                    "difference": d.estimate.mean,
                    "low": low,
                    "high": high,
                    "by a spot": spot.estimate.mean if spot else math.nan,
                    "p (Holm)": p if len(d.seeds) > 1 else math.nan,
                }
            )
    return pd.DataFrame(lines)


def against_centred(records: Sequence[Record]) -> "pd.DataFrame":
    """For each row and method of `focus/methods.py`: its maps against the centred spot; see `AGAINST_CENTRED`."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for row, runs in measured_by_row(records).items():
        for kind in methods.METHODS:
            line: dict[str, Any] = {"row": row, "map": methods.title(kind)}
            for name, measure in FAITHFUL.items():
                difference = paired_difference(values_of(runs, kind, name), values_of(runs, "centred", name))
                if difference is not None:
                    estimate = statistics.of_seeds_and_images(measure.factor * difference)
                    line |= {"n": len(difference), name: estimate.mean}
                    line |= {f"{name} ±": estimate.half}
            lines += [line] * ("n" in line)
    return pd.DataFrame(lines)


def compared_with_spot(line: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The measures by which a line of `against_centred` is clearly more faithful than the spot, and clearly less."""
    more, less = (
        [name for name, measure in FAITHFUL.items() if way * measure.better * line[name] > line[f"{name} ±"]]
        for way in (1, -1)
    )
    return more, less


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """Says of `against_centred` where Grad-CAM is more faithful than the spot, and where less."""
    sentences = []
    for line in table[table["map"] == methods.title("gradcam")].to_dict("records"):
        more, less = (
            terminal.listed(measures).replace("road", "ROAD") or "none of the four measures"
            for measures in compared_with_spot(line)
        )
        row = line["row"] + " (one run)" * (line["n"] == 1)
        sentences.append(
            f"{row}: Grad-CAM is more faithful than a spot in the middle on {more}, and less faithful on {less}."
        )
    return " ".join(sentences)


def counted(records: Sequence[Record]) -> list[Record]:
    """The full runs of the original's experiments and of Experiment 3 on CIFAR-10."""
    return [r for r in records if r.is_full and r.experiment in (*ORIGINALS, BEST[0])]


def measured_by_row(records: Sequence[Record]) -> dict[str, dict[int, Mapping[str, np.ndarray]]]:
    """By row and seed, the measurements of the runs that count."""
    rows: dict[str, dict[int, Mapping[str, np.ndarray]]] = {}
    for record in counted(records):
        if measured := measurements.read(record):
            rows.setdefault(record.name, {})[record.seed] = measured
    return rows


def values_of(runs: Mapping[int, Mapping[str, np.ndarray]], kind: str, measure: str) -> Values:
    """A kind's values by seed, of the runs on which it was measured."""
    name = f"{kind}/{measure}"
    found = {seed: run[name].astype("float64") for seed, run in runs.items() if name in run}
    return {seed: values for seed, values in found.items() if not np.isnan(values).all()}


def paired_difference(values: Values, others: Values) -> np.ndarray | None:
    """First minus second, float64 (seeds, images), of the seeds that both have and the images that all of these have.

    None if they have no seed in common, or fewer than two images count.
    """
    seeds = [seed for seed in values if seed in others]
    if not seeds:
        return None
    count = min(len(side[seed]) for side in (values, others) for seed in seeds)
    difference = np.array([values[seed][:count] - others[seed][:count] for seed in seeds])
    return difference if (~np.isnan(difference).all(axis=0)).sum() > 1 else None
