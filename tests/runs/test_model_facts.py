"""Multiply-adds, against numbers worked out by hand."""

import keras

from kerascifar.runs import model_facts
from kerascifar.training import models


def test_multiply_adds_are_counted_per_position():
    """By hand for model3: positions × (9 × channels in) × channels out, and the dense layer."""
    expected = 1024 * (27 * 64 + 576 * 32 + 288 * 32) + 256 * 288 * 16 + 36 * 144 * 16 + 576 * 10
    assert model_facts.multiply_adds(models.build("model3")) == expected == 31_349_376


def test_multiply_adds_of_shared_nested_and_divided_layers():
    """By hand. Fails if a layer that is used twice, or one inside another model, counts once or not at all."""
    layers = keras.layers
    shared = layers.Conv2D(4, 3, padding="same")
    inner = keras.Sequential([keras.Input((16, 16, 8)), layers.Conv2D(8, 3, groups=4, padding="same")])
    images = keras.Input((32, 32, 3))
    features = shared(shared(layers.Conv2D(4, 1)(images)))
    features = inner(layers.SeparableConv2D(8, 3, strides=2, padding="same")(features))
    features = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(features)
    network = keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(features)))
    once = 32 * 32 * 3 * 4 + 2 * 32 * 32 * 9 * 4 * 4  # the second convolution twice
    halved = 16 * 16 * (9 * 4 + 4 * 8) + 16 * 16 * 8 * 9 * (8 // 4)
    assert model_facts.multiply_adds(network) == once + halved + 8 * 8 * 9 * 8 * 2 + 16 * 10
