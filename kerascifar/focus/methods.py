"""Where a model finds evidence for a class: Grad-CAM, the original's method, and six others, by tf-keras-vis."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.focus import placement
from kerascifar.training import models

if TYPE_CHECKING:
    import keras

BATCH = 250  # images at a time: limits the memory for activations and gradients
SMOOTH = 20  # noisy copies of each image for SmoothGrad, with tf-keras-vis's noise of 0.2
FEW = 8  # images whose outputs show whether these are logits
METHODS = {
    "gradcam": "Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391)",
    "gradcam++": "Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063)",
    "contrast": "Contrastive Grad-CAM (after Prabhushankar et al. 2020, arXiv:2008.00178)",
    "layercam": "Layer-CAM (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943)",
    "scorecam": "Score-CAM (Wang et al. 2020, arXiv:1910.01279)",
    "saliency": "Saliency (Simonyan et al. 2013, arXiv:1312.6034)",
    "smoothgrad": "SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825)",
}
OF_PIXELS = ("saliency", "smoothgrad")  # these look at the image itself, not at a layer


def title(method: str) -> str:
    """A method's name, e.g. "Grad-CAM"."""
    return METHODS[method].partition(" (")[0]


def check_method(method: str, layer: str | None = None) -> None:
    """Raises a `UserError` if the method is not known, or if a layer is named but the method does not look at one."""
    if not isinstance(method, str) or method not in METHODS:
        raise UserError(f'method "{method}" is not known.\n{errors.suggest(str(method), METHODS)}')
    if layer is not None and method in OF_PIXELS:
        raise UserError(f"{title(method)} looks at the image's pixels, not at a layer.\nLeave out --layer or --method.")


def focus_maps(
    model: "keras.Model",
    images: np.ndarray,
    labels: np.ndarray,
    *,
    layer: str | None = None,
    method: str = "gradcam",
    against: np.ndarray | None = None,
) -> np.ndarray:
    """Focus maps for display: where a model finds evidence for a class.

    Args:
        model: classifier with at least one `Conv2D`; its output is logits, (n, 10).
        images: float32 (n, 32, 32, 3), scaled to 0..1 as in training.
        labels: integers (n,), 0..9: the class to explain, which need not be the predicted one.
        layer: name of the `Conv2D` to look at; the last one by default. Not for methods of pixels.
        method: one of `METHODS`. "contrast" explains the label's logit minus that of another class: why this class and
            not the other?
        against: integers (n,), the other class of each image for "contrast"; by default the strongest other class.
    Returns:
        float32 (n, 32, 32), 0..1, each map stretched to its own range: compare places within one image, never two
        images. All zero if there is no evidence for the class, or the same evidence everywhere.
    Raises:
        UserError: the model has no `Conv2D`, none called `layer`, or unexpected shapes; its output is not finite, or is
            probabilities; the method is not known, or does not take a layer; `images` and `labels` differ in length,
            have a wrong shape or type, or a value is out of range.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    # Stretched before as well: a map that is constant on the layer's grid becomes a patch once it is on the image.
    grids = _stretched(evidence(model, images, labels, layer=layer, method=method, against=against))
    if len(images):
        check_logits(logits(model, images[:FEW]))
    return _stretched(on_image(model, grids, layer, method))


def on_image(model: "keras.Model", grids: np.ndarray, layer: str | None = None, method: str = "gradcam") -> np.ndarray:
    """The result of `evidence`, (n, grid, grid), placed on the image: float32 (n, 32, 32)."""
    if method in OF_PIXELS:
        return grids
    name = placement.chosen_layer(model, layer)
    return placement.placed(grids, placement.cells(model, name, 0), placement.cells(model, name, 1))


def evidence(
    model: "keras.Model",
    images: np.ndarray,
    labels: np.ndarray,
    *,
    layer: str | None = None,
    method: str = "gradcam",
    against: np.ndarray | None = None,
) -> np.ndarray:
    """The evidence for each image's label at each cell or pixel, in the model's own units; Grad-CAM's eqs. 1 and 2.

    The layer is passed by name, and tf-keras-vis's search for another layer is switched off. The model's output is
    already logits, so its last activation does not need to be replaced. The arguments are those of `focus_maps`.

    Returns:
        float32 (n, rows, columns), not negative: the layer's grid, or the image's for methods of pixels. All zero if
        the method finds no evidence or cannot be computed.
    Raises:
        UserError: see `focus_maps`; probabilities are not noticed here.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise UserError(f"model is {model!r}.\nExpected a Keras model, such as keras.models.load_model(path).")
    models.check_form(model)
    images, labels = np.asarray(images), np.asarray(labels)
    _check_images(images)
    _check_labels(labels, len(images))
    check_method(method, layer)
    if against is not None:
        against = np.asarray(against)
        _check_labels(against, len(images), "against")
        if method != "contrast":
            raise UserError(f'against was given with method="{method}".\nExpected method="contrast".')
    load_tensorflow("Focus maps")
    name = layer if method in OF_PIXELS else placement.chosen_layer(model, layer)
    if len(images) == 0:
        return np.zeros((0, 32, 32), np.float32)
    # In a model that was loaded, or built with `add`, the layers' `output` belongs to an older graph, and no gradient
    # would reach it from the model's output. A clone has only one graph.
    clone = keras.models.clone_model(model, clone_function=_in_float32)
    clone.set_weights(model.get_weights())
    if method == "contrast":
        against = _strongest_other(clone, images, labels) if against is None else against
    explain = _explainer(clone, name, method)
    with _fixed_random_numbers():
        parts = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
        others = [None if against is None else against[part] for part in parts]
        found = [explain(_score(labels[p], other), images[p]) for p, other in zip(parts, others, strict=True)]
    maps = np.concatenate(found).astype(np.float32)
    lost = ~np.isfinite(maps).all(axis=(1, 2))
    if lost.any():
        if not np.isfinite(np.asarray(clone(images[lost], training=False))).all():
            raise UserError(not_finite(model))
        maps[lost] = 0  # Grad-CAM++ may divide by zero: for one test image in thousands it has no result
    return maps


