"""Order and augmentation are a function of (seed, epoch, position)."""

import numpy as np
import pytest

from kerascifar.training.batches import ORDER, Batches, random_stream

IMAGES = np.arange(20, dtype="uint8").repeat(32 * 32 * 3).reshape(20, 32, 32, 3)
LABELS = np.arange(20) % 10


def numbers(batches):
    """Which images came, told by their pixels."""
    return [
        np.rint(np.asarray(x)[:, 0, 0, 0] * 255).astype(int).tolist()
        for x, _ in (batches[i] for i in range(len(batches)))
    ]


def test_every_image_comes_once_an_epoch_in_another_order():
    batches = Batches(IMAGES, LABELS, np.arange(2, 20), batch_size=8, seed=5)
    first = numbers(batches)
    assert [len(b) for b in first] == [8, 8, 2] and sorted(sum(first, [])) == list(range(2, 20))
    batches.epoch = 1
    second = numbers(batches)
    assert sorted(sum(second, [])) == list(range(2, 20)) and second != first
    batches.epoch = 0
    assert numbers(batches) == first
    other = Batches(IMAGES, LABELS, np.arange(2, 20), batch_size=8, seed=6)
    assert numbers(other) != first


def test_without_a_seed_the_order_is_the_indices():
    batches = Batches(IMAGES, LABELS, np.array([4, 2, 9]), batch_size=2)
    assert numbers(batches) == [[4, 2], [9]]
    assert batches[0][1].tolist() == [4, 2]


def test_pixels_are_scaled_to_one():
    white = np.full((1, 32, 32, 3), 255, "uint8")
    assert np.asarray(Batches(white, LABELS, np.array([0]), 1)[0][0]).max() == 1.0


@pytest.mark.parametrize("augmentation", [{"rotation_range": 15.0, "horizontal_flip": True}, {"crop": 4}])
@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 1}, {"number": 1}])
def test_augmentation_depends_on_seed_epoch_and_position(change, augmentation):
    """Fails if two epochs, batches or seeds share their draws. All images are one, so only the transforms differ."""
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype="uint8").repeat(8, axis=0)

    def batch(seed=1, epoch=0, number=0):
        batches = Batches(image, LABELS, np.arange(8), 4, seed=seed, augmentation=augmentation)
        batches.epoch = epoch
        return np.asarray(batches[number][0])

    assert (batch() == batch()).all()
    assert (batch() != batch(**change)).any()


def test_fit_is_fed_the_batches_of_the_epoch_that_is_set():
    batches = Batches(
        IMAGES, LABELS, np.arange(20), 8, seed=1, augmentation={"rotation_range": 15.0, "horizontal_flip": True}
    )
    feed = batches.feed()
    for epoch in (0, 3):
        batches.epoch = epoch
        fed = [(x.numpy(), y.numpy()) for x, y in feed]
        assert len(feed) == len(fed) == 3
        for number, (x, y) in enumerate(fed):
            assert (x == batches[number][0]).all() and (y == batches[number][1]).all()


def test_the_feed_is_not_autotuned():
    """Autotuning sleeps on when an epoch ends: a third of M6's epochs took 5 s instead of 3.6."""
    assert Batches(IMAGES, LABELS, np.arange(20), 8).feed().options().autotune.enabled is False


def test_mixup_blends_images_and_labels_by_one_share_for_each_image():
    """By hand: images of a plain grey, so that a pixel tells the share. Fails if labels get another share or partner.

    Fails too if all images have one share, or if the shares are not Beta(0.2, 0.2)'s.
    """
    batches = Batches(IMAGES[:10], LABELS, np.arange(10), 10, seed=3, augmentation={"mixup": 0.2}, one_hot=True)
    shares = []
    for batches.epoch in range(200):
        images, labels = batches[0]
        own = np.random.default_rng(random_stream(3, ORDER, batches.epoch)).permutation(10)
        other = np.roll(own, 1)
        share, rest = labels[np.arange(10), own], labels[np.arange(10), other]
        np.testing.assert_allclose([share + rest, labels.sum(axis=1)], 1, atol=1e-6)
        grey = np.broadcast_to((share * own + rest * other)[:, None, None, None], images.shape)
        np.testing.assert_allclose(255 * images, grey, atol=1e-3)
        assert len(set(share.round(3))) > 1
        shares.extend(share)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)  # of 2000, ± 4 standard errors
    assert np.std(shares) == pytest.approx(0.5 / 1.4**0.5, abs=0.01)  # the variance of Beta(a, a) is 1 / (4 (2a + 1))


def test_labels_of_a_mixing_row_are_one_hot_also_where_nothing_is_mixed():
    batches = Batches(IMAGES, LABELS, np.array([3, 12]), 2, one_hot=True)
    assert batches[0][1].tolist() == [[0, 0, 0, 1, *[0] * 6], [0, 0, 1, *[0] * 7]]
    ((_, fed),) = batches.feed()
    assert fed.dtype == "float32" and fed.numpy().tolist() == batches[0][1].tolist()
