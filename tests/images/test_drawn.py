"""The drawn images are balanced, reproducible and in the official format."""

import numpy as np
import pytest

from kerascifar.common.errors import UserError
from kerascifar.images import cifar10, drawn


def test_files_are_in_the_official_format_and_balanced(tmp_path):
    """Fails if planes, labels or sizes differ from the layout on CIFAR-10's page: 1 + 1,024 + 1,024 + 1,024 bytes."""
    drawn.write(tmp_path, train=100, test=20, seed=3)
    folder = tmp_path / "cifar-10-batches-bin"
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.bin")}
    assert sizes == {**{f"data_batch_{i}.bin": 20 * 3073 for i in range(1, 6)}, "test_batch.bin": 20 * 3073}
    raw = b"".join((folder / f"data_batch_{i}.bin").read_bytes() for i in range(1, 6))
    assert np.bincount(np.frombuffer(raw, np.uint8)[::3073]).tolist() == [10] * 10
    dataset = cifar10.load(tmp_path)
    row, column, green = 5, 7, 1
    assert dataset.images[42, row, column, green] == raw[42 * 3073 + 1 + 1024 + 32 * row + column]
    assert dataset.labels[42] == raw[42 * 3073]
    assert (folder / "batches.meta.txt").read_text().split() == list(drawn.CLASS_NAMES)


def test_the_seed_decides_the_images(tmp_path):
    """Fails if anything but the arguments has an influence, or if the seed is ignored."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        drawn.write(tmp_path / name, train=50, test=10, seed=seed)
    a, b, c = (cifar10.load(tmp_path / name).fingerprint for name in "abc")
    assert a == b
    assert a["train"] != c["train"] and a["test"] != c["test"]


def test_colour_does_not_identify_the_class():
    """Fails if a class has its own colours: its mean would then differ from the overall mean by more than chance."""
    random = np.random.default_rng(0)
    means = np.array([drawn.draw(label, 400, random).mean(axis=(0, 1, 2)) for label in range(10)])
    assert np.abs(means - means.mean(axis=0)).max() < 5 * 74 / np.sqrt(400)  # uniform 0..255: deviation 74


def test_no_two_shapes_cover_the_same_points():
    """Fails if two classes look the same, so that they could not be distinguished."""
    axis = np.linspace(-1, 1, 65)
    shapes = [drawn._inside(name, axis[None, :], axis[:, None]) for name in drawn.CLASS_NAMES]
    assert all(0.1 < shape.mean() < 0.75 for shape in shapes)
    assert min((a ^ b).mean() for i, a in enumerate(shapes) for b in shapes[:i]) > 0.04


def test_real_images_are_not_overwritten(tmp_path):
    """Fails if the demo can overwrite CIFAR-10, or cannot replace the images of an earlier demo."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "data_batch_1.bin").write_bytes(b"precious")
    with pytest.raises(UserError, match="holds images that were not drawn by a demo"):
        drawn.write(tmp_path, train=50, test=10)
    assert (folder / "data_batch_1.bin").read_bytes() == b"precious"
    assert [path.name for path in folder.iterdir()] == ["data_batch_1.bin"]
    drawn.write(tmp_path / "demo", train=50, test=10)
    drawn.write(tmp_path / "demo", train=100, test=10)
    assert len(cifar10.load(tmp_path / "demo").labels) == 100


@pytest.mark.parametrize("train, test", [(0, 10), (55, 10), (50, 15), (50_010, 10), (50, 10_010)])
def test_impossible_numbers_are_refused(tmp_path, train, test):
    with pytest.raises(ValueError, match="must be a multiple of 10 up to"):
        drawn.write(tmp_path, train=train, test=test)
    assert not list(tmp_path.iterdir())
