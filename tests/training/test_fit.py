"""Training: what EarlyStopping keeps, and that a stopped run goes on as the same run."""

import contextlib
import dataclasses
import gc
import math

import keras
import numpy as np
import pytest

from kerascifar.images import cifar10
from kerascifar.training import device, fit, models
from kerascifar.training.rows import Row

# Everything random at once: augmentation, dropout, BatchNormalization, order.
ROW = Row("T", "model1", batch_size=32, learning_rate=0.01, epochs=5)


class Killed(Exception):
    """Stands for a kill between two epochs."""


def tiny():
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.MaxPooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10),
        ]
    )


def branching():
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return models.build("residual", filters=[4, 8], blocks=[1, 1], activation="prelu", pooling="both")


@pytest.fixture(scope="module")
def images(shapes):
    device.prepare()
    dataset = cifar10.load(shapes)
    return {"images": dataset.images, "labels": dataset.labels, "split": cifar10.split(dataset.labels)}


def killed_after(epochs):
    def tell(values, epoch, seconds, wait):
        if epoch == epochs:
            raise Killed

    return tell


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_the_same_run(images, tmp_path):
    """Fails if weights, optimizer, EarlyStopping, order, augmentation or dropout start anew after a stop."""
    whole = fit.train(tiny(), ROW, 7, tmp_path / "whole", **images)
    for epochs in (1, 2, 4):
        with pytest.raises(Killed):
            fit.train(
                tiny(),
                ROW,
                7,
                tmp_path / "parts",
                **images,
                tell=killed_after(epochs),
                environment={"commit": epochs > 2},
            )
    parts = fit.train(tiny(), ROW, 7, tmp_path / "parts", **images, environment={"commit": True})
    assert parts.environments == [{"commit": False}, {"commit": True}]
    assert parts.history == whole.history
    assert (parts.stop, parts.epoch_kept) == (whole.stop, whole.epoch_kept) and len(parts.seconds) == 5
    for a, b in zip(parts.model.get_weights(), whole.model.get_weights(), strict=True):
        assert (a == b).all()


