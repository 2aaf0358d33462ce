"""The six models against the original's tables, and the model of Experiment 3."""

import keras
import numpy as np
import pytest

from kerascifar.common.errors import UserError
from kerascifar.runs import model_facts
from kerascifar.training import models

# The original's listings: type, output (height, width, channels), parameters. Its tool counts two parameters per
# BatchNormalization channel (the trainable ones), and lists no activation and no Flatten.
C, B, D, P, L = "Conv2D", "BatchNormalization", "Dropout", "MaxPooling2D", "Dense"
ORIGINAL = {
    "model2": [
        (C, (32, 32, 64), 1792),
        (B, (32, 32, 64), 128),
        (D, (32, 32, 64), 0),
        (C, (32, 32, 32), 18464),
        (B, (32, 32, 32), 64),
        (D, (32, 32, 32), 0),
        (C, (32, 32, 32), 9248),
        (P, (16, 16, 32), 0),
        (B, (16, 16, 32), 64),
        (C, (16, 16, 16), 4624),
        (P, (8, 8, 16), 0),
        (B, (8, 8, 16), 32),
        (C, (6, 6, 16), 2320),
        (L, (10,), 5770),
    ],
    "model3": [
        (C, (32, 32, 64), 1792),
        (D, (32, 32, 64), 0),
        (C, (32, 32, 32), 18464),
        (D, (32, 32, 32), 0),
        (C, (32, 32, 32), 9248),
        (P, (16, 16, 32), 0),
        (C, (16, 16, 16), 4624),
        (P, (8, 8, 16), 0),
        (C, (6, 6, 16), 2320),
        (L, (10,), 5770),
    ],
    "model4": [
        (C, (32, 32, 64), 1792),
        (D, (32, 32, 64), 0),
        (C, (32, 32, 32), 18464),
        (B, (32, 32, 32), 64),
        (D, (32, 32, 32), 0),
        (C, (32, 32, 32), 9248),
        (P, (16, 16, 32), 0),
        (C, (16, 16, 16), 4624),
        (P, (8, 8, 16), 0),
        (B, (8, 8, 16), 32),
        (C, (6, 6, 16), 2320),
        (L, (10,), 5770),
    ],
}


def listing(network):
    """Type, output shape and trainable parameters of each layer that the original's tool lists."""
    return [
        (
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            sum(int(np.prod(w.shape)) for w in layer.trainable_weights),
        )
        for layer in network.layers
        if type(layer).__name__ != "Flatten"
    ]


@pytest.mark.parametrize("name", ORIGINAL)
def test_layers_match_the_originals_tables(name):
    """Fails if a layer moves or a width drifts, e.g. with padding="same" in the last convolution."""
    assert listing(models.build(name)) == ORIGINAL[name]


@pytest.mark.parametrize(
    ("name", "trainable", "total"),
    [
        ("model2", 42_506, 42_794),
        ("model3", 42_218, 42_218),
        ("model4", 42_314, 42_410),
        ("model5", 42_314, 42_410),
        ("model6", 42_410, 42_602),
    ],
)
def test_parameters_match_the_originals(name, trainable, total):
    """Totals: Keras also counts two moving statistics per BatchNormalization channel."""
    assert model_facts.parameters(models.build(name)) == (trainable, total)


def test_model5_is_model4_without_dropout():
    assert listing(models.build("model5")) == [line for line in ORIGINAL["model4"] if line[0] != D]


def test_model6_normalises_where_model4_does_not():
    """Model2's places are after convolutions 1 and 2 and poolings 1 and 2; Model4 uses the second of each."""
    kinds = [kind for kind, _, _ in listing(models.build("model6"))]
    assert kinds == [C, B, D, C, D, C, P, B, C, P, C, L]


def test_model1_has_three_of_each():
    network = models.build("model1", filters=[6, 16, 32], dense=[120, 84])
    kinds = [type(layer).__name__ for layer in network.layers]
    assert [kinds.count(kind) for kind in (C, P, L)] == [3, 3, 3]
    # 6·28, 16·55, 32·145; 512·120+120, 120·84+84, 84·10+10
    assert model_facts.parameters(network)[0] == 168 + 880 + 4640 + 61560 + 10164 + 850


