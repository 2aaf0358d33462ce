"""Copies of images that a test may damage, and a cache of its own."""

import shutil
from pathlib import Path

import pytest

from kerascifar.common.errors import UserError
from kerascifar.images import cifar10, sources


@pytest.fixture
def refusal():
    """A function that returns the text with which `load` refuses a path."""

    def refuse(path, says=None):
        with pytest.raises(UserError) as refused:
            cifar10.load(path, say=(says if says is not None else []).append)
        return str(refused.value)

    return refuse


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache for one test."""
    folder = tmp_path / "own cache"
    monkeypatch.setenv("KERASCIFAR_CACHE", str(folder))
    return folder


@pytest.fixture
def broken(shapes, tmp_path):
    """A copy of the drawn images: the folder of the files."""
    return Path(shutil.copytree(shapes, tmp_path / "copy")) / "cifar-10-batches-bin"


@pytest.fixture
def linked(real_data, tmp_path):
    """A folder of links to the real files, which a test replaces by damaged copies."""
    original = real_data if (real_data / "data_batch_1.bin").exists() else real_data / "cifar-10-batches-bin"
    if not original.is_dir():
        pytest.skip("needs the real images in the binary version")
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for path in original.glob("*.bin"):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def no_data(tmp_path, monkeypatch, own_cache):
    """A user without data, offline: Keras's folder of data sets. No test downloads CIFAR-10."""
    monkeypatch.delenv("KERASCIFAR_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    offline = sources.PYTHON._replace(url="http://127.0.0.1:9/cifar-10-python.tar.gz")
    monkeypatch.setattr(sources, "PYTHON", offline)
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    return tmp_path / "keras" / "datasets"