def test_every_epoch_takes_its_own_batches(images, tmp_path, monkeypatch):
    """Fails if the epoch does not reach the batches, or if Keras fetches one epoch's batches ahead in another."""
    taken = []

    class Watched(fit.Batches):
        def __getitem__(self, number):
            if self.seed is not None:
                taken.append((self.epoch, number))
            return super().__getitem__(number)

    monkeypatch.setattr(fit, "Batches", Watched)
    fit.train(tiny(), ROW, 0, tmp_path, **images)
    per_epoch = -(-len(images["split"][0]) // ROW.batch_size)
    # Keras looks at a first batch, of epoch 0, to build the model.
    assert set(taken) == {(e, n) for e in range(ROW.epochs) for n in range(per_epoch)}
    assert [entry for entry in taken if entry[0] > 0] == [
        (e, n) for e in range(1, ROW.epochs) for n in range(per_epoch)
    ]


def test_the_epoch_with_the_highest_accuracy_is_kept_if_that_is_watched(images, tmp_path):
    row = dataclasses.replace(ROW, monitor="val_accuracy", learning_rate=0.01)
    trained = fit.train(tiny(), row, 0, tmp_path, **images)
    accuracy = trained.history["val_accuracy"]
    assert trained.epoch_kept == np.argmax(accuracy) + 1 != np.argmin(accuracy) + 1


@pytest.mark.slow
def test_patience_counts_on_after_a_stop(images, tmp_path):
    """The learning rate is so large that the loss only rises; with a tiny one, an improvement would be luck.

    Fails if EarlyStopping forgets its patience when a run goes on: it would train patience more epochs.
    """
    row = dataclasses.replace(ROW, learning_rate=3.0, optimizer="sgd", augment=False, patience=3, epochs=50)
    whole = fit.train(tiny(), row, 0, tmp_path / "whole", **images)
    assert whole.stop == "early stopping"
    best = int(np.argmin(whole.history["val_loss"])) + 1
    assert whole.epoch_kept == best and len(whole.seconds) == best + 3
    with pytest.raises(Killed):
        fit.train(tiny(), row, 0, tmp_path / "parts", **images, tell=killed_after(best + 2))
    parts = fit.train(tiny(), row, 0, tmp_path / "parts", **images)
    assert parts.history == whole.history and parts.epoch_kept == best
    # Stopped after its last epoch, before the result was kept: nothing more is trained.
    again = fit.train(tiny(), row, 0, tmp_path / "parts", **images, tell=lambda *_: pytest.fail("trained on"))
    assert again.history == whole.history and again.stop == "early stopping"
    for a, b in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        assert (a == b).all()


def test_the_kept_weights_are_those_of_the_kept_epoch(images, tmp_path):
    """Fails if the last weights are returned instead of the best ones."""
    from kerascifar.training import evaluate

    row = dataclasses.replace(ROW, learning_rate=3.0, optimizer="sgd", patience=2, epochs=50)
    trained = fit.train(tiny(), row, 1, tmp_path, **images)
    logits = evaluate.predict(trained.model, images["images"][images["split"][1]])
    judged = evaluate.score(logits, images["labels"][images["split"][1]])
    assert judged.loss == pytest.approx(min(trained.history["val_loss"]), rel=1e-4)
    assert judged.accuracy == pytest.approx(trained.history["val_accuracy"][trained.epoch_kept - 1])


@pytest.mark.slow
def test_a_callback_goes_on_as_it_was(images, tmp_path):
    """ReduceLROnPlateau waits for two epochs. Fails if it forgets, on continuation, that it has waited for one."""
    row = dataclasses.replace(ROW, learning_rate=1e-6, patience=50, epochs=6)

    def plateau():
        return [keras.callbacks.ReduceLROnPlateau(monitor="val_loss", min_delta=1.0, factor=0.5, patience=2)]

    whole = fit.train(tiny(), row, 0, tmp_path / "whole", **images, callbacks=plateau())
    for epochs in (2, 4, 5):
        with pytest.raises(Killed):
            fit.train(tiny(), row, 0, tmp_path / "parts", **images, callbacks=plateau(), tell=killed_after(epochs))
    parts = fit.train(tiny(), row, 0, tmp_path / "parts", **images, callbacks=plateau())
    assert parts.history == whole.history
    assert whole.history["learning_rate"] == pytest.approx([1e-6] * 3 + [5e-7] * 2 + [2.5e-7])


class StopAtTwo(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.stop_training = True


def test_a_training_that_a_callback_ended_does_not_go_on(images, tmp_path):
    """Fails if only EarlyStopping's own decision is known after a kill between the last epoch and the result."""
    with pytest.raises(Killed):
        fit.train(tiny(), ROW, 7, tmp_path, **images, tell=killed_after(2), callbacks=[StopAtTwo()])
    trained = fit.train(tiny(), ROW, 7, tmp_path, **images, callbacks=[StopAtTwo()])
    assert (len(trained.seconds), trained.stop) == (2, "stopped by a callback")


class Rate(keras.callbacks.Callback):
    """Adds the next step's learning rate to each epoch's values."""

    def on_epoch_end(self, epoch, logs=None):
        logs["rate"] = float(self.model.optimizer.learning_rate)


@pytest.mark.slow
def test_a_schedule_an_average_and_mixup_go_on_after_a_stop(images, tmp_path):
    """In a model with branches. Fails if the learning rate, averages or the weights beside them start anew, or mixup.

    The rates by hand, a fifth of the way after each epoch: the end of the warm-up, then half a cosine in four parts.
    """
    row = dataclasses.replace(
        ROW,
        optimizer="adamw",
        optimizer_options={"weight_decay": 0.1, "ema_momentum": 0.9},
        schedule={"decay": "cosine", "warmup": 0.2, "end": 0.1},
        augmentation={"rotation_range": 15, "crop": 4, "mixup": 0.2},
    )
    whole = fit.train(branching(), row, 7, tmp_path / "whole", **images, callbacks=[Rate()])
    falling = [0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi * part / 4)) / 2) for part in range(5)]
    assert whole.history["rate"] == pytest.approx(falling)
    for epochs in (1, 2, 4):
        with pytest.raises(Killed):
            fit.train(branching(), row, 7, tmp_path / "parts", **images, callbacks=[Rate()], tell=killed_after(epochs))
    parts = fit.train(branching(), row, 7, tmp_path / "parts", **images, callbacks=[Rate()])
    assert parts.history == whole.history and parts.epoch_kept == whole.epoch_kept
    for a, b in zip(parts.model.get_weights(), whole.model.get_weights(), strict=True):
        assert (a == b).all()


def linear():
    return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])


class Steps(keras.callbacks.Callback):
    """Keeps the kernel after each step."""

    def on_train_begin(self, logs=None):
        self.kernels = []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(np.array(self.model.layers[-1].kernel))


