"""Measures where a trained run looks on the test images (`measures.py`), and stores the result beside its record.

Each kind of map is measured on each test image: the methods of `methods.py`, and two baselines that do not depend on
the model. docs/focus-measures.md explains what each measure asks, and how it can be fooled.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from kerascifar.common import files
from kerascifar.focus import measures, methods, placement
from kerascifar.runs import measurements, records
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import keras

CELL = 4  # pixels
AT_ONCE = 1000  # images: limits the memory, and progress is shown after each batch
SAVED_EVERY = 30.0  # seconds
BASELINES: dict[str, Callable[[int], np.ndarray]] = {"random": measures.random_maps, "centred": measures.centred_maps}
KINDS = (*methods.METHODS, *BASELINES)
COPIES = 4  # noisy copies of each image
RADIUS, SMOOTHING = 0.02, 0.2  # of the noise for sensitivity and for smooth likeness


@dataclass(frozen=True)
class Measure:
    """A measure of maps.

    Attributes:
        better: 1 if higher values are better, -1 if lower ones are, 0 if neither.
        factor: turns a value into that of the tables: 100 for shares, which they show in percent.
        of_baselines: whether it is also computed for the baselines, which do not depend on the model.
    """

    better: int
    factor: int = 100
    of_baselines: bool = True


MEASURES = {
    # faithfulness
    "road": Measure(1, factor=1),
    "deletion": Measure(-1),
    "insertion": Measure(1),
    "drop": Measure(-1),
    "increase": Measure(1),
    "gain": Measure(1),
    # simplicity
    "complexity": Measure(-1),
    "sparseness": Measure(1),
    "coherency": Measure(1),
    "adcc": Measure(1),
    "arcc": Measure(1),
    # place
    "border": Measure(0),
    "pointing": Measure(1),
    "background": Measure(1),
    # sanity
    "likeness": Measure(-1, factor=1, of_baselines=False),
    "smooth_likeness": Measure(-1, factor=1, of_baselines=False),
    "other_class": Measure(-1, factor=1, of_baselines=False),
    "sensitivity": Measure(-1, factor=1, of_baselines=False),
}


def title(kind: str) -> str:
    """A kind of map's name for people."""
    return methods.title(kind) if kind in methods.METHODS else kind


def missing(record: Record, kinds: Sequence[str], count: int) -> list[str]:
    """The kinds of map that have not yet been measured on `count` images."""
    measured = measurements.read(record)
    return [kind for kind in kinds if _images_measured(measured, kind) < count]


def _images_measured(measured: Mapping[str, np.ndarray], kind: str) -> int:
    """The number of images for which all measures of this kind of map are known."""
    expected = (name for name, measure in MEASURES.items() if measure.of_baselines or kind not in BASELINES)
    return min(len(measured.get(f"{kind}/{name}", ())) for name in expected)


def measure(
    record: Record,
    images: np.ndarray,
    labels: np.ndarray,
    kinds: Sequence[str],
    *,
    count: int,
    tick: Callable[[str], object] = str,
) -> None:
    """Measures what is missing, and saves it to the run's file every `SAVED_EVERY` seconds, so it can be interrupted.

    Args:
        images: float32 (n, 32, 32, 3), 0..1: all test images, also used for mosaics and backgrounds.
        labels: int64 (n,).
        count: the number of images to measure, from the first on.
        tick: called after every `AT_ONCE` images, with e.g. "M6 seed 0, gradcam".
    """
    network = records.load_model(record)
    mosaics, quarter, _ = measures.mosaics(images, labels)
    behind = images[measures.partners(labels)[:count]]  # each image's new background comes from one of these
    shown = (images[:count], labels[:count], mosaics[:count], quarter[:count], behind)
    for kind in missing(record, kinds, count):
        whole = measurements.read(record)
        known, fresh, saved = _images_measured(whole, kind), _with_random_weights(network), time.monotonic()
        for part in parts(count):
            if min(part.stop, count) > known:
                for name, values in _measured(network, fresh, shown, kind=kind, part=part).items():
                    before = whole.get(name, values[:0])  # may already be known for more images
                    after = before[part.start + len(values) :]
                    whole[name] = np.concatenate([before[: part.start], values, after]).astype("float16")
            if part.stop >= count or time.monotonic() - saved >= SAVED_EVERY:
                # Another command may have saved further kinds meanwhile.
                mine = {name: v for name, v in whole.items() if name.startswith(f"{kind}/") or name == "mosaic_right"}
                whole = measurements.read(record) | mine
                whole["of"] = np.array(measurements.identity(record))
                write = partial(np.savez_compressed, **whole)  # type: ignore[arg-type]
                files.write(record.folder / measurements.FOCUS, write)
                saved = time.monotonic()
            tick(f"{record.label}, {kind}")


