"""What all tests share: drawn images, the real ones where they are, and a cache that is not the user's."""

import os
from pathlib import Path

import pytest

from kerascifar import synthetic


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """One cache for the session: never the user's, and the real images are converted once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCIFAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder with 500 + 100 drawn images in CIFAR-10's format. Not to be changed."""
    folder = tmp_path_factory.mktemp("shapes")
    synthetic.write(folder, train=500, test=100, seed=1)
    return folder


@pytest.fixture(scope="session")
def real_data():
    """The folder with the real images."""
    if not os.environ.get("KERASCIFAR_DATA"):
        pytest.skip("needs the real images: set KERASCIFAR_DATA")
    return Path(os.environ["KERASCIFAR_DATA"])