@pytest.mark.parametrize("rate, stop", [(0.001, "epoch limit"), (1.0, "early stopping")])
def test_what_is_kept_is_the_average_over_the_steps(images, tmp_path, rate, stop):
    """By hand. Fails if the last weights are kept or judged, or if training goes on with the averages."""
    from kerascifar.training import evaluate

    row = dataclasses.replace(ROW, batch_size=100, augment=False, optimizer="sgd", learning_rate=rate, patience=1)
    averaging = dataclasses.replace(row, optimizer_options={"ema_momentum": 0.7})
    network = linear()
    start, steps, plain = network.get_weights(), Steps(), Steps()
    trained = fit.train(network, averaging, 0, tmp_path / "average", **images, callbacks=[steps])
    average, kept = steps.kernels[0], 4 * trained.epoch_kept  # steps
    for kernel in steps.kernels[1:kept]:
        average = 0.7 * average + 0.3 * kernel
    assert trained.stop == stop and len(steps.kernels) == 4 * len(trained.seconds)
    assert np.allclose(trained.model.layers[-1].kernel, average, rtol=1e-4, atol=1e-6)
    assert not np.allclose(average, steps.kernels[kept - 1], rtol=1e-4, atol=1e-6)
    logits = evaluate.predict(trained.model, images["images"][images["split"][1]])
    loss = evaluate.score(logits, images["labels"][images["split"][1]]).loss
    assert loss == pytest.approx(trained.history["val_loss"][trained.epoch_kept - 1], rel=1e-4)
    network = linear()
    network.set_weights(start)
    fit.train(network, dataclasses.replace(row, epochs=2), 0, tmp_path / "plain", **images, callbacks=[plain])
    assert np.allclose(steps.kernels[:8], plain.kernels[:8], rtol=1e-4, atol=1e-6)  # two epochs


@pytest.mark.parametrize("optimizer, options, decay", [("adamw", {}, 0.004), ("sgd", {"weight_decay": 0.1}, 0.1)])
def test_weight_decay_acts_on_kernels_only(optimizer, options, decay):
    """By hand: without gradients, a kernel shrinks by decay times learning rate, and nothing else changes."""
    layers = keras.layers
    parts = [layers.DepthwiseConv2D(3), layers.BatchNormalization(), layers.PReLU(shared_axes=[1, 2]), layers.Flatten()]
    network = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(3, 1), *parts, layers.Dense(2)])
    fit.compiled(network, Row("D", "model1", optimizer=optimizer, optimizer_options=options, learning_rate=0.5))
    network.optimizer.build(network.trainable_variables)
    network.set_weights([np.ones(w.shape, "float32") for w in network.weights])
    network.optimizer.apply([np.zeros(w.shape, "float32") for w in network.trainable_variables])
    found = {w.path.partition("/")[2]: float(np.mean(w)) for w in network.trainable_variables}
    assert len(found) == 9 and sum("kernel" in name for name in found) == 3
    for name, value in found.items():
        assert value == pytest.approx(1 - 0.5 * decay if "kernel" in name else 1, abs=1e-6)


