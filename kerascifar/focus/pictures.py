"""Focus maps as pictures: the image, its map, and the map laid over the image, side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from scipy import special

from kerascifar.common import drawing, errors
from kerascifar.common.errors import UserError
from kerascifar.focus import methods, placement
from kerascifar.images import cifar10
from kerascifar.runs import records
from kerascifar.training import models

if TYPE_CHECKING:
    import keras

# Of all focus maps: brightness grows evenly with the evidence, and the order of colours survives any colour vision and
# print in grey. The original's rainbow has bright bands where nothing special happens.
COLOURS = "inferno"
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the colour bar
OPACITY = 0.6  # of a map over its image
WRONG = "#c2321f"  # frames the image if the prediction is wrong


@dataclass(frozen=True)
class Focus:
    """One image, and where a model finds evidence for one class in it."""

    image: np.ndarray  # uint8 (32, 32, 3)
    map: np.ndarray  # float32 (32, 32), 0..1
    explained: str  # the class whose evidence the map shows
    predicted: str
    probability: float  # of the predicted class
    source: str  # which image: "validation image 1234 (airplane)"
    is_wrong: bool  # the prediction; False for a photo, whose class is not known


def explain(
    model: "keras.Model",
    images: np.ndarray,
    labels: Sequence[int | None],
    sources: Sequence[str],
    *,
    class_names: Sequence[str],
    truths: "Sequence[int] | np.ndarray | None" = None,
    layer: str | None = None,
    method: str = "gradcam",
    against: int | None = None,
) -> list[Focus]:
    """The focus maps of some images, with what the model predicts.

    Args:
        images: uint8 (n, 32, 32, 3).
        labels: the class to explain for each image; None: the predicted one.
        sources: a description of each image, for the reader.
        class_names: the names of the ten classes.
        truths: the class of each image, where it is known.
        layer, method: see `methods.evidence`.
        against: the other class, for contrastive maps.

    Raises:
        UserError: an image is to be explained for the class in `against`.
    """
    models.check_form(model)
    scaled = cifar10.scale(images)
    shares = probabilities(model, scaled)
    predicted = shares.argmax(axis=1)
    chosen = np.array([p if c is None else c for c, p in zip(labels, predicted, strict=True)], dtype=np.int64)
    if against is not None and against in chosen:
        raise UserError(f'"{class_names[against]}" cannot be explained against itself.\nName another class: --against.')
    others = None if against is None else np.full(len(images), against)
    maps = methods.focus_maps(model, scaled, chosen, layer=layer, method=method, against=others)
    rival = "" if against is None else f", not {class_names[against]}"
    wrong = np.zeros(len(images), bool) if truths is None else predicted != truths
    return [
        Focus(
            image=images[i],
            map=maps[i],
            explained=class_names[chosen[i]] + rival,
            predicted=class_names[p],
            probability=float(shares[i, p]),
            source=sources[i],
            is_wrong=bool(wrong[i]),
        )
        for i, p in enumerate(predicted)
    ]


def first_validation_images(labels: np.ndarray) -> np.ndarray:
    """The official index of each class's first validation image, int64 (10,): the images shown by default."""
    validation = cifar10.split(labels)[1]
    return np.array([validation[labels[validation] == c][0] for c in range(10)], dtype=np.int64)


def describe(dataset: cifar10.Dataset, index: int) -> str:
    """A description of an image, for the reader: `validation image 1234 (airplane)`."""
    part = "validation" if index in dataset.validation else "training"
    return f"{part} image {index} ({dataset.class_names[dataset.labels[index]]})"


def panel(focus: Focus, record: records.Record, made_by: str) -> Figure:
    """The image | its focus map with a colour bar | the map over the image. made_by: see `way`."""
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    axes = figure.subplots(1, 3)
    heat = _tiles(axes, focus)
    for tile, title in zip(axes, ["image", f"focus map ({made_by})", "map over the image"], strict=True):
        tile.set_title(title, fontsize=11)
    figure.colorbar(heat, ax=axes[1], ticks=TICKS, fraction=0.046, pad=0.04).ax.tick_params(labelsize=9)
    evidence = f"evidence for: {focus.explained} · {_prediction(focus)}"
    heading = record.heading
    gap = " · " if len(heading) + len(focus.source) <= 80 else "\n"  # 80 characters fit the width
    figure.suptitle(errors.printable(f"{evidence}\n{heading}{gap}{focus.source}"), fontsize=12)
    if record.is_synthetic:
        drawing.mark_synthetic(figure)
    return figure


