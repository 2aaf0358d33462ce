"""The original's six models, as builders of Keras `Sequential` models that end in logits, and Experiment 3's model.

A model is a function decorated with `@model`. Experiment files refer to it by its name, and its keyword arguments are a
row's `model_options`. The layers follow the original's tables. Each open choice is an argument with a default
(`dropout` is the rate). Every model also takes the arguments of `adapt`, for defaults in which PyTorch, the original's
library, differs from Keras.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from kerascifar.common.errors import UserError, suggest
from kerascifar.images.official import CLASSES

if TYPE_CHECKING:
    import keras


class _KerasOnFirstUse:
    """A stand-in for Keras that loads it on first use. The names and options of models are available without it."""

    def __getattr__(self, name: str) -> Any:
        import keras

        return getattr(keras, name)


if not TYPE_CHECKING:
    keras = _KerasOnFirstUse()

INPUT_SHAPE = (32, 32, 3)
EXPECTED_LOGITS = "Expected logits, from which the loss and the focus maps are computed: leave out the last activation."
BUILDERS: dict[str, Callable[..., "keras.Model"]] = {}
ModelBuilder = TypeVar("ModelBuilder", bound=Callable[..., "keras.Model"])


def model(builder: ModelBuilder) -> ModelBuilder:
    """Registers a builder under the name of its function."""
    BUILDERS[builder.__name__] = builder
    return builder


def build(name: str, **options: Any) -> "keras.Model":
    """Builds an untrained model. It takes float32 images (n, 32, 32, 3) in 0..1 and returns float32 logits (n, 10).

    Args:
        name: of a builder in this module, such as "model4".
        options: the builder's own, and those of `adapt`.
    Returns:
        A Keras model, not compiled.
    Raises:
        UserError: the model is not known, or cannot be built with these options.
    """
    if not isinstance(name, str) or name not in BUILDERS:
        raise UserError(f'Model "{name}" is not known.\n{suggest(str(name), BUILDERS)}')
    shared = {key: options.pop(key) for key in SHARED_OPTIONS if key in options}
    try:
        network = BUILDERS[name](**options)
        if not hasattr(network, "layers"):
            raise ValueError(f"its function returned {network!r} instead of a Keras model")
        return adapt(network, **shared)
    except (TypeError, ValueError) as error:
        raise UserError(f"Model {name} cannot be built with {options | shared or 'its defaults'}: {error}") from None


def adapt(
    network: "keras.Model",
    *,
    initialization: str = "keras",
    momentum: float | None = None,
    epsilon: float | None = None,
    pixels: str = "0..1",
) -> "keras.Model":
    """Applies the options that every model takes. With the defaults, the model is unchanged.

    Args:
        network: untrained.
        initialization: "keras" keeps Keras's own (for most layers, uniform Glorot kernels and zero biases); "pytorch"
            draws the kernel and bias of each Conv2D, DepthwiseConv2D and Dense layer uniformly from
            ±1/√(inputs of a unit), like `torch.nn.modules.conv._ConvNd.reset_parameters`.
        momentum: for each BatchNormalization layer, the fraction of a moving statistic that a step keeps. PyTorch
            states the other fraction: its default of 0.1 is 0.9 here.
        epsilon: for each BatchNormalization layer, the number added to the variance. PyTorch's default is 1e-5.
        pixels: range of the first layer's input: "0..1", or "-1..1" through an added `Rescaling` layer, like
            `torchvision.transforms.Normalize(0.5, 0.5)`.
    Raises:
        ValueError: an option has an invalid value.
    """
    if initialization not in ("keras", "pytorch"):
        raise ValueError(f'initialization must be "keras" or "pytorch", not {initialization!r}')
    if pixels not in ("0..1", "-1..1"):
        raise ValueError(f'pixels must be "0..1" or "-1..1", not {pixels!r}')
    for name, value, top in (("momentum", momentum, 1), ("epsilon", epsilon, math.inf)):
        if value is not None and (type(value) not in (int, float) or not 0 <= value < top):
            raise ValueError(f"{name} must be a number from 0 up to {top}, not {value!r}")
    for layer in all_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = layer.momentum if momentum is None else momentum
            layer.epsilon = layer.epsilon if epsilon is None else epsilon
    if initialization == "pytorch":
        _initialize_like_pytorch(network)
    if pixels == "-1..1":
        return _rescaled(network)
    return network


def _rescaled(network: "keras.Model") -> "keras.Model":
    """The same layers, after one that turns pixels in 0..1 into -1..1."""
    rescaling = keras.layers.Rescaling(2.0, offset=-1.0, name="rescaling")
    if isinstance(network, keras.Sequential):
        return keras.Sequential([keras.Input(INPUT_SHAPE), rescaling, *network.layers], name=network.name)

    def scaled(tensor: Any) -> Any:
        history = getattr(tensor, "_keras_history", None)
        return rescaling(tensor) if history and isinstance(history.operation, keras.layers.InputLayer) else tensor

    def call(layer: "keras.layers.Layer", *inputs: Any, **arguments: Any) -> Any:
        return layer(*keras.tree.map_structure(scaled, inputs), **arguments)

    return keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)


def all_layers(network: "keras.Model") -> Iterator["keras.layers.Layer"]:
    """The layers of a model and of the models inside it."""
    for layer in network.layers:
        yield from all_layers(layer) if isinstance(layer, keras.Model) else (layer,)


# The options that every model takes, besides its builder's own.
SHARED_OPTIONS = frozenset(inspect.signature(adapt).parameters) - {"network"}


# These functions let a model below read like the original's table. Each convolution includes a ReLU. This is an
# assumption: the original lists the modules of its models, and no activation is among them.
def _conv(filters: int, padding: str = "same") -> "keras.layers.Layer":
    return keras.layers.Conv2D(filters, 3, padding=padding, activation="relu")


def _pool() -> "keras.layers.Layer":
    return keras.layers.MaxPooling2D(2)


def _norm() -> "keras.layers.Layer":
    return keras.layers.BatchNormalization()


def _drop(rate: float) -> "keras.layers.Layer":
    return keras.layers.Dropout(rate)


def _sequential(name: str, *layers: "keras.layers.Layer", hidden: Sequence[int] = ()) -> "keras.Sequential":
    """Puts `layers`, Flatten, the `hidden` dense layers and the logits into one model."""
    dense = [keras.layers.Dense(units, activation="relu") for units in hidden]
    # Logits stay float32 under mixed precision: bfloat16 is too coarse for small differences in the loss.
    logits = keras.layers.Dense(CLASSES, name="logits", dtype="float32")
    return keras.Sequential([keras.Input(INPUT_SHAPE), *layers, keras.layers.Flatten(), *dense, logits], name=name)


def _initialize_like_pytorch(network: "keras.Model") -> None:
    for layer in all_layers(network):
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)  # each unit has one channel as its input
            limit = 1 / math.sqrt(math.prod(layer.kernel.shape[: 2 if depthwise else -1]))
            for variable in layer.weights:
                variable.assign(keras.random.uniform(variable.shape, -limit, limit))


@model
def model1(
    filters: Sequence[int] = (16, 32, 64), dense: Sequence[int] = (128, 64), padding: str = "same"
) -> "keras.Sequential":
    """Experiment 1: "3 conv2d, 3 maxpool, 3 dense" (the third dense layer outputs the logits).

    The original does not state the values of these arguments.

    Args:
        filters: channels of the three 3×3 convolutions.
        dense: units of the two hidden dense layers.
        padding: of the convolutions, "same" or "valid".
    """
    first, second, third = filters
    return _sequential(
        "model1",
        _conv(first, padding),
        _pool(),
        _conv(second, padding),
        _pool(),
        _conv(third, padding),
        _pool(),
        hidden=dense,
    )


@model
def model2(dropout: float = 0.2) -> "keras.Sequential":
    """Experiment 2: four BatchNormalization and two Dropout layers; 42,506 trainable parameters, as in the original."""
    return _sequential(
        "model2",
        _conv(64),
        _norm(),
        _drop(dropout),
        _conv(32),
        _norm(),
        _drop(dropout),
        _conv(32),
        _pool(),
        _norm(),
        _conv(16),
        _pool(),
        _norm(),
        _conv(16, "valid"),
    )


@model
def model3(dropout: float = 0.2) -> "keras.Sequential":
    """Experiment 2: Model2 without BatchNormalization; 42,218 trainable parameters, as in the original."""
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
def model4(dropout: float = 0.2) -> "keras.Sequential":
    """Experiment 2: two BatchNormalization layers, the original's best; 42,314 trainable parameters, as reported."""
    return _sequential(
        "model4",
        _conv(64),
        _drop(dropout),
        _conv(32),
        _norm(),
        _drop(dropout),
        _conv(32),
        _pool(),
        _conv(16),
        _pool(),
        _norm(),
        _conv(16, "valid"),
    )


