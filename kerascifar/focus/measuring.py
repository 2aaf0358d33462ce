"""Measures where a trained run looks on the test images (`measures.py`), and keeps it beside its record.

For each kind of map (the methods of `methods.py`, and two baselines that know nothing of the model), for each test
image:

- road: remove and debias, (LeRF − MoRF) / 2; higher is more faithful, chance is 0
- deletion, insertion: areas under the label's probability; lower and higher are more faithful
- border: share of the evidence in the outermost four pixels; a level map has 0.4375, and one on the cells of Model4's
  last convolution, none of which lie at the edges, 0.148: so it compares maps of one row, not rows
- pointing: share of a mosaic's evidence in the label's quarter; chance is 0.25
- background: whether the label is still predicted after the half of the image with the least evidence was replaced
  by that of an image of another class
- likeness: rank correlation with the map of the same model with random weights; beside it *by chance*, that of two
  maps of noise on the same cells, which is above 0 where all maps are empty at the image's edges. A map of what was
  learned has no more

and once per run `mosaic_right`: whether the label is predicted on the mosaic. All are for the true label, whether it is
predicted or not. Maps are not normalised, lie on the image where their layer's cells do, and those of cells finer than
4 pixels are brought to 4×4, as all models here have them, so that rows and methods can be compared. Empty maps, with no
evidence at all, have NaN for a share. Mosaics and other backgrounds are the same for all models and kinds of map. n is
the number of runs that were measured: a kind of map with another n is of other models, too.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerascifar.common import files
from kerascifar.focus import measures, methods
from kerascifar.runs import measurements, records
from kerascifar.runs.records import Record
from kerascifar.training import models
from kerascifar.training.rows import Row

if TYPE_CHECKING:
    import keras
    import pandas as pd

CELL = 4  # pixels
AT_ONCE = 1000  # images: bounds the memory, and progress is shown after each
BASELINES: dict[str, Callable[[int], np.ndarray]] = {"random": measures.random_maps, "centred": measures.centred_maps}
KINDS = (*methods.METHODS, *BASELINES)
MEASURES = ("road", "deletion", "insertion", "border", "pointing", "background", "likeness")
NOTE = (__doc__ or "").partition("\n\n")[2].strip()


def missing(record: Record, kinds: Sequence[str], count: int) -> list[str]:
    """The kinds of map that have not been measured on that number of images."""
    there = measurements.read(record)
    return [kind for kind in kinds if len(there.get(f"{kind}/road", ())) < count]


def measure(
    record: Record,
    images: np.ndarray,
    labels: np.ndarray,
    kinds: Sequence[str],
    count: int,
    tick: Callable[[str], object] = str,
) -> None:
    """Measures what is missing, and adds it to the run's file after each kind of map, so that it can be interrupted.

    Args:
        images: float32 (n, 32, 32, 3), 0..1: all test images, of which mosaics and backgrounds are made.
        labels: int64 (n,).
        count: only the first ones are measured.
        tick: called after every `AT_ONCE` images, with e.g. "M6 seed 0, gradcam".
    """
    network = records.load_model(record)
    mosaics, quarter, _ = measures.mosaics(images, labels)
    behind = images[measures.partners(labels)[:count]]
    shown = _Shown(images[:count], labels[:count], mosaics[:count], quarter[:count], behind)
    for kind in missing(record, kinds, count):
        whole = measurements.read(record)
        for name, values in _measured(network, shown, kind, partial(tick, f"{record.label}, {kind}")).items():
            if len(whole.get(name, ())) <= len(values):  # what is of the run alone may be of more images already
                whole[name] = values.astype("float16")
        whole["of"] = np.array(measurements.identity(record))
        files.write(record.folder / measurements.FOCUS, partial(np.savez_compressed, **whole))  # type: ignore[arg-type]


class _Shown(NamedTuple):
    """What models are shown, the same for all."""

    images: np.ndarray
    labels: np.ndarray
    mosaics: np.ndarray
    quarter: np.ndarray
    behind: np.ndarray  # the image that each one's background is taken from


def parts(count: int) -> Iterator[slice]:
    """The images that are measured together."""
    return (slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE))


def _measured(
    network: "keras.Sequential", shown: _Shown, kind: str, tick: Callable[[], object]
) -> dict[str, np.ndarray]:
    """All measures of one kind of map."""

    def predict(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(network.predict_on_batch(pictures))  # `predict` takes nearly twice as long for so few

    fresh = _with_random_weights(network)
    found: dict[str, list[np.ndarray]] = {}
    for part in parts(len(shown.images)):
        x, y, mosaics, quarter, behind = (values[part] for values in shown)
        found_maps = _maps(network, x, y, kind)
        values = {
            "road": measures.road(predict, x, y, found_maps),
            "border": measures.border_share(found_maps),
            "pointing": measures.pointing(_maps(network, mosaics, y, kind), quarter),
            "background": predict(measures.with_background(x, behind, found_maps)).argmax(axis=1) == y,
        }
        values["deletion"], values["insertion"] = measures.deletion_and_insertion(predict, x, y, found_maps)
        if kind in methods.METHODS:
            values["likeness"] = measures.likeness(found_maps, _maps(fresh, x, y, kind))
        values = {f"{kind}/{name}": value for name, value in values.items()}
        values["mosaic_right"] = predict(mosaics).argmax(axis=1) == y
        for name, value in values.items():
            found.setdefault(name, []).append(value)
        tick()
    return {name: np.concatenate(values) for name, values in found.items()}


def _maps(network: "keras.Sequential", images: np.ndarray, labels: np.ndarray, kind: str) -> np.ndarray:
    """float32 (n, 32, 32), on the image, no finer than cells of `CELL` pixels."""
    if kind in BASELINES:
        return BASELINES[kind](len(images))
    return _placed(network, methods.evidence(network, images, labels, method=kind), kind)


def _placed(network: "keras.Sequential", grids: np.ndarray, kind: str) -> np.ndarray:
    """(n, grid, grid) of a method's → (n, 32, 32)."""
    on_image = methods.on_image(network, grids, method=kind)
    if grids.shape[1] * CELL <= 32:
        return on_image
    cells = on_image.reshape(len(grids), 32 // CELL, CELL, 32 // CELL, CELL).mean(axis=(2, 4))
    return methods.placed(cells, (CELL - 1) / 2, CELL)


def _by_chance(row: Row, kind: str, count: int = 500) -> float:
    """The likeness of maps that have nothing to do with each other, on the cells that a method has in a row's model."""
    if kind in BASELINES or row.model not in models.BUILDERS:
        return np.nan
    return _by_chance_of(row.model, json.dumps(row.model_options, sort_keys=True), kind, count)


@cache
def _by_chance_of(model: str, options: str, kind: str, count: int) -> float:
    network = models.build(model, **json.loads(options))
    size = 32 if kind in methods.OF_PIXELS else network.get_layer(methods.chosen_layer(network)).output.shape[1]
    noise = np.random.default_rng(0).random((2, count, size, size), dtype="float32")
    return float(np.nanmean(measures.likeness(*(_placed(network, grids, kind) for grids in noise))))


def _with_random_weights(network: "keras.Sequential") -> "keras.Sequential":
    """The same layers, initialised anew from a fixed seed."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.models.clone_model(network)


def table(found: Sequence[Record]) -> "pd.DataFrame":
    """Per row and kind of map the mean of every measure over images and seeds; in percent but for road and likeness.

    A row's kinds are compared on the images that all of them were measured on.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for (experiment, name), row in {(r.experiment, r.name): r.row for r in found}.items():
        runs = [
            values for r in found if (r.experiment, r.name) == (experiment, name) and (values := measurements.read(r))
        ]
        kinds = [kind for kind in KINDS if any(f"{kind}/road" in run for run in runs)]
        count = min((len(run[f"{kind}/road"]) for run in runs for kind in kinds if f"{kind}/road" in run), default=0)
        for kind in kinds:
            those = [run for run in runs if f"{kind}/road" in run]

            def mean(value: str, those: list[dict[str, np.ndarray]] = those, count: int = count) -> float:
                runs_values = [run[value][:count].astype("float64") for run in those if value in run]
                means = [float(v[~np.isnan(v)].mean()) for v in runs_values if not np.isnan(v).all()]
                return float(np.mean(means)) if means else np.nan

            line: dict[str, Any] = {"row": name, "map": methods.title(kind) if kind in methods.METHODS else kind}
            line |= {"n": len(those), "images": count}
            for measure in MEASURES:
                line[measure] = (1 if measure in ("road", "likeness") else 100) * mean(f"{kind}/{measure}")
            line["by chance"] = _by_chance(row, kind)
            for column, value in (("empty", "border"), ("empty on mosaics", "pointing")):
                empty = [np.isnan(run[f"{kind}/{value}"][:count]).mean() for run in those]
                line[column] = 100 * float(np.mean(empty))
            line["mosaics right"] = 100 * mean("mosaic_right")
            lines.append(line)
    return pd.DataFrame(lines)