def sheet(focuses: Sequence[Focus], record: records.Record, made_by: str) -> Figure:
    """One sheet for the ten classes (or any number): two groups a row, each image | focus map | overlay."""
    rows = math.ceil(len(focuses) / 2)
    figure = Figure(figsize=(11, 2.05 * rows + 1.0), layout="constrained")
    # Six columns of tiles would touch, so an empty one in the middle separates the two groups.
    grid = figure.add_gridspec(rows, 7, width_ratios=[1, 1, 1, 0.12, 1, 1, 1])
    tiles: list[Axes] = []
    for i, focus in enumerate(focuses):
        row, side = divmod(i, 2)
        axes = [figure.add_subplot(grid[row, 4 * side + k]) for k in range(3)]
        heat = _tiles(axes, focus)
        text = f"{focus.explained} — {_prediction(focus)}\n{focus.source}"
        axes[1].set_title(errors.printable(text), fontsize=9)
        tiles += axes
    figure.colorbar(heat, ax=tiles, ticks=TICKS, fraction=0.025, pad=0.02, aspect=40).ax.tick_params(labelsize=9)
    if wrong := sum(focus.is_wrong for focus in focuses):
        text = f"{wrong} of {len(focuses)} images {'is' if wrong == 1 else 'are'} misclassified (framed in red)."
        figure.supxlabel(text, fontsize=10)
    title = f"{record.heading} · {made_by}\nfor each class: image | focus map | map over the image"
    figure.suptitle(errors.printable(title), fontsize=12)
    if record.is_synthetic:
        drawing.mark_synthetic(figure)
    return figure


def class_sheet(record: records.Record, dataset: cifar10.Dataset) -> Figure:
    """A run's focus maps on one sheet, for the first validation image of each class."""
    model = records.load_model(record)
    indices = first_validation_images(dataset.labels)
    sources = [describe(dataset, int(i)) for i in indices]
    images, names = dataset.images[indices], dataset.class_names
    focuses = explain(model, images, range(10), sources, class_names=names, truths=range(10))
    return sheet(focuses, record, way(model, None, "gradcam"))


def way(model: "keras.Model", layer: str | None, method: str) -> str:
    """How a map was made, for the reader: "Grad-CAM, layer conv2d_2"."""
    looked_at = "pixels" if method in methods.OF_PIXELS else f"layer {placement.chosen_layer(model, layer)}"
    return f"{methods.title(method)}, {looked_at}"


def probabilities(model: "keras.Model", images: np.ndarray) -> np.ndarray:
    """Softmax of the logits, float64 (n, 10)."""
    scores = methods.logits(model, images).astype(np.float64)
    if not np.isfinite(scores).all():
        raise UserError(methods.not_finite(model))
    return np.asarray(special.softmax(scores, axis=1))


def _tiles(axes: Sequence[Axes], focus: Focus) -> AxesImage:
    image, heat, overlay = axes
    image.imshow(focus.image, interpolation="nearest")
    drawn = heat.imshow(focus.map, cmap=COLOURS, vmin=0, vmax=1, interpolation="bilinear")
    overlay.imshow(overlaid(focus.image / 255, focus.map), interpolation="nearest")
    for tile in axes:
        tile.set_xticks([])
        tile.set_yticks([])
        if focus.is_wrong:
            tile.spines[:].set(color=WRONG, linewidth=2.5)
    return drawn


def coloured(maps: np.ndarray) -> np.ndarray:
    """Maps, 0..1, in colours: float (..., 3), 0..1."""
    return np.asarray(colormaps[COLOURS](maps)[..., :3])


def overlaid(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Maps (..., 32, 32) laid over images (..., 32, 32, 3); all 0..1."""
    return (1 - OPACITY) * images + OPACITY * coloured(maps)


def _prediction(focus: Focus) -> str:
    wrong, empty = " ✗ wrong" * focus.is_wrong, "" if focus.map.any() else " · no positive evidence"
    return f"predicted: {focus.predicted} ({focus.probability:.1%}){wrong}{empty}"