def test_a_schedule_by_hand():
    """Ten steps: two of warm-up, eight of half a cosine, from 0.5 to a tenth of it. Also where there is only one."""
    row = Row("S", "model1", learning_rate=0.5, schedule={"decay": "cosine", "warmup": 0.2, "end": 0.1})
    optimizer = fit.compiled(linear(), row, steps=10).optimizer
    found = []
    for step in (0, 1, 2, 4, 6, 10, 11):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    quarter = 0.5 * (0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert found == pytest.approx([0, 0.25, 0.5, quarter, 0.275, 0.05, 0.05])
    without = dataclasses.replace(row, schedule={"decay": "cosine"})
    assert float(fit.compiled(linear(), without, steps=1).optimizer.learning_rate) == 0.5


class Remarks(keras.callbacks.Callback):
    """Adds a value of its own to every second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 2 == 0:
            logs["remark"] = math.nan


def test_what_a_callback_adds_neither_ends_a_training_nor_spoils_its_history(images, tmp_path):
    """Fails if a value that is not finite counts as a loss, or if the columns of history.csv differ in length."""
    trained = fit.train(tiny(), dataclasses.replace(ROW, epochs=3), 0, tmp_path, **images, callbacks=[Remarks()])
    assert trained.stop == "epoch limit" and {len(values) for values in trained.history.values()} == {3}


def penalised():
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    penalty = keras.regularizers.L2(0.5)
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, kernel_regularizer=penalty)]
    return keras.Sequential([keras.Input((32, 32, 3)), *layers])


@pytest.mark.slow
def test_the_penalty_is_recorded_separately_and_the_penalised_loss_is_watched_after_a_resume(images, tmp_path):
    """By hand: 0.5 times the sum of the squared weights. Fails if a continued run watches the loss without it."""
    row = dataclasses.replace(ROW, batch_size=1000, augment=False, epochs=4)
    whole = fit.train(penalised(), dataclasses.replace(row, epochs=1), 0, tmp_path / "one", **images)
    history = {name: values[0] for name, values in whole.history.items()}
    after = 0.5 * float((whole.model.get_weights()[0] ** 2).sum())
    assert history["val_penalised_loss"] - history["val_loss"] == pytest.approx(after, rel=1e-4)
    before = 0.5 * float((penalised().get_weights()[0] ** 2).sum())  # the only step begins with the initial weights
    assert history["penalised_loss"] - history["loss"] == pytest.approx(before, rel=1e-4)
    for epochs in (2, 99):
        with contextlib.suppress(Killed):
            parts = fit.train(penalised(), row, 0, tmp_path / "parts", **images, tell=killed_after(epochs))
    assert parts.history == fit.train(penalised(), row, 0, tmp_path / "all", **images).history
    assert parts.epoch_kept == int(np.argmin(parts.history["val_penalised_loss"])) + 1


def test_a_loss_that_is_not_finite_ends_the_run(images, tmp_path):
    row = dataclasses.replace(ROW, learning_rate=100.0, optimizer="sgd", epochs=30, patience=30)
    network = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    network.layers[-1].set_weights([np.full((3072, 10), np.inf, "float32"), np.zeros(10, "float32")])
    trained = fit.train(network, row, 0, tmp_path, **images)
    assert trained.stop == "loss not finite" and len(trained.seconds) == 1


@pytest.mark.slow
def test_a_finished_training_leaves_no_graph_in_memory(images, tmp_path):
    """Fails if TensorFlow's registry of gradients holds on to the optimizer's all-reduce: 10 MB and more a run."""
    from tensorflow.python.framework.func_graph import FuncGraph

    def alive():
        gc.collect()
        return sum(issubclass(type(o), FuncGraph) and o.name == "one_step_on_data" for o in gc.get_objects())

    before = alive()  # other tests may keep models
    for seed in range(2):
        fit.train(tiny(), dataclasses.replace(ROW, epochs=1), seed, tmp_path / str(seed), **images)
    keras.backend.clear_session()
    assert alive() <= before


def pytorch_step(optimizer, gradients, rate=0.01):
    """PyTorch's update rules as its documentation gives them, in float64, one weight: its values after each step."""
    w, m, v, values = 1.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        if optimizer == "adam":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w -= rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
        elif optimizer == "rmsprop":
            v = 0.99 * v + 0.01 * g * g
            w -= rate * g / (v**0.5 + 1e-8)
        else:
            m = 0.9 * m + g
            w -= rate * m
        values.append(w)
    return values


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("adam", {"epsilon": 1e-8}),
        # Keras adds epsilon inside the square root, PyTorch outside: (1e-8)² inside. 1e-8 inside would act like 1e-4.
        ("rmsprop", {"rho": 0.99, "epsilon": 1e-16}),
        ("sgd", {"momentum": 0.9}),
    ],
)
def test_pytorchs_optimizers_are_options_of_a_row(optimizer, options):
    """Small and large gradients. Fails with Keras's defaults, and with RMSprop's epsilon 1e-8.

    Not equal to the last digit: PyTorch adds Adam's epsilon after correcting the bias, and RMSprop's outside the root.
    """
    gradients = [1e-4, -2e-4, 3e-4, 0.5, -1e-4]
    row = Row("M", "model1", optimizer=optimizer, optimizer_options=options, learning_rate=0.01)
    network = fit.compiled(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)]), row)
    network.set_weights([np.array([[1.0]], "float32")])
    network.optimizer.build(network.trainable_variables)
    found = []
    for gradient in gradients:
        network.optimizer.apply([np.array([[gradient]], "float32")])
        found.append(float(np.asarray(network.trainable_variables[0])[0, 0]))
    assert found == pytest.approx(pytorch_step(optimizer, gradients), abs=1.2e-4)


def test_the_precision_of_later_models_stays_as_it_was():
    """Fails if it is read after Keras has reset it."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert fit.fresh(ROW, 0, lambda name, **options: tiny()).dtype_policy.name == "float32"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)


INHERITED = vars(keras.callbacks.Callback()).keys()  # of an instance


class Own(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.best, self.losses, self.by_name = float("nan"), [0.5, float("nan")], {"a": [1, float("nan")]}
        self.by_number, self.pair, self.text = {0: 0.5}, (1, 2), "a"


def test_attributes_that_json_keeps_are_kept_and_no_others():
    """Fails if NaN, which does not equal itself, is lost; or if a tuple or a number as a key comes back as another."""
    state = {name: repr(value) for name, value in fit._state(Own()).items() if name in vars(Own()).keys() - INHERITED}
    assert state == {"best": "nan", "losses": "[0.5, nan]", "by_name": "{'a': [1, nan]}"}
