"""Focus maps equal Grad-CAM by hand, and every method finds planted evidence; what cannot be explained is refused."""

import factories
import numpy as np
import pytest
from scipy import ndimage

from kerascifar.common.errors import UserError
from kerascifar.focus import methods, placement
from kerascifar.training import models


def by_hand(model, images, labels, layer):
    """Grad-CAM as its paper writes it, in plain TensorFlow, layer by layer; float64 from the gradients on."""
    import tensorflow as tf

    found = []
    for image, label in zip(images, labels, strict=True):
        with tf.GradientTape() as tape:
            x = tf.constant(image[np.newaxis])
            activations = None
            for step in model.layers:
                x = step(x, training=False)
                if step.name == layer:
                    activations = x
                    tape.watch(activations)
            score = x[0, label]
        gradients = np.float64(tape.gradient(score, activations)[0])
        weights = gradients.sum(axis=(0, 1)) / (gradients.shape[0] * gradients.shape[1])  # eq. 1
        evidence = np.maximum((np.float64(activations[0]) * weights).sum(axis=-1), 0)  # eq. 2
        # Cells of "first" are pixels; "second" sees pixels 2 i … 2 i + 5, around 2 i + 2.5: its outermost cells reach
        # from pixel 1.5 to 29.5, and fade to nothing at 0.5 and 30.5.
        at = np.arange(32) if layer == "first" else (np.arange(32) - 2.5) / 2
        evidence = (evidence - evidence.min()) / (np.ptp(evidence) or 1)
        large = ndimage.map_coordinates(evidence, np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")
        if layer == "second":
            fade = np.interp(np.arange(32), [0.5, 1.5, 29.5, 30.5], [0, 1, 1, 0])
            large *= np.outer(fade, fade)
        found.append((large - large.min()) / (np.ptp(large) or 1))
    return np.array(found)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((6, 32, 32, 3), dtype=np.float32)


@pytest.mark.parametrize("layer", [None, "first", "second"])
def test_maps_are_grad_cam_by_hand(model, images, layer):
    """Fails on another layer, another class, a missing ReLU or mean, dropout left on, or another enlargement."""
    labels = np.array([0, 3, 9, 3, 5, 7], "uint8")  # as Keras gives them
    made = methods.focus_maps(model, images, labels, layer=layer)
    assert made.dtype == np.float32 and made.shape == (6, 32, 32)
    np.testing.assert_allclose(made, by_hand(model, images, labels, layer or "second"), atol=1e-5)
    assert made.min(axis=(1, 2)).tolist() == [0] * 6 and made.max(axis=(1, 2)).tolist() == [1] * 6


def test_explaining_leaves_the_model_as_it_was(model, images):
    before = [w.copy() for w in model.get_weights()], model(images).numpy(), [x.name for x in model.layers]
    methods.focus_maps(model, images, np.zeros(6, np.int64))
    for old, new in zip(before[0], model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(before[1], model(images).numpy())
    assert before[2] == [x.name for x in model.layers]


def test_a_reloaded_model_gives_the_same_maps(model, images, tmp_path):
    """A loaded model's layers carry an older graph beside the model's own: tf-keras-vis takes that one's tensors."""
    import keras

    labels = np.array([0, 3, 9, 3, 5, 7])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    for layer in ("first", "second"):
        expected = by_hand(model, images, labels, layer)
        np.testing.assert_allclose(methods.focus_maps(loaded, images, labels, layer=layer), expected, atol=1e-5)


def test_no_images_give_no_maps(model):
    made = methods.focus_maps(model, np.zeros((0, 32, 32, 3), np.float32), np.zeros(0, np.int64))
    assert made.shape == (0, 32, 32) and made.dtype == np.float32


@pytest.mark.parametrize("top, left", [(0, 0), (2, 20), (13, 11), (26, 26)])
def test_the_peak_lies_on_planted_evidence(top, left):
    """A red patch elsewhere is as bright, but no evidence. Fails on swapped axes or a map of mere brightness."""
    image = np.zeros((1, 32, 32, 3), np.float32)
    image[0, top : top + 6, left : left + 6, 1] = 1
    image[0, 31 - top - 5 : 32 - top, left : left + 6, 0] = 1 if top != 13 else 0
    map_ = methods.focus_maps(factories.planted(), image, np.array([1]))[0]
    row, column = np.unravel_index(map_.argmax(), map_.shape)
    assert top <= row < top + 6 and left <= column < left + 6
    outside = map_.copy()
    outside[top : top + 6, left : left + 6] = 0
    assert outside.max() == 0


@pytest.mark.parametrize("label", [2, 3])
def test_where_nothing_speaks_for_the_class_the_map_is_zero(label):
    """Evidence against class 2, none at all for class 3. Fails without the ReLU, or if 0/0 becomes NaN."""
    image = np.zeros((1, 32, 32, 3), np.float32)
    image[0, 4:10, 4:10, 1] = 1
    np.testing.assert_array_equal(
        methods.focus_maps(factories.planted(), image, np.array([label])), np.zeros((1, 32, 32))
    )


def test_a_level_map_is_zero():
    """Every place speaks for class 1 alike. Fails if rounding errors are stretched to 0..1."""
    import keras

    network = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(1, 1), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    network.set_weights([np.ones_like(w) for w in network.get_weights()])
    image = np.full((1, 32, 32, 3), 0.3, np.float32)
    image[0, 5, 5] *= 1 + 2e-7
    np.testing.assert_array_equal(methods.focus_maps(network, image, np.array([1])), np.zeros((1, 32, 32)))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x[:5], y), r"labels have shape \(6,\)\.\nExpected one class for each of 5 images"),
        (
            lambda x, y: (x[0], y),
            r"images have shape \(32, 32, 3\)\.\nExpected \(n, 32, 32, 3\)\. For one image: images\[None\]",
        ),
        (lambda x, y: (x[:, :16], y), r"images have shape \(6, 16, 32, 3\)"),
        (lambda x, y: ([1, 2], y), r"images have shape \(2,\)"),
        (lambda x, y: (x, np.eye(10)[y]), r"labels.argmax"),
        (lambda x, y: (np.uint8(x), y), r"images are uint8\..*\n.*astype\('float32'\) / 255"),
        (lambda x, y: (x.astype("float64"), y), r"images are float64\.\n.*: images.astype\('float32'\)\.$"),
        (lambda x, y: (x * 2, y), r"images have pixels in \S+ … 1\.\d+\.\nExpected 0..1: divide by 255"),
        (lambda x, y: (x - 0.5, y), r"images have pixels in -0\.\d+ … \S+\.\nExpected 0..1\.$"),
        (lambda x, y: (x[:, :16, :16], y), r"Expected \(n, 32, 32, 3\)\.$"),
        (lambda x, y: (x, ["cat"] * 6), r"labels are <U3\.\nExpected whole numbers from 0 to 9\."),
        (lambda x, y: (x * np.float32("nan"), y), "images have pixels in nan"),
        (lambda x, y: (x, y + 5), r"labels are 5 … 10\.\nExpected classes from 0 to 9"),
        (lambda x, y: (x, y - 1), "labels are -1 … 4"),
        (lambda x, y: (x, y / 1.0), "labels are float64"),
    ],
)
def test_wrong_arrays_are_named(model, images, change, message):
    with pytest.raises(UserError, match=message):
        methods.focus_maps(model, *change(images, np.arange(6)))


