"""Batches are transformed as Keras's ImageDataGenerator transforms single images."""

import numpy as np
import pytest
from PIL import Image

from kerascifar.training import rows
from kerascifar.training.augmentation import BatchAugmenter

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


def singly(parameters):
    """What `apply_transform` takes: one dictionary per image."""
    return [{key: values[i] for key, values in parameters.items()} for i in range(len(parameters["theta"]))]


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize(
    ("fill_mode", "order"),
    [(mode, order) for mode in sorted(rows.FILL_MODES) for order in (0, 1) if (mode, order) != ("grid-constant", 1)],
)
@pytest.mark.parametrize(
    "arguments",
    [ROW, EVERYTHING, {"horizontal_flip": True}, FAR, "pixels"],
    ids=["row", "everything", "flip", "far", "pixels"],
)
def test_a_batch_equals_imagedatagenerator_image_by_image(arguments, fill_mode, order, on_gpu):
    """Fails if an axis, a sign, the order of the matrices, rounding, or what lies beyond an edge is wrong."""
    random = np.random.default_rng(0)
    images = random.random((48, 32, 32, 3), dtype="float32")
    whole = arguments == "pixels"  # shifts by whole pixels: what is looked up lies exactly on an edge
    values = {"fill_mode": fill_mode, "cval": 0.3, "interpolation_order": order}
    augmenter = BatchAugmenter(on_gpu, **values, **({} if whole else arguments))
    parameters = augmenter.draw(48, (32, 32, 3), np.random.SeedSequence(3))
    if whole:
        for key in ("tx", "ty"):
            parameters[key] = random.choice([0.0, 3, 30, 31, 32, 33, 62, 63, 64, -1, -31, -32, -62, -64], 48)
    expected = np.stack([augmenter.apply_transform(x, p) for x, p in zip(images, singly(parameters), strict=True)])
    assert np.abs(np.asarray(augmenter.apply_transforms(images, parameters)) - expected).max() < 1e-4


@pytest.mark.parametrize("arguments", [{}, ROW, EVERYTHING, FAR, {"width_shift_range": 3.0}, {**ROW, "mixup": 0.2}])
def test_draws_match_those_of_keras_bit_for_bit(arguments):
    """Fails if a number goes to another parameter than in Keras, or is scaled otherwise."""
    augmenter = BatchAugmenter(**arguments)
    drawn = singly(augmenter.draw(20, (32, 32, 3), np.random.SeedSequence(5)))
    np.random.seed(np.random.SeedSequence(5).generate_state(8))
    for mine in drawn:
        keras_s = augmenter.get_random_transform((32, 32, 3))
        assert {key for key, value in keras_s.items() if value is not None} == set(mine) - {"mixup"}
        assert mine == {key: keras_s.get(key, mine[key]) for key in mine}


def test_draws_leave_the_global_generator_alone_and_depend_on_the_seed():
    augmenter = BatchAugmenter(**ROW)
    before = np.random.get_state()[1].copy()
    first, again, other = (augmenter.draw(500, (32, 32, 3), np.random.SeedSequence(s)) for s in (1, 1, 2))
    assert (np.random.get_state()[1] == before).all()
    assert (first["theta"] == again["theta"]).all() and (first["theta"] != other["theta"]).all()
    assert 14 < first["theta"].max() <= 15 and -15 <= first["theta"].min() < -14
    assert 200 < first["flip_horizontal"].sum() < 300  # 250 ± 4.5 standard deviations
    assert not first["flip_vertical"].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"zca_whitening": True}, "does not apply zca_whitening"),
        ({"brightness_range": (0.5, 1)}, "does not apply brightness_range"),
        ({"channel_shift_range": 1}, "does not apply channel_shift_range"),
        ({"samplewise_center": True}, "does not apply samplewise_center"),
        ({"rescale": 2}, "does not apply rescale"),
        ({"preprocessing_function": abs}, "does not apply preprocessing_function"),
        ({"interpolation_order": 3}, "interpolation_order 3 is not 0 or 1"),
        ({"data_format": "channels_first"}, "does not apply data_format"),
        ({"fill_mode": "mirror"}, "fill_mode 'mirror' is not one of"),
        ({"fill_mode": "grid-constant"}, "needs interpolation_order=0"),
        ({"width_shift_range": [1, 2]}, "one number for a shift"),
    ],
)
def test_what_it_would_not_apply_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchAugmenter(**arguments)


