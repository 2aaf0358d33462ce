"""The report's six models, as Keras `Sequential` builders that end in logits.

A model is one function under `@model`; its name is the key in an experiment's TOML, its keyword arguments are that
row's `model_options`. The layers follow the report's tables; what those leave open is an argument with a default:
`dropout` is the rate, `momentum` BatchNormalization's.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kerascifar.errors import UserError, suggest

if TYPE_CHECKING:
    import keras


class _KerasOnFirstUse:
    """Stands for Keras, and loads it when it is first touched: models' names and options are known without it."""

    def __getattr__(self, name: str) -> Any:
        import keras

        return getattr(keras, name)


if not TYPE_CHECKING:
    keras = _KerasOnFirstUse()

INPUT_SHAPE = (32, 32, 3)
CLASSES = 10
BUILDERS: dict[str, Callable[..., "keras.Sequential"]] = {}


def model(builder: Callable[..., "keras.Sequential"]) -> Callable[..., "keras.Sequential"]:
    """Registers a builder under its function's name."""
    BUILDERS[builder.__name__] = builder
    return builder


def names() -> list[str]:
    return list(BUILDERS)


def build(name: str, **options: Any) -> "keras.Sequential":
    """A new, untrained model: float32 images (n, 32, 32, 3) scaled to 0..1 in, float32 logits (n, 10) out.

    Raises:
        UserError: no such model, or options that it cannot be built with.
    """
    if name not in BUILDERS:
        raise UserError(f'Model "{name}" is not known.\n{suggest(name, BUILDERS)}')
    try:
        return BUILDERS[name](**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"Model {name} cannot be built with {options or 'its defaults'}: {error}") from None


# Layer makers, so that a model below reads like the report's table. ReLU sits in each convolution (assumption: the
# report lists modules, and lists none).
def _conv(filters: int, padding: str = "same") -> "keras.layers.Layer":
    return keras.layers.Conv2D(filters, 3, padding=padding, activation="relu")


def _pool() -> "keras.layers.Layer":
    return keras.layers.MaxPooling2D(2)


def _norm(momentum: float) -> "keras.layers.Layer":
    return keras.layers.BatchNormalization(momentum=momentum)


def _drop(rate: float) -> "keras.layers.Layer":
    return keras.layers.Dropout(rate)


def _sequential(name: str, *layers: "keras.layers.Layer", hidden: Sequence[int] = ()) -> "keras.Sequential":
    """`layers`, then Flatten, `hidden` dense layers and the logits."""
    dense = [keras.layers.Dense(units, activation="relu") for units in hidden]
    # Logits stay float32 under mixed precision: a softmax of bfloat16 logits loses the loss's small differences.
    logits = keras.layers.Dense(CLASSES, name="logits", dtype="float32")
    return keras.Sequential([keras.Input(INPUT_SHAPE), *layers, keras.layers.Flatten(), *dense, logits], name=name)


def _initialize_like_pytorch(network: "keras.Sequential") -> "keras.Sequential":
    """PyTorch's default for convolutions and dense layers: kernel and bias uniform in ±1/√(inputs of a unit)."""
    for layer in network.layers:
        if layer.weights:
            limit = 1 / math.sqrt(math.prod(layer.kernel.shape[:-1]))
            for variable in layer.weights:
                variable.assign(keras.random.uniform(variable.shape, -limit, limit))
    return network


@model
def model1(
    filters: Sequence[int] = (16, 32, 64), dense: Sequence[int] = (128, 64), initialization: str = "keras"
) -> "keras.Sequential":
    """Experiment 1: "3 conv2d, 3 maxpool, 3 dense" (the third dense layer gives the logits).

    Args:
        filters: channels of the three 3×3 "same" convolutions; the report does not give them, a rule chose them.
        dense: units of the two hidden dense layers; likewise.
        initialization: "keras" (uniform Glorot, biases 0) or "pytorch", the defaults of the original's library.
    """
    if initialization not in ("keras", "pytorch"):
        raise ValueError(f'initialization must be "keras" or "pytorch", not {initialization!r}')
    first, second, third = filters
    network = _sequential(
        "model1",
        _conv(first),
        _pool(),
        _conv(second),
        _pool(),
        _conv(third),
        _pool(),
        hidden=dense,
    )
    return _initialize_like_pytorch(network) if initialization == "pytorch" else network