@pytest.mark.parametrize(
    ("against", "method", "message"),
    [
        (3, "contrast", r"against have shape \(\)"),
        ([3, 5], "contrast", r"against have shape \(2,\)"),
        ([10] * 6, "contrast", "against are 10 … 10"),
        ([3] * 6, "gradcam", 'against was given with method="gradcam"'),
    ],
)
def test_wrong_classes_to_contrast_with_are_named(model, images, against, method, message):
    with pytest.raises(UserError, match=message):
        methods.focus_maps(model, images, np.arange(6), method=method, against=against)


def test_a_layer_that_is_used_twice_is_not_looked_at(images):
    """Fails if such a model ends in an exception of Keras's, or if its map is that of one of the two outputs."""
    import keras

    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    inputs = keras.Input((32, 32, 3))
    once = keras.layers.Conv2D(3, 3, padding="same", name="once")(inputs)
    for first in (inputs, once):
        network = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(twice(twice(first)))))
        assert placement.layers_with_maps(network) == ([] if first is inputs else ["once"])
        if first is inputs:
            with pytest.raises(UserError, match="has no Conv2D layer that it uses exactly once"):
                methods.focus_maps(network, images[:1], np.zeros(1, int))


def test_a_model_without_convolution_or_of_another_shape_is_refused(images):
    import keras

    flat = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)], name="flat")
    with pytest.raises(UserError, match='Model "flat" has no Conv2D layer'):
        methods.focus_maps(flat, images, np.zeros(6, np.int64))
    small = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Conv2D(1, 3), keras.layers.Flatten()], name="small"
    )
    with pytest.raises(
        UserError, match=r'"small" takes \(None, 28, 28, 1\) and returns \(None, 676\)\.\nExpected \(None'
    ):
        methods.focus_maps(small, images, np.zeros(6, np.int64))


