"""What cannot end in a result is refused before the first epoch, in a paragraph."""

import dataclasses
import functools
import io
import warnings

import keras
import numpy as np
import pytest
from rich.console import Console

from kerascifar import api
from kerascifar.runs import experiment, gate, one_run, progress, records
from kerascifar.training import fit, models
from kerascifar.training.rows import Row, Run

ROW = Row("Mine", "mine", epochs=1, batch_size=100)
layers = keras.layers
SHARED = layers.Conv2D(4, 3, name="shared")
RANDOM = np.random.default_rng(0)


def network(*middle, head=None):
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            *middle,
            layers.GlobalAveragePooling2D(),
            head or layers.Dense(10),
        ],
        name="mine",
    )


class Unregistered(layers.Layer):
    def call(self, x):
        return 2 * x


@keras.saving.register_keras_serializable("test_gate")
class Forgetful(layers.Layer):
    """Its configuration lacks the factor, so a loaded layer has another."""

    def __init__(self, factor=1, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return super().get_config()


@keras.saving.register_keras_serializable("test_gate")
class Restless(layers.Layer):
    """Random also where nothing is trained."""

    def call(self, x):
        return x * keras.random.uniform((), 0.0, 2.0)


@keras.saving.register_keras_serializable("test_gate")
class NoConfiguration(layers.Layer):
    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def call(self, x):
        return self.function(x)


@keras.saving.register_keras_serializable("test_gate")
class Table(layers.Layer):
    """Its configuration holds an array, which Keras can save, but JSON cannot."""

    def __init__(self, factors, **options):
        super().__init__(**options)
        self.factors = np.asarray(factors, "float32")

    def call(self, x):
        return self.factors * x

    def get_config(self):
        return {**super().get_config(), "factors": self.factors}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("factors")), **config)


class StepByStep(layers.Layer):
    """Looks at numbers in training, which a graph does not have."""

    def call(self, x, training=None):
        return x * float(np.max(x)) if training else x


def frozen(*layers_, whole=False):
    made = network(*layers_)
    for layer in made.layers if whole else made.layers[:1]:
        layer.trainable = False
    return made


def frozen_kernel():
    made = network()
    made.layers[0].kernel.trainable = False
    return made


@keras.saving.register_keras_serializable("test_gate")
class Louder(layers.Wrapper):
    """Trains a gain, whatever it wraps."""

    def build(self, shape):
        super().build(shape)
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

    def call(self, x):
        return self.gain * self.layer(x)


def two_directions():
    """The forward half is frozen, the backward half is trained."""
    both = layers.Bidirectional(layers.GRU(2, return_sequences=True))
    made = network(layers.MaxPooling2D(10), layers.Reshape((9, 4)), both, layers.Reshape((3, 3, 4)))
    both.forward_layer.trainable = False
    return made


def in_a_wrapper(layer):
    return network(Louder(layer, name="louder"))


def normalizing():
    made = layers.Normalization()
    made.build((None, 30, 30, 4))
    made.set_weights([np.full(4, 0.5), np.full(4, 2.0), np.array(1)])
    return made


def functional(outputs, also=()):
    images = keras.Input((32, 32, 3))
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    return keras.Model([images, *also] if also else images, outputs(seen), name="functional")