@pytest.mark.parametrize(
    ("options", "trainable", "multiply_adds"),
    [
        # 3×3, then a block; each normalisation has two parameters a channel, each PReLU one.
        ({"filters": [4], "blocks": [1], "kind": "full"}, 108 + 8 + 144 + 8 + 50, 1024 * (108 + 144) + 40),
        ({"filters": [4], "blocks": [1], "kind": "full", "kernel": 1}, 108 + 8 + 16 + 8 + 50, 1024 * (108 + 16) + 40),
        ({"filters": [4], "blocks": [1]}, 108 + 8 + 36 + 8 + 16 + 8 + 50, 1024 * (108 + 36 + 16) + 40),
        ({"filters": [4], "blocks": [1], "kernel": 5}, 234 - 36 + 100, 1024 * (108 + 100 + 16) + 40),
        # A gated block has a bias in each of its three 1×1 convolutions.
        ({"filters": [4], "blocks": [1], "kind": "gated"}, 116 + 36 + 8 + 3 * 20 + 50, 1024 * (108 + 36 + 3 * 16) + 40),
        ({"filters": [4], "blocks": [1], "activation": "prelu"}, 234 + 2 * 4, 1024 * (108 + 36 + 16) + 40),
        # A second stage of 16 × 16 positions, without a block.
        ({"filters": [4, 6], "blocks": [0, 0]}, 108 + 8 + 24 + 12 + 70, 1024 * 108 + 256 * 24 + 60),
    ],
)
def test_parameters_and_multiply_adds_of_residual(options, trainable, multiply_adds):
    network = models.build("residual", **options)
    assert (model_facts.parameters(network)[0], model_facts.multiply_adds(network)) == (trainable, multiply_adds)


def test_a_block_adds_to_its_input():
    """Fails if the block replaces its input: with a normalisation that makes its change zero, nothing would be left."""
    plain, deep = (models.build("residual", filters=[4], blocks=[count]) for count in (0, 3))
    deep.set_weights([*plain.get_weights()[:5], *deep.get_weights()[5:-2], *plain.get_weights()[-2:]])
    for layer in norms(deep)[1:]:
        layer.gamma.assign(np.zeros(4))
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    assert np.asarray(deep(images)) == pytest.approx(np.asarray(plain(images)), abs=1e-6)


def test_a_gated_block_adds_the_product_of_a_gate_and_a_value():
    """With every kernel 1 in the middle, and gate 2x - 1 through ReLU: x + 3 · max(2x - 1, 0) · x, for one channel."""
    network = models.build("residual", filters=[1], blocks=[1], kind="gated", kernel=5)
    first, block = network.layers[3].output, network.layers[-3].output
    per_channel, norm, gate, _, value, _, last = (layer for layer in network.layers[4:-3])
    per_channel.kernel.assign(np.pad(np.ones((1, 1, 1, 1)), ((2, 2), (2, 2), (0, 0), (0, 0))))
    norm.epsilon = 0.0
    for layer, weight, bias in ((gate, 2, -1), (value, 1, 0), (last, 3, 0)):
        layer.set_weights([np.full((1, 1, 1, 1), weight), np.array([bias])])
    x = np.random.default_rng(0).random((1, 32, 32, 1), dtype="float32")
    expected = x + 3 * np.maximum(2 * x - 1, 0) * x
    assert np.asarray(keras.Model(first, block)(x)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("pooling", "expected"), [("average", 0.25), ("max", 1.0), ("both", 1.25)])
def test_pooling_between_stages(pooling, expected):
    """One of four neighbours is 1, the others are 0."""
    network = models.build("residual", filters=[1, 1], blocks=[0, 0], pooling=pooling)
    first, last = (i for i, layer in enumerate(network.layers) if isinstance(layer, keras.layers.Conv2D))
    between = keras.Model(network.layers[first + 2].output, network.layers[last].input)
    pixels = np.zeros((1, 32, 32, 1), "float32")
    pixels[0, ::2, ::2] = 1
    assert np.unique(np.asarray(between(pixels))).tolist() == [expected]


@pytest.mark.parametrize("name", models.BUILDERS)
def test_every_model_ends_in_float32_logits(name):
    """Fails if a builder ends in softmax: the loss would take probabilities for logits."""
    last = models.build(name).layers[-1]
    assert (last.activation, last.units, last.compute_dtype) == (keras.activations.linear, 10, "float32")


@pytest.mark.parametrize(
    ("name", "options", "answer"),
    [
        ("model7", {}, "is not known"),
        ("model4", {"dropout": 7}, "cannot be built with"),
        ("model1", {"filters": [1, 2]}, "cannot be built with"),
        ("model1", {"width": 3}, "cannot be built with"),
        ("residual", {"blocks": [1, 1]}, "cannot be built with"),
        ("residual", {"activation": "prelou"}, "cannot be built with"),
        ("residual", {"pooling": "sum"}, "pooling must be one of average, max, both, not 'sum'"),
        ("residual", {"kind": "double"}, "kind must be one of full, separable, gated, not 'double'"),
    ],
)
def test_what_cannot_be_built_is_a_users_mistake(name, options, answer):
    with pytest.raises(UserError, match=answer):
        models.build(name, **options)


