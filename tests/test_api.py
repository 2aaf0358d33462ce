"""The package as a library: any model, any row, and the record that commands make."""

import dataclasses
import doctest
import hashlib
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
from kerascifar.runs import environment, publish, records

ROW = api.Row("Mine", "mine", epochs=2, batch_size=100)
NAMED = "dd97f823"  # the end of the folder's name of model1 trained as ROW says, seed 0, since the first version


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
    """A model of the user's, with two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    return folder, api.train(mine, ROW, dataset, (0, 1), runs=folder, console=Console(quiet=True))


def test_any_model_is_trained_and_leaves_records(trained):
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


@pytest.mark.slow
def test_a_model_is_copied_with_new_weights_for_each_seed(trained, dataset, tmp_path):
    """The same as from its builder: what the given model's weights were says nothing."""
    model = mine()
    before = [w.copy() for w in model.get_weights()]
    found = api.train(model, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert found[0].history == trained[1][0].history
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.slow
def test_nothing_is_trained_twice_and_another_model_is_another_run(trained, dataset):
    folder, found = trained
    again = api.train(mine, ROW, dataset, (0, 1), runs=folder, console=Console(quiet=True))
    assert [r.environment["finished"] for r in again] == [r.environment["finished"] for r in found]
    wider = api.train(lambda: mine(5), ROW, dataset, [0], runs=folder, console=Console(quiet=True))
    assert wider[0].folder != found[0].folder


def pretrained(value):
    def build():
        model = mine()
        model.layers[-1].bias.assign(np.full(10, value))
        return model

    return build


@keras.saving.register_keras_serializable("test_api")
class Scale(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def scaled():
    return keras.Sequential([keras.Input((32, 32, 3)), Scale(), *mine().layers], name="mine")


class Slower(keras.callbacks.Callback):
    """Halves the learning rate after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.epoch


@pytest.mark.slow
@pytest.mark.parametrize(
    "one, other",
    [
        ((pretrained(0), ()), (pretrained(1), ())),
        ((mine, ()), (mine, [Slower()])),
        (("model1", ()), ("model1", [StopAt(1)])),
        ((mine, [StopAt(1)]), (mine, [StopAt(2)])),
    ],
    ids=["weights", "callback", "callback of a named model", "callback's argument"],
)
def test_different_initial_weights_code_or_callbacks_make_a_different_run(dataset, tmp_path, one, other):
    """Fails if the first one's result is returned for the second, or if neither is found again."""
    folders = [
        api.train(model, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True), callbacks=callbacks)[0].folder
        for model, callbacks in (one, other, one)
    ]
    assert folders[0] == folders[2] != folders[1]


@pytest.mark.slow
@pytest.mark.parametrize("model", [scaled, scaled()], ids=["built", "copied"])
def test_an_edited_layer_is_another_run(dataset, tmp_path, model, monkeypatch):
    """Its configuration is the same."""
    first = api.train(model, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))[0]
    monkeypatch.setattr(Scale, "call", lambda self, x: 3 * x)
    second = api.train(model, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))[0]
    assert first.folder != second.folder and first.history != second.history


@pytest.mark.slow
def test_a_programs_seeds_form_one_group_and_named_models_keep_their_run_names(trained, dataset, tmp_path):
    """Fails if the initial weights, which differ, take the seeds apart; or if runs of our models were trained anew."""
    assert len({record.group for record in trained[1]}) == 1
    (record,) = api.train("model1", ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert record.folder.name.endswith(NAMED)
    assert record.environment["uncommitted"] is environment.commit().uncommitted


def test_a_record_holds_the_programs_code_and_is_not_published(trained, tmp_path):
    record = trained[1][0]
    program = record.environment["program"]
    assert "def mine(width=4):" in program["source"] and record.environment["uncommitted"] is True
    assert program["sha256"] == hashlib.sha256(program["source"].encode()).hexdigest()
    with pytest.raises(api.UserError, match="trained by a program, not by `run`"):
        publish.publish([record.folder], tmp_path)


def functional():
    """One ReLU used three times, and a residual connection."""
    layers, relu = keras.layers, keras.layers.ReLU()
    inputs = keras.Input((32, 32, 3))
    x = relu(layers.Conv2D(8, 3, padding="same")(inputs))
    x = relu(layers.Add()([x, relu(layers.Conv2D(8, 3, padding="same")(x))]))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)), name="functional")