def test_images_in_another_order_of_memory_are_transformed_too():
    """Fails if the parts of the result are copies: images that were channels first, and are only viewed as last."""
    images = np.random.default_rng(0).random((5, 3, 32, 32), dtype="float32").transpose(0, 2, 3, 1)
    augmenter = BatchAugmenter(rotation_range=15.0, horizontal_flip=True)
    parameters = augmenter.draw(5, (32, 32, 3), np.random.SeedSequence(0))
    expected = augmenter.apply_transforms(np.ascontiguousarray(images), parameters)
    assert (augmenter.apply_transforms(images, parameters) == expected).all()


def test_grid_constant_rotates_like_torchvision():
    """torchvision's RandomRotation calls Pillow's `rotate`. Also the shares of black pixels in docs/assumptions.md."""
    images = np.random.default_rng(0).integers(1, 256, (200, 32, 32, 3), dtype="uint8")
    black = {}
    for fill_mode in ("grid-constant", "constant"):
        augmenter = BatchAugmenter(rotation_range=15.0, fill_mode=fill_mode, interpolation_order=0)
        parameters = augmenter.draw(200, (32, 32, 3), np.random.SeedSequence(0))
        found = augmenter.apply_transforms(images.astype("float32"), parameters)
        black[fill_mode] = (found == 0).all(axis=-1).mean()
        if fill_mode == "grid-constant":
            for image, angle, mine in zip(images, parameters["theta"], found, strict=True):
                assert (np.asarray(Image.fromarray(image).rotate(angle)) == mine).mean() > 0.995
    assert black == pytest.approx({"grid-constant": 0.05, "constant": 0.09}, abs=0.005)


def test_a_quarter_turn_with_zeros_beyond_the_edges_moves_whole_pixels():
    """By hand: counted from the centre, row r comes from column r. Fails if pixels are mixed or edges are filled."""
    image = np.arange(1, 26, dtype="float32").reshape(1, 5, 5, 1) / 25
    augmenter = BatchAugmenter(fill_mode="constant", interpolation_order=0)
    none = {"tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0, "flip_horizontal": False, "flip_vertical": False}

    def turned(degrees):
        values = {key: np.array([value]) for key, value in {**none, "theta": degrees}.items()}
        return 25 * augmenter.apply_transforms(image, values)[0, :, :, 0]

    # A hair less than 90 degrees, as the cosine of 90 is not exactly 0.
    assert turned(89.999)[1:4, 1:4].round().tolist() == [[9, 14, 19], [8, 13, 18], [7, 12, 17]]
    corners = turned(45.0)
    assert corners[0, 0] == corners[0, 4] == corners[4, 0] == corners[4, 4] == 0  # 2·√2 from the centre, beyond 2
    assert corners[2, 2].round() == 13


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("order", [0, 1])
def test_a_crop_is_one_of_the_image_padded_with_zeros(on_gpu, order):
    """Fails if a shift is not whole, is not uniform, leaves a blank line more, or if rows and columns go together."""
    images = np.random.default_rng(0).uniform(0.1, 1, (2000, 32, 32, 1)).astype("float32")
    augmenter = BatchAugmenter(on_gpu, crop=4, fill_mode="constant", interpolation_order=order)
    parameters = augmenter.draw(2000, (32, 32, 1), np.random.SeedSequence(0))
    cropped = np.asarray(augmenter.apply_transforms(images, parameters))
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    found = np.zeros((9, 9), int)
    for image, whole in zip(cropped, padded, strict=True):
        places = [(y, x) for y in range(9) for x in range(9) if abs(whole[y : y + 32, x : x + 32] - image).max() < 1e-6]
        (place,) = places
        found[place] += 1
    assert found.min() >= 8 and found.max() <= 45  # 2000 / 81 = 24.7, ± 4 standard deviations


def test_a_crop_of_a_rotated_image_is_a_shift_after_the_rotation_of_keras():
    """Fails if cropping changes the angles and mirrorings that are drawn, or happens before the rotation."""
    images = np.random.default_rng(0).random((20, 32, 32, 3), dtype="float32")
    plain, cropping = (BatchAugmenter(**ROW, fill_mode="constant", crop=crop) for crop in (0, 4))
    before, after = (a.draw(20, (32, 32, 3), np.random.SeedSequence(1)) for a in (plain, cropping))
    for key in ("theta", "flip_horizontal"):
        assert (before[key] == after[key]).all()
    assert {*after["tx"], *after["ty"]} == {*range(-4, 5)}
    rotated, both = plain.apply_transforms(images, before), cropping.apply_transforms(images, after)
    for one, whole, x, y, mirrored in zip(
        both, rotated, *(after[key] for key in ("tx", "ty", "flip_horizontal")), strict=True
    ):
        x = -x if mirrored else x
        shifted = np.roll(whole, (-int(y), -int(x)), (0, 1))[5:-5, 5:-5]  # within, where nothing is filled in
        assert np.abs(one[5:-5, 5:-5] - shifted).max() < 1e-4