class OwnClass(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def call(self, x):
        return self.inner(x)


def adapted():
    made = network(layers.Normalization(name="adapted"))
    made.get_layer("adapted").set_weights([np.full(4, 0.5), np.full(4, 2.0), np.array(1)])
    return made


def unseeded():
    made = network()
    made.set_weights([RANDOM.normal(size=w.shape) for w in made.get_weights()])
    return made


BUILT_ONCE = network()
REFUSED = {
    "a layer that Keras cannot load": (lambda: network(Unregistered()), "Could not locate class 'Unregistered'"),
    "code in the file": (lambda: network(layers.Lambda(lambda x: 2 * x)), "without executing code"),
    "a layer without a configuration": (lambda: network(NoConfiguration(keras.ops.relu6)), "NoConfiguration"),
    "a layer that forgets an argument": (lambda: network(Forgetful(3)), "after it was saved and loaded"),
    "a model whose copy differs": (network(Forgetful(3)), "a copy of model"),
    "random evaluation": (lambda: network(Restless()), "the evaluated model differs from the trained one"),
    "softmax": (lambda: network(head=layers.Dense(10, activation="softmax")), "Expected logits"),
    "sigmoid": (lambda: network(head=layers.Dense(10, activation="sigmoid")), "Expected logits"),
    "a hidden softmax": (
        lambda: keras.Sequential([keras.Input((32, 32, 3)), network(layers.BatchNormalization()), layers.Softmax()]),
        "Expected logits",
    ),
    "the same model each time": (lambda: BUILT_ONCE, "shares weights"),
    "a layer of an earlier model": (lambda: network(SHARED), "shares weights"),
    "weights by chance": (unseeded, "different weights each time"),
    "no model": (lambda: None, "returned None"),
    "a name that no graph may have": (
        lambda: keras.Sequential([keras.Input((32, 32, 3)), network()], name="模型"),
        "not a valid root scope",
    ),
    "a layer's name that no graph may have": (
        lambda: network(layers.ReLU(name="Größe")),
        r"failed \(ValueError: .*'Größe' is not a valid scope name[^\x1b]*]\*\$\s*\)\.\n",
    ),
    "a layer that works outside a graph": (lambda: network(StepByStep()), "cannot be converted to a|symbolic"),
    "whole numbers": (
        lambda: keras.Sequential([keras.Input((32, 32, 3), dtype="uint8"), layers.Rescaling(1 / 255), network()]),
        "takes uint8, so pixels between 0 and 1 would be rounded down to whole",
    ),
    "nothing to train": (lambda: frozen(whole=True), "no weights to train"),
    "a copy without pretrained weights": (frozen(), "does not preserve the frozen state of: conv2d.*\nPass a function"),
    "a copy that trains what is frozen": (frozen_kernel(), "does not preserve the frozen state of: conv2d"),
    "a copy without its statistics": (adapted(), "does not preserve the frozen state of: adapted"),
    "a copy of a wrapper without frozen weights": (
        two_directions(),
        "does not preserve the frozen state of: forward_gru/gru_cell",
    ),
    "a copy of a user's wrapper without frozen weights": (
        in_a_wrapper(layers.Dense(4, trainable=False)),
        "frozen state of: dense",
    ),
    "a copy of wrapped statistics": (in_a_wrapper(normalizing()), "frozen state of: normalization"),
    "a copy without what LoRA adapts": (
        network(head=layers.Dense(10, lora_rank=2, name="adapted")),
        "frozen state of: adapted",
    ),
    "outputs in a dictionary": (
        lambda: functional(lambda seen: {"logits": layers.Dense(10)(seen)}),
        "inputs: 1, outputs: 1 in a dictionary.*\n.*Choose the output: keras.Model",
    ),
    "a list of outputs": (
        lambda: functional(lambda seen: [layers.Dense(10)(seen), layers.Dense(3)(seen)]),
        "inputs: 1, outputs: 2.\n.*Choose the output: keras.Model",
    ),
    "two inputs": (
        lambda: functional(lambda seen: layers.Dense(10)(seen), also=[keras.Input((2,))]),
        "inputs: 2, outputs: 1.\nExpected one array of images",
    ),
    "a model of a user's class": (OwnClass, r"does not know the shapes.*\n.*keras.Model\(images, own\(images\)\)"),
    "no input": (lambda: keras.Sequential([layers.Dense(10)]), r"Begin a Sequential model with keras.Input"),
    "a warning that is an error": (
        lambda: warnings.warn("odd", stacklevel=1),
        "UserWarning: odd.*turns warnings into errors",
    ),
}


@pytest.fixture(scope="module")
def dataset(shapes):
    return api.load(shapes)


@pytest.mark.parametrize("model, answer", REFUSED.values(), ids=REFUSED)
def test_a_model_that_would_not_end_in_a_result_is_refused(dataset, tmp_path, model, answer):
    """Fails if one of them is trained: its result would be lost, or wrong."""
    with pytest.raises(api.UserError, match=answer) as refused:
        api.train(model, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert 2 <= len(str(refused.value).splitlines()) <= 4
    assert not [path for path in tmp_path.iterdir() if path.name != one_run.LOCKS]


@pytest.mark.slow
def test_a_precision_that_the_layers_do_not_have_is_refused_and_the_callers_stays(dataset, tmp_path):
    """Fails if float32 is recorded as half precision, or the reverse, or if later models have the row's precision."""
    half = dataclasses.replace(ROW, precision="mixed_bfloat16")
    with pytest.raises(api.UserError, match="the row has precision mixed_bfloat16, but the layers"):
        api.train(network(), half, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    (record,) = api.train(network, half, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert keras.config.dtype_policy().name == "float32"
    assert records.load_model(record).layers[0].compute_dtype == "bfloat16"
    with pytest.raises(api.UserError, match="the row has precision float32, but the layers"):
        api.train(records.load_model(record), ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))


def test_a_model_that_cannot_be_drawn_is_trained_and_a_line_says_so(dataset, tmp_path, monkeypatch):
    """`dot` that cannot write PNG, as one built without Cairo: it answers other formats."""
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\ncase $* in *png*) exit 1;; esac\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    printed = io.StringIO()
    flat = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10)])
    (record,) = api.train(flat, ROW, dataset, [0], runs=tmp_path / "runs", console=Console(file=printed, width=300))
    assert record.epochs_trained == 1
    assert "Focus maps of this model will be left out: Model" in printed.getvalue()
    assert "Architecture diagrams of this model will be left out" in printed.getvalue()


