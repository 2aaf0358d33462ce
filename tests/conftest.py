"""Shared by all tests: drawn images, the real ones if available, and a cache separate from the user's."""

import os
from pathlib import Path

import pytest

from kerascifar.common.load_keras import load_keras
from kerascifar.images import drawn

# Begun first, longest first, so that no process is left alone with one of them.
LONGEST = (
    *("test_cluster.py", "test_commands.py", "test_notebooks.py", "test_soak.py", "test_page.py", "test_api.py"),
    *("test_wheel.py", "test_storage.py", "test_gate.py", "test_environment.py", "test_backends.py"),
)
# What `make quick` leaves out, beside the commands in processes of their own, and the browser.
SLOW = {
    "test_backends.py",
    "test_cluster.py",
    "test_contributing.py",
    "test_environment.py",
    "test_notebooks.py",
    "test_page.py",
    "test_readme.py",
    "test_soak.py",
    "test_storage.py",
    "test_tensorboard.py",
    "test_wheel.py",
}
SLOW_FIXTURES = {"process", "browser"}


def pytest_ignore_collect(collection_path, config):
    """Spares `make quick` the imports of the slow files, such as Ray."""
    return True if collection_path.name in SLOW and config.option.markexpr == "not slow" else None


def pytest_collection_modifyitems(items):
    """Begins with the longest files, and marks the slow tests."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for item in items:
        if item.path.name in SLOW or SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """One cache for the session: never the user's, and the real images are converted once.

    Keras comes first: a command that only counts parameters loads it without TensorFlow where it is not loaded yet.
    """
    load_keras()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCIFAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder with 500 + 100 drawn images in CIFAR-10's format. Not to be changed."""
    folder = tmp_path_factory.mktemp("shapes")
    drawn.write(folder, train=500, test=100, seed=1)
    return folder


@pytest.fixture(scope="session")
def real_data():
    """The folder with the real images."""
    if not os.environ.get("KERASCIFAR_DATA"):
        pytest.skip("needs the real images: set KERASCIFAR_DATA")
    return Path(os.environ["KERASCIFAR_DATA"])


@pytest.fixture(scope="session")
def model():
    """Random weights, two convolutions of different grids, batch normalisation and dropout; all in use."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(3)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.5),
            layers.Conv2D(5, 3, activation="relu", name="second"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name="tiny",
    )
    norm = network.get_layer("norm")
    norm.set_weights([np.array(w, np.float32) for w in ([1, 2, 0.5, 1], [0.1, 0, 0.2, 0], [0.3] * 4, [0.2] * 4)])
    return network