@pytest.mark.parametrize(
    "layer, message",
    [
        ("pool", 'layer "pool" is neither a Conv2D nor an Add layer of model "tiny".\nExpected one of: first, second.'),
        ("secnd", '"secnd" is not a layer of model "tiny".\nExpected one of: first, second. Did you mean "second"?'),
    ],
)
def test_another_layer_is_refused_and_not_replaced(model, images, layer, message):
    """tf-keras-vis would silently seek an earlier convolution."""
    with pytest.raises(UserError) as raised:
        methods.focus_maps(model, images, np.zeros(6, np.int64), layer=layer)
    assert message in str(raised.value)


def test_a_diverged_model_is_refused(images):
    network = factories.planted()
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
    with pytest.raises(UserError, match="numbers that are not finite: its training diverged"):
        methods.focus_maps(network, images, np.zeros(6, np.int64))


def patch(top=13, left=11):
    """A green patch, and beside it a red one, which is as bright but no evidence."""
    image = np.zeros((1, 32, 32, 3), np.float32)
    image[0, top : top + 6, left : left + 6, 1] = 1
    image[0, 2:8, 2:8, 0] = 1
    return image


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_finds_planted_evidence(method):
    """The model sees green alone. Fails if a method's labels, layer or output are handled as another's."""
    found = methods.evidence(factories.planted(), patch(), np.array([1]), method=method)
    assert found.shape == (1, 32, 32) and found.dtype == np.float32 and found.min() >= 0
    inside = found[0, 12:20, 10:18].sum()  # what a 3×3 kernel sees of the patch
    # Noise makes every place green enough now and then, and Score-CAM gives each channel some weight.
    assert inside > {"smoothgrad": 0.1, "scorecam": 0.4}.get(method, 0.99) * found.sum() > 0
    assert found[0, 13:19, 11:17].mean() > 2 * found[0, 22:28, 22:28].mean()


@pytest.mark.parametrize("method", methods.METHODS)
def test_methods_explain_images_one_by_one_and_alike_each_time(method, model, images, monkeypatch):
    """Fails if a batch's labels slip, images share a scale, or noise differs from call to call."""
    labels = np.array([1, 2, 3, 4, 5, 6])
    before = np.random.get_state()[1].copy()
    whole = methods.evidence(model, images, labels, method=method)
    assert (np.random.get_state()[1] == before).all()
    grid = 32 if method in methods.OF_PIXELS else 14
    assert whole.shape == (6, grid, grid) and whole.min() >= 0 and whole.max() > 0
    np.random.random(7)  # whatever the caller draws
    np.testing.assert_array_equal(methods.evidence(model, images, labels, method=method), whole)
    if method == "smoothgrad":  # its noise is drawn by the batch
        return
    monkeypatch.setattr(methods, "BATCH", 4)
    np.testing.assert_allclose(methods.evidence(model, images, labels, method=method), whole, atol=1e-5)
    single = methods.evidence(model, images[3:4], labels[3:4], method=method)[0]
    np.testing.assert_allclose(single, whole[3], atol=1e-5)