@model
def model5() -> "keras.Sequential":
    """Experiment 2: Model4 without its two Dropout layers (assumption)."""
    return _sequential(
        "model5",
        _conv(64),
        _conv(32),
        _norm(),
        _conv(32),
        _pool(),
        _conv(16),
        _pool(),
        _norm(),
        _conv(16, "valid"),
    )


@model
def model6(dropout: float = 0.2) -> "keras.Sequential":
    """Experiment 2: Model3 plus the two BatchNormalization layers of Model2 that Model4 lacks (assumption)."""
    return _sequential(
        "model6",
        _conv(64),
        _norm(),
        _drop(dropout),
        _conv(32),
        _drop(dropout),
        _conv(32),
        _pool(),
        _norm(),
        _conv(16),
        _pool(),
        _conv(16, "valid"),
    )


@model
def residual(
    filters: Sequence[int] = (24, 64, 96),
    blocks: Sequence[int] = (1, 4, 1),
    kind: str = "separable",
    kernel: int = 3,
    activation: str = "relu",
    pooling: str = "average",
) -> "keras.Model":
    """Experiment 3: residual blocks in stages (not in the original).

    Each stage after the first has half the resolution of the previous one. A block adds a change to its input (He et
    al., arXiv:1512.03385). Convolutions that BatchNormalization follows have no bias.

    Args:
        filters: channels of each stage. The first starts with a 3×3 convolution, the others with pooling and a 1×1 one.
        blocks: number of blocks in each stage.
        kind: of blocks. "full": a convolution, BatchNormalization and activation. "separable": the convolution is split
            into one per channel, with its own BatchNormalization, and a 1×1 convolution (Howard et al.,
            arXiv:1704.04861), which takes about an eighth of the parameters. "gated": a convolution per channel and
            BatchNormalization, then the product of two 1×1 convolutions, one of them with the activation (Shazeer,
            arXiv:2002.05202), and a third 1×1 convolution.
        kernel: width of the blocks' convolutions that are not 1×1.
        activation: the name of a Keras activation, or "prelu", which learns a slope for negative values in each
            channel (He et al., arXiv:1502.01852).
        pooling: between stages: "average", "max", or "both", which adds the two.
    """
    from kerascifar.training.normalization import FusedBatchNormalization

    layers = keras.layers
    average, largest = layers.AveragePooling2D, layers.MaxPooling2D
    pools = {"average": (average,), "max": (largest,), "both": (average, largest)}
    for name, value, known in (("pooling", pooling, pools), ("kind", kind, ("full", "separable", "gated"))):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")

    def activated(features: Any) -> Any:
        return (layers.PReLU(shared_axes=[1, 2]) if activation == "prelu" else layers.Activation(activation))(features)

    def convolution(features: Any, channels: int, size: int) -> Any:
        features = layers.Conv2D(channels, size, padding="same", use_bias=False)(features)
        return activated(FusedBatchNormalization()(features))

    def block(features: Any, channels: int) -> Any:
        if kind == "full":
            return layers.Add()([features, convolution(features, channels, kernel)])
        change = layers.DepthwiseConv2D(kernel, padding="same", use_bias=False)(features)
        change = FusedBatchNormalization()(change)
        if kind == "separable":
            return layers.Add()([features, convolution(change, channels, 1)])
        gate, value = activated(layers.Conv2D(channels, 1)(change)), layers.Conv2D(channels, 1)(change)
        return layers.Add()([features, layers.Conv2D(channels, 1)(layers.Multiply()([gate, value]))])

    def halved(features: Any) -> Any:
        pooled = [pool(2)(features) for pool in pools[pooling]]
        return layers.Add()(pooled) if len(pooled) > 1 else pooled[0]

    images = features = keras.Input(INPUT_SHAPE)
    for stage, (channels, count) in enumerate(zip(filters, blocks, strict=True)):
        features = convolution(halved(features), channels, 1) if stage else convolution(images, channels, 3)
        for _ in range(count):
            features = block(features, channels)
    features = layers.GlobalAveragePooling2D(dtype="float32")(features)
    logits = layers.Dense(CLASSES, name="logits", dtype="float32")(features)
    return keras.Model(images, logits, name="residual")


def check_form(model: "keras.Model") -> None:
    """Raises a `UserError` unless the model takes 32×32 RGB images and returns ten logits, one array each."""
    if not hasattr(model, "outputs"):
        raise UserError(
            f'Keras does not know the shapes of model "{model.name}" before it is used.\nBegin a Sequential model with '
            "keras.Input((32, 32, 3)). Wrap a model of your own class: keras.Model(images, own(images)), with "
            "images = keras.Input((32, 32, 3))."
        )
    in_a_dictionary = isinstance(getattr(model, "output", None), dict)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or in_a_dictionary:
        raise UserError(
            f'model "{model.name}" has inputs: {len(model.inputs)}, outputs: {len(model.outputs)}'
            f"{' in a dictionary' * in_a_dictionary}.\nExpected one array of images in, and one of ten logits out. "
            "Choose the output: keras.Model(model.inputs, model.outputs[0])."
        )
    if (model.input_shape, model.output_shape) != ((None, *INPUT_SHAPE), (None, CLASSES)):
        raise UserError(
            f'Model "{model.name}" takes {model.input_shape} and returns {model.output_shape}.\n'
            f"Expected {(None, *INPUT_SHAPE)} and {(None, CLASSES)}: 32×32 RGB images in, ten logits out."
        )