def test_text_that_the_output_cannot_encode_stops_no_training(dataset, tmp_path):
    """A log in ASCII, and a folder with a character that it lacks."""
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=300)
    (record,) = api.train(network, ROW, dataset, [0], runs=tmp_path / "◀", console=console)
    console.file.flush()
    assert record.epochs_trained == 1 and b"/<; 0 of 1 finished already" in raw.getvalue()


def test_a_layers_configuration_may_hold_what_json_cannot(dataset, tmp_path):
    (record,) = api.train(
        lambda: network(Table([1, 2, 3, 4])), ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True)
    )
    assert records.load_model(record).layers[1].factors.tolist() == [1, 2, 3, 4]


def test_a_model_with_trained_statistics_can_be_copied(dataset):
    """Fails if a model with a BatchNormalization is refused once it has been trained."""
    model = network(layers.BatchNormalization())
    model.layers[1].moving_mean.assign(np.full(4, 0.5))
    gate.check_copy(model, dataset)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make, part",
    [
        (frozen, lambda made: made.layers[0]),
        (lambda: in_a_wrapper(layers.Dense(4, trainable=False)), lambda made: made.get_layer("louder").layer),
    ],
    ids=["a layer", "a wrapped layer"],
)
def test_a_function_may_freeze_a_part(dataset, tmp_path, monkeypatch, make, part):
    """Fails if its weights are not those that it loads, or are trained, here or after a continuation or in a copy."""

    def build():
        made = make()
        part(made).kernel.assign(np.full(part(made).kernel.shape, 0.1))
        return made

    def stopped(*arguments):
        raise KeyboardInterrupt

    row = dataclasses.replace(ROW, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(progress.RunProgress, "epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            api.train(build, row, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert list(tmp_path.glob("own-*/checkpoint-000001.bin"))
    (record,) = api.train(build, row, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    loaded = records.load_model(record)
    assert np.allclose(part(loaded).kernel, 0.1) and not part(loaded).trainable_weights
    assert [w.shape for w in loaded.trainable_weights] == [w.shape for w in build().trainable_weights]
    assert record.results["validation"]["loss"] == pytest.approx(api.evaluate(loaded, dataset).loss, rel=1e-6)


def tried(monkeypatch):
    """The names of the rows that are checked and rehearsed."""
    seen = {"check_model": [], "rehearse": []}
    for name, rows in seen.items():
        whole = getattr(gate, name)

        def watched(run, *rest, whole=whole, rows=rows):
            rows.append(run.name if isinstance(run, Row) else run.row.name)
            return whole(run, *rest)

        monkeypatch.setattr(gate, name, watched)
    return seen


@pytest.mark.slow
def test_what_one_model_has_shown_is_not_tried_again(dataset, tmp_path, monkeypatch):
    """A is model2 without one kind of layer, C has another optimizer. Fails if time grows with rows and seeds."""
    rows = [Row("A", "model3"), Row("B", "model2"), Row("C", "model2", optimizer="sgd")]
    runs = [Run("x", row, seed) for row in rows for seed in (0, 1)]
    seen = tried(monkeypatch)
    experiment.train_runs(runs, dataset, tmp_path, Console(quiet=True), execute=lambda work: [])
    assert seen == {"check_model": ["B", "A"], "rehearse": ["B", "C"]}


@pytest.mark.slow
def test_rows_with_every_option_are_tried_and_trained(dataset, tmp_path, monkeypatch):
    """Fails if a row is taken for known by its model although its loss, schedule or average is new, or if one fails."""
    small = {"filters": [4, 4, 4], "dense": [8, 8]}
    plain = Row("Plain", "model1", small, epochs=1, batch_size=100)
    every = {
        "Mixes": {"augmentation": {"crop": 4, "mixup": 0.2}},
        "Cosine": {"schedule": {"decay": "cosine", "warmup": 0.5, "end": 0.1}},
        "Average": {"optimizer_options": {"weight_decay": 0.01, "ema_momentum": 0.5, "global_clipnorm": 1.0}},
        "All": {"optimizer": "adamw"},
    }
    every["All"] |= every["Mixes"] | every["Cosine"] | every["Average"]
    rows = [plain, *(dataclasses.replace(plain, name=name, **changes) for name, changes in every.items())]
    runs = [Run("x", row, 0) for row in rows]
    seen = tried(monkeypatch)
    experiment.train_runs(runs, dataset, tmp_path, Console(quiet=True), execute=lambda work: [])
    assert seen["rehearse"] == ["Plain", *every]
    (record,) = experiment.train_runs(runs[-1:], dataset, tmp_path, Console(quiet=True))
    assert record.row == rows[-1] and record.epochs_trained == 1


def test_a_model_with_another_kind_of_layer_is_tried(dataset, tmp_path, monkeypatch):
    """Fails if a layer of a user's builder counts as known because the other layers are."""
    monkeypatch.setitem(models.BUILDERS, "mine", lambda: network(Unregistered()))
    runs = [Run("x", Row("A", "model2"), 0), Run("x", Row("B", "mine"), 0)]
    with pytest.raises(api.UserError, match='Row "B": .*Unregistered'):
        experiment.train_runs(runs, dataset, tmp_path, Console(quiet=True))


@pytest.mark.slow
def test_what_observes_every_training_does_not_see_the_trial(dataset, tmp_path, monkeypatch):
    """MLflow's autologging wraps Keras's `fit`. Fails if it logs the trial as a run."""
    whole, seen = keras.Model.fit, []

    @functools.wraps(whole)
    def logged(self, *arguments, **options):
        seen.append(self.name)
        return whole(self, *arguments, **options)

    monkeypatch.setattr(keras.Model, "fit", logged)
    api.train(network, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    assert seen == ["mine"]


@pytest.mark.slow
def test_a_finished_run_is_not_tried_again(dataset, tmp_path, monkeypatch):
    run = [Run("x", dataclasses.replace(ROW, model="model1"), 0)]
    experiment.train_runs(run, dataset, tmp_path, Console(quiet=True))
    seen = tried(monkeypatch)
    experiment.train_runs(run, dataset, tmp_path, Console(quiet=True))
    assert seen == {"check_model": [], "rehearse": []}


def test_a_mismatch_after_training_keeps_the_weights_and_writes_no_record(dataset, tmp_path, monkeypatch):
    """A training that ends with other weights than its history's, without the gate, which would refuse it."""
    whole = fit.train

    def train(*arguments, **options):
        trained = whole(*arguments, **options)
        trained.model.layers[-1].bias.assign(np.arange(10.0))
        return trained

    monkeypatch.setattr(gate, "rehearse", lambda *arguments: [])
    monkeypatch.setattr(fit, "train", train)
    with pytest.raises(
        api.UserError, match=r"(?s)history has loss .* but its evaluation gives loss .*weights are kept in"
    ):
        api.train(network, ROW, dataset, [0], runs=tmp_path, console=Console(quiet=True))
    (folder,) = tmp_path.glob("own-*")
    kept = keras.models.load_model(folder / "model.keras", compile=False)
    assert np.array_equal(kept.layers[-1].bias, np.arange(10.0))
    assert not records.finished(folder) and list(folder.glob("checkpoint-*"))


@pytest.mark.parametrize(
    "last",
    [
        {"kernel_initializer": "zeros"},
        {"activation": "relu"},
        {"dtype": "float32"},
        {"activation": "log_softmax"},  # its softmax is the softmax of what it was given
        {"bias_initializer": keras.initializers.Constant(float("nan"))},  # training says so
    ],
)
def test_logits_are_taken_for_logits(dataset, last):
    """Also where all are 0 before the training, or not negative."""
    gate.check_model(ROW, lambda name: network(head=layers.Dense(10, **last)), dataset)
