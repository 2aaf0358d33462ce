"""Focus maps look at the last layer with a grid, and its cells lie where their receptive fields are."""

import numpy as np
import pytest

from kerascifar.focus import placement
from kerascifar.training import models


def test_the_last_convolution_is_found_before_other_layers(model):
    """Fails if it is the first, or any layer with a grid ("pool" is a later one)."""
    assert placement.layers_with_maps(model) == ["first", "second"]
    assert placement.chosen_layer(model) == "second"


@pytest.mark.parametrize(
    "name, start, pitch, grid", [("model1", 1.5, 4, 8), ("model2", 5.5, 4, 6), ("model4", 5.5, 4, 6)]
)
def test_cells_lie_where_the_receptive_fields_have_their_centres(name, start, pitch, grid):
    """The gradient of one cell reaches the pixels around its centre, and no other. Fails on a wrong offset."""
    import tensorflow as tf

    network = models.build(name)
    layer = placement.chosen_layer(network)
    assert placement.cells(network, layer) == (start, pitch)
    x = tf.random.stateless_uniform((8, 32, 32, 3), (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        for step in network.layers:
            y = step(y, training=False)
            if step.name == layer:
                break
        score = tf.reduce_sum(y[:, 3, 2])
    assert y.shape[1] == grid
    reached = np.abs(tape.gradient(score, x)).sum(axis=(0, 3))
    rows, columns = np.flatnonzero(reached.sum(axis=1)), np.flatnonzero(reached.sum(axis=0))
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(start + 3 * pitch, abs=1)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(start + 2 * pitch, abs=1)


def test_cells_of_other_layers_cover_the_image_evenly():
    import keras

    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Resizing(16, 16), layers.Conv2D(2, 3, padding="same", name="c")]
    )
    assert placement.cells(network, "c") == (0.5, 2)


@pytest.mark.parametrize(("pool", "expected"), [(False, (2.0, 1.0)), (True, (3.5, 2.0))])
def test_cells_are_traced_through_another_model(pool, expected):
    """By hand: two 3 × 3 kernels without padding see 5 pixels. Fails if the image is taken to be covered evenly."""
    import keras

    layers = keras.layers
    inner = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(2, 3), *[layers.MaxPooling2D(2)] * pool])
    last = layers.Conv2D(2, 3, name="last")
    chain = keras.Sequential([keras.Input((32, 32, 3)), inner, last, layers.Flatten(), layers.Dense(10)])
    images = keras.Input((32, 32, 3))
    graph = keras.Model(images, layers.Dense(10)(layers.Flatten()(last(inner(images)))))
    assert placement.cells(chain, "last") == placement.cells(keras.models.clone_model(graph), "last") == expected


@pytest.mark.parametrize("strides", [(2, 2), (2, 1)])
def test_cells_of_branches_lie_where_both_have_theirs(strides):
    """Fails if the layers of a branch are taken for a chain: the pitch would double, and maps end up at the edge."""
    import keras

    layers = keras.layers
    images = keras.Input((32, 32, 3))
    wide = layers.Conv2D(2, 3, strides=strides[0], padding="same")(images)
    narrow = layers.AveragePooling2D(2, strides=2)(layers.Conv2D(2, 1, strides=strides[1])(images))
    narrow = narrow if strides[1] == 1 else layers.UpSampling2D(2)(narrow)
    last = layers.Conv2D(2, 3, padding="same", name="last")(layers.Add()([wide, narrow]))
    network = keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(last)))
    # 3 × 3, padded only below: pixels 0 to 2, so 1; means of pixels 0 and 1: 0.5. Unknown grids cover the image evenly.
    for same in (network, keras.models.clone_model(network)):
        assert placement.cells(same, "last") == ((0.75, 2) if strides[1] == 1 else (0.5, 2))


def test_maps_are_placed_on_the_pixels_of_their_cells():
    found = np.zeros((1, 6, 6), "float32")
    found[0, 0, 5] = 1
    made = placement.placed(found, (5.5, 4), (5.5, 4))[0]
    assert made[4:6, 26:28].tolist() == [[1.0] * 2] * 2  # the cell reaches from pixel 3.5 to 7.5 …
    assert made[3, 27] == pytest.approx(0.75) and made[2, 27] == pytest.approx(0.25)  # … and fades to 1.5
    assert made[:2].max() == made[:, 30:].max() == 0  # no cell is there
    assert made[5, 25] == pytest.approx(0.875) and made[7, 26] == pytest.approx(0.625) and made[10:].max() == 0
    np.testing.assert_allclose(placement.placed(np.ones((1, 8, 8), "float32"), (1.5, 4), (1.5, 4)), 1)  # they fill it
    whole = np.random.default_rng(0).random((2, 32, 32), dtype="float32")
    np.testing.assert_allclose(placement.placed(whole, (0, 1), (0, 1)), whole, rtol=1e-6)


def test_a_grid_that_is_not_square_is_placed_on_its_pixels():
    found = np.zeros((1, 4, 8), "float32")
    found[0, 1, 6] = 1
    made = placement.placed(found, (3.5, 8), (1.5, 4))[0]  # the cell's centre: row 11.5, column 25.5
    assert np.unravel_index(made.argmax(), made.shape) == (11, 25) and np.ptp(made[11:13, 25:27]) == 0
    assert made[:3].max() == made[20:].max() == made[:, :21].max() == made[:, 30:].max() == 0