@model
def model2(dropout: float = 0.2, momentum: float = 0.99) -> "keras.Sequential":
    """Experiment 2: four BatchNormalization, two Dropout layers; 42,506 trainable (the report's table)."""
    return _sequential(
        "model2",
        _conv(64),
        _norm(momentum),
        _drop(dropout),
        _conv(32),
        _norm(momentum),
        _drop(dropout),
        _conv(32),
        _pool(),
        _norm(momentum),
        _conv(16),
        _pool(),
        _norm(momentum),
        _conv(16, "valid"),
    )


@model
def model3(dropout: float = 0.2) -> "keras.Sequential":
    """Experiment 2: Model2 without BatchNormalization; 42,218 trainable (the report's table)."""
    return _sequential(
        "model3",
        _conv(64),
        _drop(dropout),
        _conv(32),
        _drop(dropout),
        _conv(32),
        _pool(),
        _conv(16),
        _pool(),
        _conv(16, "valid"),
    )


@model
def model4(dropout: float = 0.2, momentum: float = 0.99) -> "keras.Sequential":
    """Experiment 2: two BatchNormalization layers; 42,314 trainable (the report's table, its best)."""
    return _sequential(
        "model4",
        _conv(64),
        _drop(dropout),
        _conv(32),
        _norm(momentum),
        _drop(dropout),
        _conv(32),
        _pool(),
        _conv(16),
        _pool(),
        _norm(momentum),
        _conv(16, "valid"),
    )


@model
def model5(momentum: float = 0.99) -> "keras.Sequential":
    """Experiment 2: Model4 without its two Dropout layers (assumption)."""
    return _sequential(
        "model5",
        _conv(64),
        _conv(32),
        _norm(momentum),
        _conv(32),
        _pool(),
        _conv(16),
        _pool(),
        _norm(momentum),
        _conv(16, "valid"),
    )


@model
def model6(dropout: float = 0.2, momentum: float = 0.99) -> "keras.Sequential":
    """Experiment 2: Model3 with BatchNormalization at the places of Model2 that Model4 leaves (assumption)."""
    return _sequential(
        "model6",
        _conv(64),
        _norm(momentum),
        _drop(dropout),
        _conv(32),
        _drop(dropout),
        _conv(32),
        _pool(),
        _norm(momentum),
        _conv(16),
        _pool(),
        _conv(16, "valid"),
    )


def check_shapes(network: "keras.Sequential") -> None:
    """Raises a `UserError` unless the model takes 32×32 RGB images and gives ten logits."""
    shapes = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    if shapes != ((None, *INPUT_SHAPE), (None, CLASSES)):
        raise UserError(
            f'Model "{network.name}" takes {shapes[0]} and gives {shapes[1]}.\n'
            f"Expected {(None, *INPUT_SHAPE)} and {(None, CLASSES)}: 32×32 RGB images in, ten logits out."
        )


def last_convolution(network: "keras.Sequential") -> "keras.layers.Conv2D":
    """The last `Conv2D`, whose grid Grad-CAM's maps have.

    Raises:
        UserError: the model has none.
    """
    for layer in reversed(network.layers):
        if isinstance(layer, keras.layers.Conv2D):
            return layer
    raise UserError(f'Model "{network.name}" has no Conv2D layer, so there is no grid to draw a focus map on.')


def parameters(network: "keras.Sequential") -> tuple[int, int]:
    """Trainable and total parameters; only the total counts BatchNormalization's moving statistics."""
    return sum(math.prod(w.shape) for w in network.trainable_weights), network.count_params()


def multiply_adds(network: "keras.Sequential") -> int:
    """Multiply-adds of one image's forward pass through `Conv2D` and `Dense` layers; the rest is left out as small."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
    return total