def _in_float32(layer: "keras.layers.Layer") -> "keras.layers.Layer":
    """A copy of a layer that computes in float32: tf-keras-vis mixes precisions, and maps need the digits."""
    config = layer.get_config()
    if "dtype" in config:
        config["dtype"] = "float32"
    return type(layer).from_config(config)


def _explainer(model: "keras.Model", layer: str | None, method: str) -> Callable[[Any, np.ndarray], np.ndarray]:
    """tf-keras-vis's function from a score and images to maps, without its messages."""
    with warnings.catch_warnings():
        # tf-keras-vis 0.8.7 imports from an old SciPy namespace, which SciPy < 2, as we pin it, calls deprecated.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*scipy.ndimage.interpolation")
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
        from tf_keras_vis.layercam import Layercam
        from tf_keras_vis.saliency import Saliency
        from tf_keras_vis.scorecam import Scorecam
    if method in OF_PIXELS:
        kind: Any = Saliency
        options: dict[str, Any] = {"normalize_map": False, "smooth_samples": SMOOTH if method == "smoothgrad" else 0}
    else:
        kinds = {"gradcam++": GradcamPlusPlus, "layercam": Layercam, "scorecam": Scorecam}
        kind = kinds.get(method, Gradcam)
        options = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False}
        options |= {"normalize_cam": False, "expand_cam": False}
        options |= {"batch_size": BATCH} if method == "scorecam" else {}
        _end_gradient_below(model.get_layer(layer))
    make = kind(model)

    def explain(score: Any, images: np.ndarray) -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # Score-CAM shows progress bars
            warnings.filterwarnings("ignore", message="(?s).*structure of `inputs` doesn't match")  # inputs in a list
            return np.asarray(make(score, images, **options))

    return explain