@pytest.mark.slow
@pytest.mark.parametrize("model", [functional, functional()], ids=["built", "copied"])
def test_what_is_evaluated_and_saved_is_what_was_trained(dataset, tmp_path, model):
    """Fails if the trained model is rebuilt as another one, such as the chain of its layers."""
    row = dataclasses.replace(ROW, learning_rate=0.01, epochs=4)
    (record,) = api.train(model, row, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    kept, validation = record.epoch_kept - 1, record.results["validation"]
    assert validation["accuracy"] == pytest.approx(record.history["val_accuracy"][kept], abs=1e-6)
    assert validation["loss"] == pytest.approx(record.history["val_loss"][kept], rel=1e-4)
    loaded = records.load_model(record)
    assert api.evaluate(loaded, dataset).loss == pytest.approx(validation["loss"], rel=1e-6)
    assert "add" in [layer.name for layer in loaded.layers]


def penalised():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(0.1)),
            layers.ActivityRegularization(l1=0.001),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name="penalised",
    )


def test_a_penalty_is_kept_apart_from_the_losses(dataset, tmp_path):
    """Fails if the train loss includes the penalty and the validation loss does not."""
    (record,) = api.train(penalised, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    train, kept = record.results["train"], record.epoch_kept - 1
    assert train["penalised_loss"] > train["loss"] + 0.1
    assert record.results["validation"]["loss"] == pytest.approx(record.history["val_loss"][kept], rel=1e-4)
    assert train["loss"] == record.history["loss"][kept]


@pytest.mark.slow
def test_logits_that_half_precision_cannot_hold_are_its_largest_number(dataset, tmp_path):
    """Fails if they are infinite, which no softmax can take, or if the end of a training is a warning."""
    model = keras.Sequential([mine(), keras.layers.Rescaling(1e9)], name="mine")
    (record,) = api.train(model, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    logits = record.predictions["test_logits"]
    assert np.abs(logits).max() == 65504 and np.isfinite(logits).all()


def test_a_training_that_a_callback_stops_says_so(dataset, tmp_path):
    """Fails if it is recorded as having reached its last epoch."""
    row = dataclasses.replace(ROW, epochs=50)
    (record,) = api.train(mine, row, dataset, [0], runs=tmp_path, console=Console(quiet=True), callbacks=[StopAt(1)])
    assert (record.stop, record.epochs_trained) == ("stopped by a callback", 1)


class StopAfter(keras.callbacks.Callback):
    """Counts epochs, and never begins anew by itself."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs, self.seen, self.losses = epochs, 0, []

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        self.losses.append(logs["loss"])
        self.model.stop_training = self.seen == self.epochs


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [lambda one: one, lambda one: [one], lambda one: (each for each in [one])],
    ids=["one", "a list", "a generator"],
)
def test_callbacks_begin_anew_with_each_seed(dataset, tmp_path, given):
    """Fails if a seed's result depends on the seeds before it, or if callbacks are recorded but not used."""
    one = StopAfter(1)
    found = api.train(mine, ROW, dataset, (0, 1), runs=tmp_path, console=Console(quiet=True), callbacks=given(one))
    assert [(record.seed, record.epochs_trained) for record in found] == [(0, 1), (1, 1)]
    assert one.losses == found[1].history["loss"]  # what it has seen can be read


@pytest.mark.slow
def test_numpys_numbers_are_numbers(dataset, tmp_path):
    """The same run as with Python's."""
    row = api.Row(
        "Mine",
        "model1",
        model_options={"filters": np.array([4, 4, 4]), "dense": [np.int64(8), 8]},
        augment=np.bool_(False),
        batch_size=np.int32(100),
        learning_rate=np.float32(0.001),
        epochs=np.uint8(1),
    )
    options = {"filters": [4, 4, 4], "dense": [8, 8]}
    assert row == api.Row("Mine", "model1", options, False, batch_size=100, learning_rate=0.001, epochs=1)
    found = api.train("model1", row, dataset, np.arange(2), runs=tmp_path, console=Console(quiet=True))
    assert [record.seed for record in found] == [0, 1] and found[0].row == row


@pytest.mark.parametrize(
    "other",
    [
        lambda data: dataclasses.replace(data, images=data.images[:100], labels=data.labels[:100]),
        lambda data: dataclasses.replace(data, images=data.images[:100]),
        lambda data: dataclasses.replace(data, labels=(data.labels + 1) % 10),
        lambda data: dataclasses.replace(data, images=data.images ^ 1),
    ],
)
def test_other_images_under_the_same_fingerprint_are_refused(dataset, tmp_path, other):
    """Fails if a record, and the runs folder, could name images that were not trained on."""
    with pytest.raises(api.UserError, match="other images or labels than load"):
        api.train("model1", ROW, other(dataset), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_of_other_images_is_refused_before_anything_is_written(dataset, tmp_path):
    flat = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(api.UserError, match="Nothing was trained"):
        api.train(flat, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert not list(tmp_path.glob("own-*"))
    with pytest.raises(api.UserError, match="32"):
        api.evaluate(flat, dataset)


def test_probabilities_are_refused(dataset):
    """Fails if the loss, or a gradient, is taken of a softmax as if it were logits."""
    inner = mine()
    softmax = keras.Model(inner.inputs[0], keras.layers.Softmax()(inner.outputs[0]))
    with pytest.raises(api.UserError, match="outputs are probabilities.*\nExpected logits"):
        api.evaluate(softmax, dataset)
    with pytest.raises(api.UserError, match="outputs are probabilities.*\nExpected logits"):
        api.focus_maps(softmax, np.zeros((2, 32, 32, 3), "float32"), [0, 1])


IMAGES, LABELS = np.zeros((1, 32, 32, 3), "float32"), np.array([0])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda data: api.load(5), "path is 5"),
        (lambda data: api.load(""), "path is ''"),
        (lambda data: api.load("~nobody-here/x"), "begins with the name of a user who does not exist"),
        (lambda data: api.build(4), 'Model "4" is not known'),
        (lambda data: api.build(["model1"]), "is not known"),
        (lambda data: api.train("mode4", ROW, data), 'Model "mode4" is not known'),
        (lambda data: api.train(5, ROW, data), "model is 5.\nExpected a Keras model, a function"),
        (lambda data: api.train(mine, {"name": "M"}, data), r"row is \{'name': 'M'\}.\nExpected a Row"),
        (lambda data: api.train(mine, ROW, None), "dataset is a NoneType.\nExpected the result of load"),
        (lambda data: api.train(mine, ROW, data, seeds=3), "seeds is 3.\nExpected .* in a list"),
        (lambda data: api.train(mine, ROW, data, seeds=[]), "seeds is empty.\nExpected at least one"),
        (lambda data: api.train(mine, ROW, data, seeds=[[0, 1]]), r"Seed \[0, 1\] is not a whole number"),
        (lambda data: api.train(mine, ROW, data, runs=None), "runs is None"),
        (lambda data: api.train(mine, ROW, data, runs=__file__), "Expected the path of a folder"),
        (lambda data: api.train(mine, ROW, data, console=False), "console is False.*\n.*quiet=True"),
        (lambda data: api.train(mine, ROW, data, callbacks=5), "callbacks is 5"),
        (lambda data: api.train(mine, ROW, data, seeds="0"), "Seed '0' is not a whole number"),
        (lambda data: api.train(mine, ROW, data, seeds=[1.5]), "Seed 1.5 is not a whole number"),
        (lambda data: api.evaluate("model1", data), "model is 'model1'.\nExpected a Keras model"),
        (lambda data: api.focus_maps("model1", IMAGES, LABELS), "model is 'model1'"),
        (lambda data: api.focus_maps(mine(), IMAGES, LABELS, method=None), 'method "None" is not known'),
        (lambda data: api.focus_maps(mine(), IMAGES, LABELS, layer=3), 'layer "3" is not a layer'),
    ],
)
def test_a_wrong_type_is_named(call, message, dataset):
    """Fails with Python's own exception, from somewhere inside."""
    with pytest.raises(api.UserError, match=message):
        call(dataset)


def test_a_functions_options_are_not_those_of_a_row(dataset, tmp_path):
    row = dataclasses.replace(ROW, model_options={"width": 3})
    with pytest.raises(api.UserError, match=r"width is not an option of every model.*\n.*partial\(build, width=3\)"):
        api.train(mine, row, dataset, [0], runs=tmp_path, console=Console(quiet=True))


def test_the_examples_in_docstrings_hold():
    result = doctest.testmod(api)
    assert result.failed == 0 and result.attempted > 0


@pytest.mark.slow
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
            found = api.train(mine, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
            api.focus_maps(model, np.zeros((2, 32, 32, 3), "float32"), np.array([0, 1]), method="smoothgrad")
            api.evaluate(model, dataset)
            assert state() == expected
    finally:
        keras.config.set_dtype_policy("float32")
    assert found[0].history == trained[1][0].history


@pytest.mark.parametrize("call", ["train", "evaluate", "focus_maps"])
def test_a_program_with_channels_first_gets_a_message(call, dataset, tmp_path):
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
