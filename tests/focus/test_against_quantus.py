"""Measures agree with the quantus package on the same classifier, images and maps; `make test-all` runs it.

Its metrics are called on arrays, without its wrappers for models, which don't know Keras 3.
"""

import pytest

# All of PyTorch before TensorFlow, which quantus imports: a build for GPUs, loaded after it, crashes.
pytest.importorskip("torchvision", reason="needs torchvision")
pytest.importorskip("quantus", reason="needs quantus", exc_type=ImportError)

import numpy as np
import quantus
from scipy import ndimage, special

from kerascifar.focus import measures

LABELS = np.arange(12) % 10
WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (32, 32, 3, 10))
IMAGES = np.random.default_rng(1).random((12, 32, 32, 3), dtype="float32")


def predict(images):
    """A linear classifier's logits."""
    return np.tensordot(images - 0.5, WEIGHTS, 3)


def explained(images, labels):
    """How much each pixel changes the label's logit; without ties, which quantus orders in its own way."""
    return np.abs(((images - 0.5) * WEIGHTS[..., labels].transpose(3, 0, 1, 2)).sum(axis=-1))


MAPS = explained(IMAGES, LABELS)


def channels_first(images):
    return images.transpose(0, 3, 1, 2)


class Classifier:
    """`predict` and `explained` as quantus calls them, with channels first."""

    labels = None

    def predict(self, images):
        return special.softmax(predict(images.transpose(0, 2, 3, 1)), axis=1)

    def shape_input(self, images, *_, **__):
        return images

    def explain(self, model, inputs, targets):
        self.labels = targets  # what it was last asked for
        return explained(inputs.transpose(0, 2, 3, 1), targets)[:, None]


def score(metric, classifier=None, maps=MAPS, **given):
    if classifier:
        metric.explain_func, metric.explain_func_kwargs = classifier.explain, {}
    images = channels_first(IMAGES)
    found = metric.evaluate_batch(
        model=classifier, x_batch=images, y_batch=LABELS, a_batch=maps[:, None].copy(), **given
    )
    return np.asarray(found)


def test_sparseness_is_theirs():
    theirs = score(quantus.Sparseness(disable_warnings=True))
    assert np.ptp(theirs) > 0.01
    np.testing.assert_allclose(measures.sparseness(MAPS), theirs, atol=1e-5)


def test_border_is_the_mass_in_the_frame():
    frame = np.ones((12, 32, 32))
    frame[:, 4:-4, 4:-4] = 0
    theirs = score(quantus.RelevanceMassAccuracy(disable_warnings=True), s_batch=frame[:, None])
    assert np.ptp(theirs) > 0.01
    np.testing.assert_allclose(measures.border_share(MAPS), theirs, atol=1e-6)


def test_pointing_is_the_attribution_localised_in_the_quarter():
    signed = MAPS - MAPS.mean()
    quarter = np.arange(12) % 4
    right = np.zeros((12, 2, 16, 2, 16))
    right[np.arange(12), quarter // 2, :, quarter % 2] = 1
    metric = quantus.AttributionLocalisation(positive_attributions=True, disable_warnings=True)
    theirs = score(metric, maps=signed, s_batch=right.reshape(12, 1, 32, 32))
    assert np.ptp(theirs) > 0.01
    np.testing.assert_allclose(measures.pointing(signed, quarter), theirs, atol=1e-6)


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_deletion_and_insertion_are_areas_under_pixel_flipping(kind):
    """But for the start of the curve, before any pixel is flipped: they leave it out."""
    classifier = Classifier()
    if kind == "deletion":
        start, end = IMAGES, np.stack([np.full((32, 32, 3), image.mean(axis=(0, 1))) for image in IMAGES])
    else:
        blurred = [[ndimage.gaussian_filter(image[..., c], 4.0) for c in range(3)] for image in IMAGES]
        start, end = np.asarray(blurred).transpose(0, 2, 3, 1), IMAGES
    replacing = channels_first(end).reshape(12, -1)

    def flip(arr, indices, **_):
        flipped = arr.copy()
        np.put_along_axis(flipped, indices, np.take_along_axis(replacing, indices, axis=1), axis=1)
        return flipped

    metric = quantus.PixelFlipping(features_in_step=3 * 128, perturb_func=flip, disable_warnings=True)
    curves = metric.evaluate_batch(classifier, channels_first(start), LABELS, MAPS[:, None])
    first = special.softmax(predict(start), axis=1)[np.arange(12), LABELS]
    curves = np.column_stack([first, curves])
    theirs = (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2
    ours = measures.deletion_and_insertion(predict, IMAGES, LABELS, MAPS, steps=8)[kind == "insertion"]
    assert np.ptp(theirs) > 0.05
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_other_class_is_the_random_logit_test():
    """With its rank correlation; its default is structural similarity."""
    classifier = Classifier()
    spearman = quantus.similarity_func.correlation_spearman
    metric = quantus.RandomLogit(spearman, num_classes=10, abs=False, normalise=False, disable_warnings=True)
    theirs = score(metric, classifier)
    assert (classifier.labels != LABELS).all() and np.ptp(theirs) > 0.01
    np.testing.assert_allclose(measures.likeness(MAPS, explained(IMAGES, classifier.labels)), theirs, atol=1e-6)


def test_sensitivity_is_theirs_for_the_same_noise():
    noisy = [measures.noisy(IMAGES, 0.02, seed) for seed in range(4)]
    copies = iter(noisy)

    def add_noise(arr, **_):
        return channels_first(next(copies)).reshape(arr.shape)

    metric = quantus.MaxSensitivity(
        nr_samples=4, perturb_func=add_noise, abs=False, normalise=False, disable_warnings=True
    )
    theirs = score(metric, Classifier())
    assert np.ptp(theirs) > 1e-3
    ours = measures.sensitivity(MAPS, [explained(pictures, LABELS) for pictures in noisy])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
