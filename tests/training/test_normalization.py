"""The fused layer computes what Keras's does, in training and out of it."""

import keras
import numpy as np
import pytest

from kerascifar.training.normalization import FusedBatchNormalization

SHAPE = (4, 5, 5, 3)
IMAGES = np.random.default_rng(0).normal(2, 3, SHAPE).astype("float32")
WEIGHTS = np.random.default_rng(1).normal(size=SHAPE).astype("float32")


def step(kind, **options):
    """A layer after one training step, the step's outputs, and the gradients of their weighted sum."""
    import tensorflow as tf

    layer, images = kind(momentum=0.9, epsilon=0.01, **options), tf.Variable(IMAGES)
    layer.build(SHAPE)
    layer.gamma.assign([0.5, 1.0, 2.0])
    layer.beta.assign([1.0, 0.0, -1.0])
    with tf.GradientTape() as tape:
        outputs = layer(images, training=True)
        total = tf.reduce_sum(tf.cast(outputs, "float32") * WEIGHTS)
    return layer, np.asarray(outputs), tape.gradient(total, [images, layer.gamma.value, layer.beta.value])


def test_outputs_gradients_and_moving_mean_are_those_of_keras():
    (own, outputs, gradients), (of_keras, expected, expected_gradients) = map(
        step, (FusedBatchNormalization, keras.layers.BatchNormalization)
    )
    assert outputs == pytest.approx(expected, abs=1e-5)
    for found, right in zip(gradients, expected_gradients, strict=True):
        assert np.asarray(found) == pytest.approx(np.asarray(right), abs=1e-4)
    assert np.asarray(own.moving_mean) == pytest.approx(np.asarray(of_keras.moving_mean), abs=1e-6)
    own.moving_variance.assign(of_keras.moving_variance)
    assert np.asarray(own(IMAGES)) == pytest.approx(np.asarray(of_keras(IMAGES)), abs=1e-6)


def test_moving_statistics():
    """By NumPy: a tenth of the way from 0 and 1 to the batch's mean and unbiased variance."""
    layer, _, _ = step(FusedBatchNormalization)
    assert np.asarray(layer.moving_mean) == pytest.approx(0.1 * IMAGES.mean((0, 1, 2)), rel=1e-5)
    variance = IMAGES.var((0, 1, 2), ddof=1)
    assert np.asarray(layer.moving_variance) == pytest.approx(0.9 + 0.1 * variance, rel=1e-5)


def test_a_frozen_layer_uses_and_keeps_its_statistics():
    layer, outputs, _ = step(FusedBatchNormalization, trainable=False)
    assert np.asarray(layer.moving_mean).tolist() == [0, 0, 0]
    assert outputs[..., 1] == pytest.approx(IMAGES[..., 1] / 1.01**0.5, rel=1e-5)


def test_half_precision_is_computed_by_keras():
    _, outputs, _ = step(FusedBatchNormalization, dtype="mixed_bfloat16")
    _, expected, _ = step(keras.layers.BatchNormalization, dtype="mixed_bfloat16")
    assert outputs.dtype == expected.dtype == "bfloat16" and (outputs == expected).all()