def test_where_grad_cam_plus_plus_divides_by_zero_its_map_is_empty():
    """Its weights have the denominator 2 + gradient · sum of activations, here 2 − 2/1024 · 1024 for white images."""
    import keras

    layers = [keras.layers.Conv2D(1, 1), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    first = np.zeros((1, 1, 3, 1))
    first[0, 0, 0] = 1
    model.set_weights([first, np.zeros(1), np.full((1, 10), -2.0), np.zeros(10)])
    white, red = np.ones((32, 32, 3), np.float32), np.zeros((32, 32, 3), np.float32)
    red[8:16, 8:16, 0] = 1
    images, labels = np.stack([white, red]), np.zeros(2, np.int64)
    assert not methods.evidence(model, images, labels, method="gradcam++").any(axis=(1, 2)).tolist()[0]
    model.set_weights([first, np.zeros(1), np.full((1, 10), 2.0), np.zeros(10)])
    assert methods.evidence(model, images, labels, method="gradcam++").any(axis=(1, 2)).all()


def test_saliency_is_the_largest_gradient_of_a_pixels_channels(model, images):
    import tensorflow as tf

    labels = np.arange(6)
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.gather(model(x, training=False), labels, axis=1, batch_dims=1)
    expected = np.abs(tape.gradient(score, x)).max(axis=-1)
    np.testing.assert_allclose(methods.evidence(model, images, labels, method="saliency"), expected, atol=1e-6)


def test_layer_cam_weighs_each_place_by_its_own_positive_gradient(model, images):
    """Jiang et al. 2021, eqs. 5 to 7."""
    import tensorflow as tf

    labels = np.arange(6)
    activations = tf.constant(images)
    for layer in model.layers[:5]:
        activations = layer(activations, training=False)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        x = activations
        for layer in model.layers[5:]:
            x = layer(x, training=False)
        score = tf.gather(x, labels, axis=1, batch_dims=1)
    weights = np.maximum(tape.gradient(score, activations), 0)
    expected = np.maximum((weights * activations.numpy()).sum(axis=-1), 0)
    np.testing.assert_allclose(methods.evidence(model, images, labels, method="layercam"), expected, atol=1e-5)


@pytest.mark.parametrize("method", sorted(set(methods.METHODS) - set(methods.OF_PIXELS)))
def test_no_gradient_is_computed_below_the_layer(method, images):
    """It would decide nothing, and take longer than everything else."""
    import keras
    import tensorflow as tf

    passed = []

    class Watched(keras.layers.Layer):
        def call(self, inputs):
            @tf.custom_gradient
            def watched(x):
                return tf.identity(x), lambda gradient: passed.append(self.name) or gradient

            return watched(inputs)

    convolution, flat = keras.layers.Conv2D(4, 3, name="looked_at"), keras.layers.Flatten()
    layers = [Watched(name="below"), convolution, Watched(name="above"), flat, keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    methods.evidence(model, images, np.arange(6), method=method)
    assert set(passed) == (set() if method == "scorecam" else {"above"})


def test_score_cam_prints_no_progress(model, images, capfd):
    methods.evidence(model, images, np.arange(6), method="scorecam")
    assert capfd.readouterr() == ("", "")


def test_an_unknown_method_and_a_layer_for_pixels_are_refused(model, images):
    with pytest.raises(UserError, match='method "gradcan" is not known.\nExpected one of: .*Did you mean "gradcam"'):
        methods.evidence(model, images, np.arange(6), method="gradcan")
    with pytest.raises(UserError, match="Saliency looks at the image's pixels, not at a layer"):
        methods.evidence(model, images, np.arange(6), layer="first", method="saliency")


def test_maps_of_a_residual_model_are_the_classes_evidence_where_its_branches_meet():
    """Its mean over cells and a dense layer follow, so Grad-CAM is exact there: the weights times the values, by hand.

    Fails if the map is made of the last convolution, which is only one of the branches and not normalised yet.
    """
    import keras

    keras.utils.set_random_seed(0)
    network = models.build("residual", filters=[4, 6], blocks=[1, 1], kind="full")
    assert [type(network.get_layer(name)).__name__ for name in placement.layers_with_maps(network)] == (
        ["Conv2D", "Conv2D", "Add", "Conv2D", "Conv2D", "Add"]
    )
    images = np.random.default_rng(0).random((3, 32, 32, 3), dtype="float32")
    last = placement.chosen_layer(network)
    values = np.asarray(keras.Model(network.input, network.get_layer(last).output)(images))
    weights = np.asarray(network.layers[-1].kernel)[:, 7]
    expected = np.maximum(values @ weights, 0) / values[0, ..., 0].size
    assert methods.evidence(network, images, np.full(3, 7)) == pytest.approx(expected, abs=1e-6)
    assert placement.cells(network, last) == (0.5, 2)


def test_a_contrastive_map_explains_the_difference_of_two_logits(model, images):
    """The same as Grad-CAM of a model whose logit for the label is that difference. By default, the strongest other."""
    import keras

    labels, against = np.array([3, 0, 7, 1, 8, 6]), np.array([5, 9, 2, 4, 0, 1])
    for other in (against, None):
        maps = methods.evidence(model, images, labels, method="contrast", against=other)
        if other is None:
            logits = np.array(model(images))
            logits[np.arange(len(images)), labels] = -np.inf
            other = logits.argmax(axis=1)
        for i, (label, rival) in enumerate(zip(labels, other, strict=True)):
            changed = keras.models.clone_model(model)
            *weights, kernel, bias = model.get_weights()
            kernel, bias = kernel.copy(), bias.copy()
            kernel[:, label] -= kernel[:, rival]
            changed.set_weights([*weights, kernel, bias])
            expected = methods.evidence(changed, images[i : i + 1], labels[i : i + 1])[0]
            assert np.allclose(maps[i], expected, atol=1e-6)
        assert maps.any(axis=(1, 2)).sum() >= 3  # not only empty maps


def network_of(*layers):
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="stem"),
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_in_half_precision_is_explained_by_its_float32_copy(policy, images):
    """Fails if tf-keras-vis gets half precision: Grad-CAM++ multiplies it with float32, a TypeError."""
    import keras

    whole = network_of(keras.layers.Conv2D(8, 3, activation="relu"))
    keras.config.set_dtype_policy(policy)
    try:
        half = network_of(keras.layers.Conv2D(8, 3, activation="relu"))
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(whole.get_weights())
    for method in ("gradcam", "gradcam++"):
        found = methods.focus_maps(half, images, np.arange(6), method=method)
        np.testing.assert_array_equal(found, methods.focus_maps(whole, images, np.arange(6), method=method))
    assert half.layers[0].compute_dtype == policy.removeprefix("mixed_")


@pytest.mark.parametrize("method", methods.METHODS)
def test_a_grid_need_not_be_square(method, images):
    """Fails if rows and columns are taken to be equally many, or equally far apart."""
    import keras

    network = network_of(keras.layers.Conv2D(8, 3, strides=(1, 2), activation="relu", name="wide"))
    found = methods.evidence(network, images, np.arange(6), method=method)
    assert found.shape == ((6, 32, 32) if method in methods.OF_PIXELS else (6, 28, 14))
    assert methods.focus_maps(network, images, np.arange(6), method=method).shape == (6, 32, 32)
    # Row i sees pixels i … i + 4, column j sees 2 j … 2 j + 4.
    assert (placement.cells(network, "wide"), placement.cells(network, "wide", axis=1)) == ((2, 1), (2, 2))


def test_a_convolution_inside_another_layer_is_not_passed_over(images):
    """Fails if the map is silently the stem's, or if a model of such blocks "has no Conv2D layer"."""
    import keras

    class Residual(keras.layers.Layer):
        def build(self, shape):
            self.convolution = keras.layers.Conv2D(shape[-1], 3, padding="same")
            self.convolution.build(shape)

        def call(self, x):
            return x + self.convolution(x)

    inner = keras.Sequential([keras.Input((30, 30, 4)), keras.layers.Conv2D(4, 3)], name="inner")
    for block in (inner, Residual(name="block")):
        network = network_of(block)
        answer = f'(?s)last Conv2D of model .* is inside its layer "{block.name}".*of the model itself .stem.'
        with pytest.raises(UserError, match=answer):
            methods.focus_maps(network, images, np.arange(6))
    assert methods.focus_maps(network_of(inner), images, np.arange(6), layer="stem").shape == (6, 32, 32)
    assert methods.focus_maps(network_of(inner), images, np.arange(6), method="saliency").shape == (6, 32, 32)
    assert placement.chosen_layer(network_of(inner, keras.layers.Conv2D(2, 3, name="last"))) == "last"


def test_a_convolution_that_makes_the_logits_is_not_looked_at(images):
    """As in MobileNetV3: on its single cell every map is constant, so empty."""
    import keras

    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, activation="relu", name="wide"),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Conv2D(10, 1, name="head"),
            layers.Flatten(),
        ]
    )
    assert placement.chosen_layer(network) == "wide"
    assert methods.focus_maps(network, images, np.arange(6), layer="head").max() == 0
