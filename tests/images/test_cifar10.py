"""The real images are the official ones, and `load` looks for them in the documented order."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from kerascifar.common.errors import UserError
from kerascifar.images import cifar10

ROW = 3073
OFFICIAL = {  # SHA-256 of the binary version's five training files end to end, and of its test file
    "train": "a0181da372c0d63a5920fdbea2ec3f83ecbc552d378218e1cb473cf634941a3b",
    "test": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def test_the_real_images_are_the_official_ones(real_data):
    """Fails if rows, colour planes or the order of the files are mixed up. Means and labels are published ones."""
    dataset = cifar10.load(real_data)
    images, labels = cifar10.test_split(dataset)
    assert (dataset.name, dataset.is_synthetic, dataset.fingerprint) == ("CIFAR-10", False, OFFICIAL)
    assert dataset.class_names[0] == "airplane"
    assert (dataset.images.shape, dataset.images.dtype) == ((50_000, 32, 32, 3), np.uint8)
    assert (images.shape, images.dtype, labels.dtype) == ((10_000, 32, 32, 3), np.uint8, np.int64)
    assert dataset.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    means = [dataset.images[..., channel].mean() / 255 for channel in range(3)]
    assert means == pytest.approx([0.49139968, 0.48215841, 0.44653091], abs=5e-9)


def test_an_index_is_the_official_one_and_pixels_are_row_major(linked):
    """Fails if images are transposed or mirrored, which changes neither means nor labels."""
    with open(linked / "data_batch_3.bin", "rb") as file:
        file.seek(7 * ROW)
        row = file.read(ROW)
    image = cifar10.load(linked).images[20_007]
    assert [image[3, 30, c] for c in range(3)] == [row[1 + 1024 * c + 32 * 3 + 30] for c in range(3)]


def test_the_split_of_the_real_images(real_data):
    """Fails if the split drifts: every published record names this validation set."""
    dataset = cifar10.load(real_data)
    train, validation = cifar10.split(dataset.labels)
    assert (len(train), len(validation)) == (40_000, 10_000)
    assert cifar10.split_fingerprint(train, validation) == (
        "ded01454bf144ba7673f6fa9b6bf1ccc5e14e6f91f3ee6ec93556cfa36119d27"
    )
    counts = {"training": [4000] * 10, "validation": [1000] * 10, "test": [1000] * 10}
    assert cifar10.class_counts(dataset) == counts


def test_nothing_found_offline_says_what_to_do(no_data, own_cache, refusal):
    """Fails if a failed download ends in a traceback, or its message omits a place or the next step."""
    message = refusal(None)
    parts = ["and its download failed (", "KERASCIFAR_DATA (not set)", str(no_data.parent), str(own_cache)]
    parts += ["Download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "`kerascifar demo` needs no data"]
    assert [part for part in parts if part not in message] == []
    with pytest.raises(UserError, match="Download it with `kerascifar data`"):
        cifar10.load(download=False)


def test_the_environment_comes_before_kerass_cache(no_data, linked, shapes, monkeypatch):
    """Fails if a copy in Keras's cache wins over the one that the user named."""
    linked.rename(no_data / "cifar-10-batches-py")
    monkeypatch.setenv("KERASCIFAR_DATA", str(shapes))
    assert cifar10.load().name == "synthetic shapes"


def test_a_damaged_copy_in_kerass_cache_is_skipped(no_data, refusal):
    """Fails if an interrupted download blocks the user, or is not mentioned."""
    folder = no_data / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_2").write_bytes(b"half a file")
    says = []
    assert "its download failed" in refusal(None, says)
    assert f"Skipping a damaged copy in Keras's cache. {folder}: data_batch_1 is missing." in says


def test_kerass_cache_is_used_and_then_our_copy(no_data, linked):
    """Fails if Keras's copy is not found, or ours is not used when the others have gone."""
    linked.rename(no_data / "cifar-10-batches-py")
    dataset = cifar10.load()
    assert dataset.fingerprint == OFFICIAL and dataset.source == str(no_data / "cifar-10-batches-py")
    shutil.rmtree(no_data)
    again = cifar10.load()
    assert again.fingerprint == OFFICIAL and again.source.startswith("the verified copy in ")


def test_importing_does_not_load_tensorflow():
    code = "import sys, kerascifar.images.cifar10; print({'keras', 'tensorflow'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
