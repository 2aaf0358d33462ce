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


@pytest.mark.parametrize("fill_mode", sorted(config.FILL_MODES))
@pytest.mark.parametrize("arguments", [ROW, EVERYTHING, {"horizontal_flip": True}], ids=["row", "everything", "flip"])
# SciPy's own deprecation: ImageDataGenerator uses a namespace that SciPy 2 drops.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")
def test_a_batch_equals_imagedatagenerator_image_by_image(arguments, fill_mode):
    """Fails if an axis, a sign or the order of the matrices is wrong."""
    images = np.random.default_rng(0).random((48, 32, 32, 3), dtype="float32")
    augmenter = BatchAugmenter(fill_mode=fill_mode, **arguments)
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
    "arguments", [{"brightness_range": (0.5, 1)}, {"channel_shift_range": 1}, {"fill_mode": "wrap"}]
)
def test_what_it_would_not_apply_is_refused(arguments):
    with pytest.raises(ValueError, match="BatchAugmenter applies neither|fill_mode 'wrap'"):
        BatchAugmenter(**arguments)