def test_pytorchs_initialisation_is_uniform_with_its_limits_and_follows_the_seed():
    """Fails if the fan-in is another: 27, 144, 288 inputs of a convolution's unit; 1024, 128, 64 of a dense one's."""
    keras.utils.set_random_seed(1)
    network = models.build("model1", initialization="pytorch")
    first = network.get_weights()
    for weights, inputs in zip(first[::2], [27, 144, 288, 1024, 128, 64], strict=True):
        limit = inputs**-0.5
        assert 0.9 * limit < np.abs(weights).max() <= limit
        assert abs(weights.std() - limit / 3**0.5) < 0.1 * limit
    assert all(
        0 < np.abs(bias).max() <= inputs**-0.5
        for bias, inputs in zip(first[1::2], [27, 144, 288, 1024, 128, 64], strict=True)
    )
    keras.utils.set_random_seed(1)
    again = models.build("model1", initialization="pytorch").get_weights()
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_pytorchs_initialisation_of_a_depthwise_convolution():
    """Each of its units has 9 inputs, those of one channel; fails if the limit is 1/√(9 · 64)."""
    network = models.build("residual", initialization="pytorch")
    kernels = [layer.kernel for layer in network.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    assert len(kernels) == 6 and all(0.9 / 3 < np.abs(kernel).max() <= 1 / 3 for kernel in kernels)


def test_options_reach_the_layers_of_nested_and_branching_models():
    """Fails if only the outermost layers change, or if a model with a branch becomes a chain of its layers."""
    layers = keras.layers
    block = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()])
    images = keras.Input((32, 32, 3))
    first = block(images)
    both = layers.Add()([first, layers.Conv2D(4, 1)(images)])
    plain = keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(both)))
    assert [layer.name for layer in models.all_layers(plain)][1:3] == [layer.name for layer in block.layers]
    pixels = np.random.default_rng(0).random((2, 32, 32, 3)).astype("float32")
    expected = plain(2 * pixels - 1)
    signed = models.adapt(plain, momentum=0.9, pixels="-1..1")
    assert block.layers[1].momentum == 0.9
    assert np.allclose(signed(pixels), expected, atol=1e-5)
    assert signed.layers[-3:] == plain.layers[-3:]  # they are not nested, so that focus maps can look at them


def norms(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize(("name", "count"), [("model2", 4), ("model3", 0), ("model4", 2), ("model5", 2), ("model6", 2)])
def test_momentum_and_epsilon_reach_each_batch_normalization(name, count):
    found = norms(models.build(name, momentum=0.9, epsilon=1e-5))
    assert [(layer.momentum, layer.epsilon) for layer in found] == [(0.9, 1e-5)] * count
    assert {(layer.momentum, layer.epsilon) for layer in norms(models.build(name))} <= {(0.99, 0.001)}


def test_batch_normalization_computes_with_momentum_and_epsilon():
    """By hand, of the values 0 and 2: mean 1, variance 1. Fails if a layer keeps what it was built with."""
    network = models.adapt(
        keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()]), momentum=0.9, epsilon=3.0
    )
    result = np.asarray(network(np.array([[0.0], [2.0]], "float32"), training=True))
    assert result.ravel().tolist() == pytest.approx([-0.5, 0.5])  # (x − 1) / √(1 + 3)
    _, _, mean, variance = (float(np.asarray(w)[0]) for w in network.layers[0].weights)
    assert (mean, variance) == pytest.approx((0.1, 1.0))  # 0.9 · 0 + 0.1 · 1, 0.9 · 1 + 0.1 · 1
    loaded = keras.Sequential.from_config(network.get_config()).layers[0]
    assert (loaded.momentum, loaded.epsilon) == (0.9, 3.0)


@pytest.mark.parametrize("name", models.BUILDERS)
def test_pixels_from_minus_one_to_one_are_twice_the_pixel_minus_one(name):
    """Fails if the weights are not those of the model without it, or the scale is another."""
    keras.utils.set_random_seed(1)
    plain = models.build(name, initialization="pytorch")
    keras.utils.set_random_seed(1)
    signed = models.build(name, initialization="pytorch", pixels="-1..1")
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    expected = np.asarray(plain(2 * images - 1, training=False))
    assert np.asarray(signed(images, training=False)) == pytest.approx(expected, abs=1e-5)
    assert signed.input_shape == (None, 32, 32, 3) and signed.count_params() == plain.count_params()


def test_valid_convolutions_leave_four_positions_of_model1():
    """32 → 30 → 15 → 13 → 6 → 4 → 2."""
    shapes = [shape for kind, shape, _ in listing(models.build("model1", padding="valid")) if kind == P]
    assert shapes == [(15, 15, 16), (6, 6, 32), (2, 2, 64)]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"initialization": "torch"}, "initialization must be"),
        ({"pixels": "0..255"}, "pixels must be"),
        ({"momentum": 1}, "momentum must be"),
        ({"epsilon": "small"}, "epsilon must be"),
    ],
)
def test_an_option_of_every_model_that_makes_no_sense_is_a_users_mistake(options, answer):
    with pytest.raises(UserError, match=answer):
        models.build("model4", **options)


def test_a_models_own_batch_normalization_stays_unless_a_row_sets_it():
    """Fails if an option that no row gives replaces what a user's model was built with."""
    own = keras.layers.BatchNormalization(momentum=0.8, epsilon=0.01)
    network = models.adapt(keras.Sequential([keras.Input((1,)), own]))
    assert (own.momentum, own.epsilon) == (0.8, 0.01)
    models.adapt(network, momentum=0.9)
    assert (own.momentum, own.epsilon) == (0.9, 0.01)
