"""The package as a library: any model, any row, and the record that commands make."""

import doctest
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from factories import ROOT
from rich.console import Console

from kerascifar import api
from kerascifar.findings import compare

# Keras 3.15 asks its variables for arrays in the way of NumPy 1 when it saves a model.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
ROW = api.Row("Mine", "mine", epochs=2, batch_size=100)


def mine(width=4):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(width, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ],
        name="mine",
    )


@pytest.fixture(scope="module")
def dataset(shapes):
    return api.load(shapes)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """One's own model, two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    return folder, api.train(mine, ROW, dataset, (0, 1), folder, Console(quiet=True))


def test_any_model_is_trained_and_leaves_records(trained, dataset):
    folder, found = trained
    assert [(r.name, r.seed, r.epochs_trained, r.row.model) for r in found] == [("Mine", s, 2, "mine") for s in (0, 1)]
    assert found[0].results != found[1].results
    assert list(compare.find(["Mine"], folder)) == ["Mine"]


@pytest.mark.slow
def test_a_script_prints_only_its_own_lines(shapes, tmp_path):
    """Fails if TensorFlow's messages reach a program that trains and draws: about drivers, oneDNN, CPU features."""
    code = """if True:
        from rich.console import Console
        from kerascifar.api import Row, build, focus_maps, load, train
        dataset = load(%r)
        record = train("model1", Row("A", "model1", epochs=1, batch_size=100), dataset, console=Console(quiet=True))[0]
        images = dataset.images[:2].astype("float32") / 255
        print(record.name, focus_maps(build("model1"), images, dataset.labels[:2]).shape)
    """
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code % str(shapes)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("A (2, 32, 32)\n", "")


def test_a_model_is_copied_with_new_weights_for_each_seed(trained, dataset, tmp_path):
    """The same as from its builder: what the given model's weights were says nothing."""
    model = mine()
    before = [w.copy() for w in model.get_weights()]
    found = api.train(model, ROW, dataset, [0], tmp_path, Console(quiet=True))
    assert found[0].history == trained[1][0].history
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_nothing_is_trained_twice_and_another_model_is_another_run(trained, dataset):
    folder, found = trained
    again = api.train(mine, ROW, dataset, (0, 1), folder, Console(quiet=True))
    assert [r.environment["finished"] for r in again] == [r.environment["finished"] for r in found]
    wider = api.train(lambda: mine(5), ROW, dataset, [0], folder, Console(quiet=True))
    assert wider[0].folder != found[0].folder


def test_evaluation_is_the_records(trained, dataset):
    from kerascifar.runs import records

    record = trained[1][0]
    found = api.evaluate(records.load_model(record), dataset)
    assert found.accuracy == record.results["validation"]["accuracy"]


def test_a_named_model_and_mistakes(dataset, tmp_path):
    with pytest.raises(api.UserError, match='Model "mode4" is not known'):
        api.train("mode4", ROW, dataset, [0], tmp_path, Console(quiet=True))
    flat = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(api.UserError, match="Nothing was trained"):
        api.train(flat, ROW, dataset, [0], tmp_path, Console(quiet=True))
    assert not list(tmp_path.glob("own-*"))


def test_maps_are_there_too(dataset):
    found = api.focus_maps(mine(), np.zeros((2, 32, 32, 3), "float32"), np.array([0, 1]), method="saliency")
    assert found.shape == (2, 32, 32)


def test_the_examples_in_docstrings_hold():
    result = doctest.testmod(api)
    assert result.failed == 0 and result.attempted > 0


def test_a_call_leaves_the_programs_state_and_its_settings_do_not_reach_in(trained, dataset, tmp_path):
    """Fails if a precision, a seed or a layer's number is another after the call, or if NumPy's own errors end it."""
    import random

    import tensorflow as tf

    def state():
        drawn = random.random(), np.random.rand(), float(tf.random.uniform(())), float(keras.random.uniform(()))
        return drawn, keras.config.dtype_policy().name, keras.layers.Flatten().name, np.geterr()

    def begin():
        keras.backend.clear_session()
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.utils.set_random_seed(7)

    model = mine()
    try:
        with np.errstate(all="raise"):
            begin()
            expected = state()
            begin()
            found = api.train(mine, ROW, dataset, [0], tmp_path, Console(quiet=True))
            api.focus_maps(model, np.zeros((2, 32, 32, 3), "float32"), np.array([0, 1]), method="smoothgrad")
            api.evaluate(model, dataset)
            assert state() == expected
    finally:
        keras.config.set_dtype_policy("float32")
    assert found[0].history == trained[1][0].history


@pytest.mark.parametrize("call", ["train", "evaluate", "focus_maps"])
def test_a_program_for_which_height_is_a_channel_is_told(call, dataset, tmp_path):
    arguments = {
        "train": (mine, ROW, dataset, [0], tmp_path, Console(quiet=True)),
        "evaluate": (mine(), dataset),
        "focus_maps": (mine(), np.zeros((1, 32, 32, 3), "float32"), np.array([0])),
    }[call]
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(api.UserError, match="image_data_format is 'channels_first'"):
            getattr(api, call)(*arguments)
    finally:
        keras.config.set_image_data_format("channels_last")
