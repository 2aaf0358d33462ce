"""Which layer focus maps look at, and where its cells lie on the image."""

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.runs import model_facts

if TYPE_CHECKING:
    import keras


def layers_with_maps(model: "keras.Model") -> list[str]:
    """The names of a model's `Conv2D` layers, and of its `Add` layers that join the branches of a grid, in order.

    A layer that the model uses more than once is left out: it has several outputs.
    """
    import keras

    kinds = keras.layers.Conv2D | keras.layers.Add
    used = Counter(id(node.operation) for node in model_facts.nodes(model))
    layers = [layer for layer in model.layers if isinstance(layer, kinds) and used.get(id(layer), 1) == 1]
    return [layer.name for layer in layers if len(layer.output.shape) == 4]


def _check_nested(model: "keras.Model") -> None:
    """Raises a `UserError` if the last `Conv2D` is part of another layer: the outer model has no output for it."""
    import keras

    names = layers_with_maps(model)
    for layer in reversed(model.layers):
        if layer.name in names:
            return
        if any(isinstance(inner, keras.layers.Conv2D) for inner in layer._flatten_layers(include_self=False)):
            known = f" ({', '.join(names)})" if names else ""
            raise UserError(
                f'The last Conv2D of model "{model.name}" is inside its layer "{layer.name}"; focus maps look only '
                "at layers of the model itself.\nPut the layers into one model, choose a Conv2D of the model itself"
                f"{known}, or use a method that looks at pixels, such as saliency."
            )


def chosen_layer(model: "keras.Model", layer: str | None = None) -> str:
    """The name of the layer to look at; by default, the last of `layers_with_maps` with more than one cell.

    Raises:
        UserError: the model has no such layer, or none called `layer`, or the last one is part of another layer.
    """
    names = layers_with_maps(model)
    if layer is None:
        _check_nested(model)
        if not names:
            raise UserError(
                f'Model "{model.name}" has no Conv2D layer that it uses exactly once, so it has no grid for a map.\n'
                "Use a method that looks at pixels, such as saliency."
            )
        # A convolution with a single cell, such as one that makes the logits, cannot say where.
        with_places = [n for n in names if math.prod(model.get_layer(n).output.shape[1:3]) > 1]
        return [*names, *with_places][-1]
    if layer not in names:
        known = layer in [other.name for other in model.layers]
        what = "is neither a Conv2D nor an Add layer" if known else "is not a layer"
        raise UserError(f'layer "{layer}" {what} of model "{model.name}".\n{errors.suggest(str(layer), names)}')
    return layer


def cells(model: "keras.Model", layer: str, axis: int = 0) -> tuple[float, float]:
    """Where a layer's cells lie on the image, in pixels: the centre of the first, and the distance between two.

    axis: 0 for rows, 1 for columns.

    Model4's last convolution has cells at 5.5, 9.5 … 25.5: with "valid" padding, none lie at the image's edges. The
    grid is traced through convolutions and pooling, also inside other layers; where branches meet, their cells may lie
    beside each other, and the mean is taken. If another layer changes the grid, or branches have different ones, it is
    taken to cover the image evenly.
    """
    grid = model.get_layer(layer).output.shape[1 + axis]
    return _traced(model, axis, layer) or ((32 / grid - 1) / 2, 32 / grid)


def _traced(model: "keras.Model", axis: int, layer: str = "") -> tuple[float, float] | None:
    """The cells of a layer, by default the last one, in pixels of the model's input; None if they cannot be traced."""
    import keras

    convolution = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
    sliding = convolution | keras.layers.MaxPooling2D | keras.layers.AveragePooling2D
    places: dict[int, tuple[float, float] | None] = {}  # of the cells of each tensor
    place: tuple[float, float] | None = None
    for node in model_facts.nodes(model):
        step, before = node.operation, node.input_tensors
        known = [place for tensor in before if (place := places.get(id(tensor)))]
        place = (float(np.mean([start for start, _ in known])), known[0][1]) if known else None
        if len(known) < len(before) or len({pitch for _, pitch in known}) > 1:
            place = None
        size, grid = (
            tensors[0].shape[1 + axis] if tensors and len(tensors[0].shape) == 4 else 0
            for tensors in (before, node.outputs)
        )
        if isinstance(step, keras.layers.InputLayer):
            place = (0.0, 1.0)
        elif place and isinstance(step, keras.Model):
            inner = _traced(step, axis)
            place = (place[0] + inner[0] * place[1], inner[1] * place[1]) if inner else None
        elif place and isinstance(step, sliding):
            kernel = (step.kernel_size if isinstance(step, convolution) else step.pool_size)[axis]
            kernel = (kernel - 1) * getattr(step, "dilation_rate", (1, 1))[axis] + 1
            stride = step.strides[axis]
            padded = max((grid - 1) * stride + kernel - size, 0) // 2 if step.padding == "same" else 0
            place = (place[0] + ((kernel - 1) / 2 - padded) * place[1], place[1] * stride)
        elif grid != size:
            place = None
        places[id(node.outputs[0])] = place
        if step.name == layer:
            break
    return place


def placed(grids: np.ndarray, rows: tuple[float, float], columns: tuple[float, float]) -> np.ndarray:
    """(n, rows, columns) → (n, 32, 32): linear between the cells' centres, and 0 beyond the cells.

    rows and columns: the cells' start and pitch on each axis, see `cells`.

    A cell extends half a pitch around its centre; beyond that, its value fades to 0 within another half. tf-keras-vis
    would put the outermost cells on the image's outermost pixels, up to 5.5 pixels away from where they lie.
    """
    weights = []
    for size, (start, pitch) in zip(grids.shape[1:], (rows, columns), strict=True):
        place = (np.arange(32) - start) / pitch
        inside = np.clip(place, 0, size - 1)
        weight = np.maximum(1 - np.abs(inside[:, None] - np.arange(size)), 0)  # (32, size)
        weight *= np.clip(2 - 2 * np.abs(place - inside), 0, 1)[:, None]
        weights.append(weight.astype("float32"))
    return np.asarray(weights[0] @ grids @ weights[1].T)
