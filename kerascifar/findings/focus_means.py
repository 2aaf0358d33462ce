"""Where the models look, measured: the mean of each measure for each row and kind of map."""

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common.terminal import listed
from kerascifar.focus import measures, measuring, methods, placement
from kerascifar.runs import grouping, measurements
from kerascifar.runs.records import Record
from kerascifar.training import models
from kerascifar.training.rows import Row

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Means over the test images. The maps `random` and `centred` know nothing about the model. Higher is better for "
    f"{listed([name for name, measure in measuring.MEASURES.items() if measure.better > 0])}; lower for "
    f"{listed([name for name, measure in measuring.MEASURES.items() if measure.better < 0])}. Chance is 0 for road, 25 "
    "for pointing, and *by chance* for likeness. Compare border between maps of one row, not between rows: the last "
    "convolutions of M6 and Model4 have no cells at the image's edges, so for M6 it is always 0 with methods that use "
    f"this layer (all but {listed([methods.title(name) for name in methods.OF_PIXELS])}). n: the number of runs "
    "measured; kinds of map with a different n were measured on a different set of runs. docs/focus-measures.md "
    "explains each measure."
)


def table(trained: Sequence[Record]) -> "pd.DataFrame":
    """For each row and kind of map, the mean of every measure over images and seeds.

    In percent, except road and the measures of sanity. All of a row's kinds are compared on the same images.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for name, of_row in grouping.by_name(trained).items():
        runs = [measurements.read(record) for record in of_row]
        kinds = [kind for kind in measuring.KINDS if any(f"{kind}/road" in run for run in runs)]
        count = min((len(run[f"{kind}/road"]) for run in runs for kind in kinds if f"{kind}/road" in run), default=0)
        for kind in kinds:
            measured = [run for run in runs if f"{kind}/road" in run]
            line: dict[str, Any] = {"row": name, "map": measuring.title(kind)}
            line |= {"n": len(measured), "images": count}
            line |= {
                name: measure.factor * _mean(measured, f"{kind}/{name}", count)
                for name, measure in measuring.MEASURES.items()
            }
            line["by chance"] = by_chance(of_row[-1].row, kind)
            for column, value in (("empty", "border"), ("empty on mosaics", "pointing")):
                line[column] = 100 * float(
                    np.mean([np.isnan(run[f"{kind}/{value}"][:count]).mean() for run in measured])
                )
            line["mosaics right"] = 100 * _mean(measured, "mosaic_right", count)
            lines.append(line)
    return pd.DataFrame(lines).dropna(axis=1, how="all")


def by_chance(row: Row, kind: str) -> float:
    """The likeness of unrelated maps, on the cells that a method has in a row's model."""
    if kind in measuring.BASELINES or row.model not in models.BUILDERS:
        return np.nan
    return _by_chance_of(row.model, json.dumps(row.model_options, sort_keys=True), kind)


@cache
def _by_chance_of(model: str, options: str, kind: str) -> float:
    network = models.build(model, **json.loads(options))
    grid = (32, 32)
    if kind not in methods.OF_PIXELS:
        grid = network.get_layer(placement.chosen_layer(network)).output.shape[1:3]
    noise = np.random.default_rng(0).random((2, 500, *grid), dtype="float32")
    return float(np.nanmean(measures.likeness(*(measuring.placed(network, grids, kind) for grids in noise))))


def _mean(runs: list[dict[str, np.ndarray]], value: str, count: int) -> float:
    """The mean over the first `count` images of each run that has this value, then over runs; NaN without any."""
    values = [run[value][:count].astype("float64") for run in runs if value in run]
    means = [float(v[~np.isnan(v)].mean()) for v in values if not np.isnan(v).all()]
    return float(np.mean(means)) if means else np.nan
