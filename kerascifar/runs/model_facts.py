"""What a model is like: its graph, parameters and multiply-adds. Nothing here affects a result."""

import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerascifar.training import models

if TYPE_CHECKING:
    import keras


def built(name: str, options: Mapping[str, Any]) -> "keras.Model":
    """An untrained model with these options, to look at; each one is built only once per process."""
    return _built(name, json.dumps(options, sort_keys=True))


@functools.cache
def _built(name: str, options: str) -> "keras.Model":
    return models.build(name, **json.loads(options))


def parameters(network: "keras.Model") -> tuple[int, int]:
    """Trainable and total parameters; only the total counts BatchNormalization's moving statistics."""
    return sum(math.prod(w.shape) for w in network.trainable_weights), network.count_params()


def size(name: str, options: Mapping[str, Any]) -> dict[str, int | None]:
    """The trainable parameters and multiply-adds of a model with these options, as columns; None for an unknown one."""
    network = built(name, options) if name in models.BUILDERS else None
    return {
        "parameters": parameters(network)[0] if network else None,
        "multiply-adds": multiply_adds(network) if network else None,
    }


def nodes(network: "keras.Model") -> list[Any]:
    """Keras's nodes of a model's graph, from its inputs on: each use of a layer, the `operation`, with its tensors."""
    graph = getattr(network, "_functional", None) or network  # a Sequential model keeps its graph there
    by_depth = getattr(graph, "_nodes_by_depth", {})
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def multiply_adds(network: "keras.Model") -> int:
    """Multiply-adds for one image in convolutions and dense layers; those in other layers are negligible.

    A layer that the model uses twice counts twice, and layers of a model inside it count too.
    """
    import keras

    kinds = keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D | keras.layers.Dense
    total = 0
    for node in nodes(network):
        if isinstance(node.operation, keras.Model):
            total += multiply_adds(node.operation)
        elif isinstance(node.operation, kinds):
            kernels = [w.shape for w in node.operation.weights if w.name.endswith("kernel")]
            total += math.prod(node.outputs[0].shape[1:-1]) * sum(map(math.prod, kernels))
    return total