def parts(count: int) -> Iterator[slice]:
    """The batches of images that are measured together."""
    return (slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE))


def _measured(
    network: "keras.Model", fresh: "keras.Model", shown: Sequence[np.ndarray], *, kind: str, part: slice
) -> dict[str, np.ndarray]:
    """All measures of one kind of map for a part of the images.

    fresh: the same model with random weights.

    shown: images, labels, mosaics, the quarter of each image in its mosaic, and the images behind.
    """

    def predict(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(network.predict_on_batch(pictures))  # `predict` takes nearly twice as long for so few images

    x, y, mosaics, quarter, behind = (values[part] for values in shown)
    maps = _maps(network, x, y, kind)
    values = {
        "road": measures.road(predict, x, y, maps),
        "complexity": measures.complexity(maps),
        "sparseness": measures.sparseness(maps),
        "coherency": measures.coherency(maps, _maps(network, measures.masked(x, maps), y, kind)),
        "border": measures.border_share(maps),
        "pointing": measures.pointing(_maps(network, mosaics, y, kind), quarter),
        "background": predict(measures.with_background(x, behind, maps)).argmax(axis=1) == y,
    }
    values["deletion"], values["insertion"] = measures.deletion_and_insertion(predict, x, y, maps)
    values["drop"], values["increase"], values["gain"] = measures.drop_increase_gain(predict, x, y, maps)
    values["adcc"] = measures.adcc(values["coherency"], values["complexity"], values["drop"])
    values["arcc"] = measures.arcc(values["coherency"], values["complexity"], values["road"])
    if kind in methods.METHODS:
        values |= _sanity(network, fresh, x, y, kind=kind, maps=maps, noise=part.start == 0)
    return {f"{kind}/{name}": value for name, value in values.items()} | {
        "mosaic_right": predict(mosaics).argmax(axis=1) == y
    }


def _sanity(
    network: "keras.Model",
    fresh: "keras.Model",
    images: np.ndarray,
    labels: np.ndarray,
    *,
    kind: str,
    maps: np.ndarray,
    noise: bool,
) -> dict[str, np.ndarray]:
    """The measures of sanity; those that need noisy copies are NaN without `noise`."""
    others = (labels + np.random.default_rng(0).integers(1, 10, len(labels))) % 10
    unknown = np.full(len(images), np.nan)
    values = {
        "likeness": measures.likeness(maps, _maps(fresh, images, labels, kind)),
        "other_class": measures.likeness(maps, _maps(network, images, others, kind)),
        "smooth_likeness": unknown,
        "sensitivity": unknown,
    }
    if noise:

        def copies(model: "keras.Model", radius: float) -> list[np.ndarray]:
            return [_maps(model, measures.noisy(images, radius, seed), labels, kind) for seed in range(COPIES)]

        smooth = [np.mean(copies(model, SMOOTHING), axis=0) for model in (network, fresh)]
        values["smooth_likeness"] = measures.likeness(*smooth)
        values["sensitivity"] = measures.sensitivity(maps, copies(network, RADIUS))
    return values


def _maps(network: "keras.Model", images: np.ndarray, labels: np.ndarray, kind: str) -> np.ndarray:
    """Maps of one kind, placed on the image, with cells of at least `CELL` pixels: float32 (n, 32, 32)."""
    if kind in BASELINES:
        return BASELINES[kind](len(images))
    return placed(network, methods.evidence(network, images, labels, method=kind), kind)


def placed(network: "keras.Model", grids: np.ndarray, kind: str) -> np.ndarray:
    """A method's evidence (n, grid, grid), placed on the image: (n, 32, 32)."""
    on_image = methods.on_image(network, grids, method=kind)
    if max(grids.shape[1:]) * CELL <= 32:
        return on_image
    cells = on_image.reshape(len(grids), 32 // CELL, CELL, 32 // CELL, CELL).mean(axis=(2, 4))
    place = ((CELL - 1) / 2, CELL)
    return placement.placed(cells, place, place)


def _with_random_weights(network: "keras.Model") -> "keras.Model":
    """The same layers, reinitialised with a fixed seed."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.models.clone_model(network)
