"""Batches are transformed as Keras's ImageDataGenerator transforms single images."""

import numpy as np
import pytest

from kerascifar import config
from kerascifar.augment import BatchAugmenter

ROW = {"rotation_range": 15.0, "horizontal_flip": True}
EVERYTHING = {
    "rotation_range": 40.0,
    "width_shift_range": 0.2,
    "height_shift_range": 0.3,
    "shear_range": 20.0,
    "zoom_range": 0.3,
    "horizontal_flip": True,
    "vertical_flip": True,
}


FAR = {"rotation_range": 180.0, "zoom_range": [2.0, 5.0]}  # looks up pixels far beyond the edges
PIXELS = {"width_shift_range": [3, 31, 32, 40], "height_shift_range": [31, 64]}  # exactly on the edges


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("fill_mode", sorted(config.FILL_MODES))
@pytest.mark.parametrize(
    "arguments",
    [ROW, EVERYTHING, {"horizontal_flip": True}, FAR, PIXELS],
    ids=["row", "everything", "flip", "far", "pixels"],
)
# SciPy's own deprecation: ImageDataGenerator uses a namespace that SciPy 2 drops.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")
def test_a_batch_equals_imagedatagenerator_image_by_image(arguments, fill_mode, on_gpu):
    """Fails if an axis, a sign, the order of the matrices or what lies beyond an edge is wrong."""
    images = np.random.default_rng(0).random((48, 32, 32, 3), dtype="float32")
    augmenter = BatchAugmenter(on_gpu, fill_mode=fill_mode, cval=0.3, **arguments)
    parameters = augmenter.draw(48, (32, 32, 3), np.random.SeedSequence(3))
    expected = np.stack([augmenter.apply_transform(x, p) for x, p in zip(images, parameters, strict=True)])
    assert np.abs(np.asarray(augmenter.apply_transforms(images, parameters)) - expected).max() < 1e-4


def test_draws_are_kerass_and_leave_the_global_generator_alone():
    augmenter = BatchAugmenter(**ROW)
    before = np.random.get_state()[1].copy()
    first = augmenter.draw(500, (32, 32, 3), np.random.SeedSequence(1))
    assert (np.random.get_state()[1] == before).all()
    assert first == augmenter.draw(500, (32, 32, 3), np.random.SeedSequence(1))
    assert first != augmenter.draw(500, (32, 32, 3), np.random.SeedSequence(2))
    angles = np.array([p["theta"] for p in first])
    assert 14 < angles.max() <= 15 and -15 <= angles.min() < -14
    assert 200 < sum(p["flip_horizontal"] for p in first) < 300  # 250 ± 4.5 standard deviations
    assert not any(p["flip_vertical"] for p in first)


@pytest.mark.parametrize(
    "arguments",
    [
        {"brightness_range": (0.5, 1)},
        {"channel_shift_range": 1},
        {"samplewise_center": True},
        {"rescale": 2},
        {"preprocessing_function": abs},
        {"interpolation_order": 0},
        {"data_format": "channels_first"},
        {"fill_mode": "mirror"},
    ],
)
def test_what_it_would_not_apply_is_refused(arguments):
    with pytest.raises(ValueError, match="BatchAugmenter does not apply|fill_mode 'mirror'"):
        BatchAugmenter(**arguments)