def _end_gradient_below(layer: "keras.layers.Layer") -> None:
    """Stops the gradient at a layer's input. Maps need it only down to the layer's output.

    TensorFlow would go on to the image, in two thirds of a Grad-CAM of Model4's time. The maps are the same to the bit.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def end(inputs: Any) -> Any:
        return tf.identity(inputs), lambda *_: None

    import keras

    call = layer.call
    layer.call = lambda inputs, *rest, **options: call(keras.tree.map_structure(end, inputs), *rest, **options)


def _score(labels: np.ndarray, against: np.ndarray | None = None) -> Any:
    """The score to explain: each image's logit for its label, minus that for the class in `against` if there is one.

    tf-keras-vis's `CategoricalScore` returns the same, but image by image: more than half of Grad-CAM's time.
    """
    import tensorflow as tf

    def logit(logits: Any, classes: np.ndarray) -> Any:
        return tf.gather(logits, classes.astype("int64"), axis=1, batch_dims=1)  # it does not take smaller integers

    return lambda logits: logit(logits, labels) - (0 if against is None else logit(logits, against))


def _strongest_other(model: "keras.Model", images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each image, the class with the highest logit besides its label, int64 (n,)."""
    others = logits(model, images)
    np.put_along_axis(others, labels[:, None].astype("int64"), -np.inf, axis=1)
    return np.asarray(others.argmax(axis=1))


def logits(model: "keras.Model", images: np.ndarray) -> np.ndarray:
    """The model's logits for images (n, 32, 32, 3), float32 (n, 10): a few images need no graph, as `predict` makes."""
    parts = [model(images[i : i + BATCH], training=False) for i in range(0, len(images), BATCH)]
    return np.concatenate([np.asarray(part, "float32") for part in parts])


@contextlib.contextmanager
def _fixed_random_numbers() -> Iterator[None]:
    """Seeds NumPy's global generator, which SmoothGrad uses, for the same noise each time; restores its state after."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _stretched(maps: np.ndarray) -> np.ndarray:
    """Each map stretched so that its minimum is 0 and its maximum 1; a constant map (up to rounding) becomes 0.

    tf-keras-vis adds 1e-7 to the divisor, so maps of a large grid, whose mean gradients are small, never reach 1.
    """
    maps = maps.astype(np.float64)
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    width = high - low
    level = width <= 1e-5 * high
    return np.where(level, 0, (maps - low) / np.where(level, 1, width)).astype(np.float32)


def _check_images(images: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[1:] != (32, 32, 3):
        one = " For one image: images[None]." if images.shape == (32, 32, 3) else ""
        raise UserError(f"images have shape {images.shape}.\nExpected (n, 32, 32, 3).{one}")
    if images.dtype != np.float32:
        scaled = " / 255" if images.dtype.kind in "ui" or images.max(initial=0) > 1 else ""
        raise UserError(f"images are {images.dtype}.\nExpected float32 in 0..1: images.astype('float32'){scaled}.")
    if images.size and not (images.min() >= 0 and images.max() <= 1):  # written so that NaN fails too
        scaled = ": divide by 255" if images.min() >= 0 else ""
        raise UserError(f"images have pixels in {images.min()} … {images.max()}.\nExpected 0..1{scaled}.")


def _check_labels(labels: np.ndarray, count: int, name: str = "labels") -> None:
    if labels.shape != (count,):
        raise UserError(
            f"{name} have shape {labels.shape}.\nExpected one class for each of {count} images, ({count},); of one-hot "
            f"labels, {name}.argmax(axis=1)."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        cast = f", such as {name}.astype('int64')" if labels.dtype.kind in "fb" else " from 0 to 9"
        raise UserError(f"{name} are {labels.dtype}.\nExpected whole numbers{cast}.")
    if labels.size and not (labels.min() >= 0 and labels.max() <= 9):
        raise UserError(f"{name} are {labels.min()} … {labels.max()}.\nExpected classes from 0 to 9.")


def check_logits(outputs: np.ndarray) -> None:
    """Raises a `UserError` if a model's outputs (n, 10) are probabilities, as after softmax."""
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=0.001):
        raise UserError(f"the model's outputs are probabilities: each image's add up to 1.\n{models.EXPECTED_LOGITS}")


def not_finite(model: "keras.Model") -> str:
    """The error message for a model whose output is not finite."""
    return (
        f'Model "{model.name}" outputs numbers that are not finite: its training diverged.\n'
        "Choose another row or seed, or train it again with a lower learning rate."
    )
