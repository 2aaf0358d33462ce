"""Trains one model: Keras's `fit` with EarlyStopping, a checkpoint after each epoch, and exact continuation.

A resumed run continues exactly: order, augmentation and dropout depend only on (seed, epoch, position), the checkpoint
holds everything else, and EarlyStopping recovers its state by replaying the history.
"""

import contextlib
import inspect
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from kerascifar.training import checkpoint, device
from kerascifar.training.batches import DROPOUT, Batches, random_stream
from kerascifar.training.rows import OPTIMIZERS, Row

VALIDATION_BATCH = 500  # divides 10,000, so that no smaller last batch needs a second graph
UNPENALISED = "crossentropy"  # name of the metric that is the loss without penalties
LOSSES = ("loss", "val_loss", "penalised_loss", "val_penalised_loss")

Tell = Callable[[dict[str, float], int, float, int], None]


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        model: the trained one, with the weights of `epoch_kept` and without its optimizer.
        history: one value per epoch for loss, accuracy, val_loss and val_accuracy; accuracies in 0..1. If the model has
            regularisation penalties, also for penalised_loss and val_penalised_loss, which include them.
        seconds: duration of each epoch, including validation.
        stop: "early stopping", "epoch limit", "stopped by a callback" or "loss not finite".
        epoch_kept: the epoch with the best monitored value, counted from 1.
        environments: the distinct environments of the epochs, in order.
    """

    model: keras.Model
    history: dict[str, list[float]]
    seconds: list[float]
    stop: str
    epoch_kept: int
    environments: list[dict[str, Any]]


@contextlib.contextmanager
def _graphs_forgotten() -> Iterator[None]:
    """Lets TensorFlow free the graphs of models that are trained inside this context.

    TensorFlow registers the gradient of the optimizer's all-reduce for the rest of the process, which keeps the whole
    graph alive: about 10 MB per run. On versions without this registry, nothing is freed and nothing else changes.
    """
    registry: dict[str, Any] = {}
    if keras.backend.backend() == "tensorflow":
        with contextlib.suppress(ImportError, AttributeError):
            from tensorflow.python.framework.ops import gradient_registry

            registry = gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in [name for name in registry if name.startswith("CustomGradient-") and name not in before]:
            del registry[name]


def fresh(row: Row, seed: int, build: Callable[..., keras.Model], free_memory: bool = False) -> keras.Model:
    """Builds a row's model, initialised from the seed, in the row's precision.

    Keras's layer names start afresh, so that a model has the same configuration in every run. The precision of models
    that are built later stays as it was.

    Args:
        free_memory: of earlier models, which takes a third of a second.
    """
    before = keras.config.dtype_policy()  # `clear_session` resets it
    keras.utils.clear_session(free_memory)
    keras.utils.set_random_seed(seed)  # some layers draw a seed when built
    keras.config.set_dtype_policy(row.precision)
    try:
        return build(row.model, **row.model_options)
    finally:
        keras.config.set_dtype_policy(before)


def compiled(network: keras.Model, row: Row, steps: int = 1, eager: bool = False) -> keras.Model:
    """Compiles `network` with the row's optimizer, loss and metrics, and returns it.

    Args:
        steps: of the whole training, over which the learning rate follows the row's schedule.
    """
    metrics: list[Any] = ["accuracy"]
    network(np.zeros((1, *network.input_shape[1:]), "float32"), training=False)
    crossentropy = "CategoricalCrossentropy" if row.mixes else "SparseCategoricalCrossentropy"
    if network.losses:  # Keras adds these penalties to its loss: the loss without them becomes a metric
        metrics.append(getattr(keras.metrics, crossentropy)(from_logits=True, name=UNPENALISED))
    rate, options = _learning_rate(row, steps), row.optimizer_options
    optimizer = getattr(keras.optimizers, OPTIMIZERS[row.optimizer])(rate, use_ema=_averages(row), **options)
    if optimizer.weight_decay is not None:
        optimizer.exclude_from_weight_decay([v for v in network.trainable_variables if "kernel" not in v.name])
    network.compile(
        optimizer=optimizer,
        loss=getattr(keras.losses, crossentropy)(from_logits=True),
        metrics=metrics,
        run_eagerly=eager,
    )
    return network


def _averages(row: Row) -> bool:
    """Whether the optimizer averages the weights."""
    return "ema_momentum" in row.optimizer_options


def _learning_rate(row: Row, steps: int) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    if not row.schedule:
        return row.learning_rate
    warmup, end = round(row.schedule.get("warmup", 0) * steps), row.schedule.get("end", 0.0)
    first, target = (0.0, row.learning_rate) if warmup else (row.learning_rate, None)
    decay = keras.optimizers.schedules.CosineDecay
    return decay(first, max(steps - warmup, 1), alpha=end, warmup_target=target, warmup_steps=warmup)


def _losses_apart(logs: Mapping[str, Any]) -> dict[str, float]:
    """An epoch's metrics; where the loss has a penalty, `loss` is without and `penalised_loss` with it."""
    values = {name: float(value) for name, value in logs.items()}
    for split in ("", "val_"):
        if f"{split}{UNPENALISED}" in values:
            values[f"{split}penalised_loss"] = values[f"{split}loss"]
            values[f"{split}loss"] = values.pop(f"{split}{UNPENALISED}")
    return values


def _finite(history: Mapping[str, Sequence[float]]) -> bool:
    """Whether all losses are finite."""
    return all(math.isfinite(value) for name in LOSSES for value in history.get(name, ()))


def _state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The callback's attributes that are numbers, or lists or tables of these, with texts as keys.

    Not texts, as those that name a place may differ where the training resumes; nor the arguments of Keras's own
    callbacks, as ReduceLROnPlateau turns the sign of one in its first epoch.
    """
    keras_own = [kind for kind in type(callback).__mro__ if kind.__module__.startswith("keras.")]
    arguments = {name for kind in keras_own for name in inspect.signature(kind).parameters}
    state = {}
    for name in set(vars(callback)) - arguments:
        value = vars(callback)[name]
        with contextlib.suppress(TypeError, ValueError, AttributeError):
            plain = json.loads(json.dumps(value, default=lambda number: number.item()))
            if _is_equal(plain, value) and not isinstance(value, str):
                state[name] = plain
    return state


def _is_equal(plain: Any, value: Any) -> bool:
    """Whether a value is the same after JSON has kept it; NaN equals itself."""
    if isinstance(plain, list) and isinstance(value, list):
        return len(plain) == len(value) and all(map(_is_equal, plain, value))
    if isinstance(plain, dict) and isinstance(value, dict):
        return plain.keys() == value.keys() and all(_is_equal(plain[key], value[key]) for key in plain)
    return bool(plain == value or (plain != plain and value != value))


class _EpochStart(keras.callbacks.Callback):
    """Seeds all randomness of an epoch from (seed, epoch)."""

    def __init__(self, batches: Batches, seed: int) -> None:
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.batches.epoch = epoch
        weights = {id(w) for w in self.model.weights}
        states = [v for v in self.model.variables if id(v) not in weights and "seed_generator" in v.path]
        for place, state in enumerate(states):
            (value,) = random_stream(self.seed, DROPOUT, epoch, place).generate_state(1)
            state.assign(np.array([value >> 1, 0], dtype=state.dtype))  # >> 1: the state may be a signed integer
        if keras.backend.backend() == "torch":  # its Dropout draws from PyTorch's global generator
            import torch

            torch.manual_seed(int(random_stream(self.seed, DROPOUT, epoch).generate_state(1)[0]))


class _Keep(keras.callbacks.Callback):
    """After each epoch, times it, writes a checkpoint, notifies the caller, and stops if a loss is not finite.

    Must come last in the list of callbacks: it restores the others' state when training starts, and the checkpoint
    holds that state and the weights that EarlyStopping keeps.
    """

    def __init__(
        self,
        stopping: keras.callbacks.EarlyStopping,
        others: Sequence[keras.callbacks.Callback],
        folder: Path,
        *,
        start: checkpoint.Checkpoint | None,
        environment: Mapping[str, Any],
        tell: Tell,
    ) -> None:
        super().__init__()
        self.stopping, self.others, self.folder, self.tell, self.start = stopping, others, folder, tell, start
        self.history: dict[str, list[float]] = {k: list(v) for k, v in start.history.items()} if start else {}
        self.seconds: list[float] = list(start.seconds) if start else []
        self.environments: list[dict[str, Any]] = list(start.environments) if start else []
        self.environment = dict(environment)

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.start:
            _replay(self.stopping, self.start)
            for callback, state in zip(self.others, self.start.callbacks, strict=False):
                vars(callback).update(state)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        values = _losses_apart(logs or {})
        for name in self.history or values:  # as in the first epoch: a callback may add a value to some epochs only
            self.history.setdefault(name, []).append(values.get(name, math.nan))
        self.seconds.append(time.perf_counter() - self.began)
        if self.environment not in self.environments:
            self.environments.append(self.environment)
        if not _finite(self.history):
            self.model.stop_training = True
        weights = self.model.get_weights()
        state = checkpoint.Checkpoint(
            self.history,
            self.seconds,
            weights,
            [np.asarray(v) for v in self.model.optimizer.variables],
            weights if self.stopping.best_weights is None else self.stopping.best_weights,
            self.environments,
            [_state(callback) for callback in self.others],
            stopped=bool(self.model.stop_training),
        )
        checkpoint.save(self.folder, state)
        self.tell(values, epoch + 1, self.seconds[-1], self.stopping.wait)


def _replay(stopping: keras.callbacks.EarlyStopping, start: checkpoint.Checkpoint) -> None:
    """Replays the history to EarlyStopping, which brings it into its state after the checkpoint's last epoch.

    During the replay the model holds the best weights, so that the callback copies the same weights as it did in the
    original training. Afterwards the model has the weights of the checkpoint's last epoch.
    """
    model = stopping.model
    model.set_weights(start.best_weights)
    model.stop_training = False
    stopping.on_train_begin()
    for epoch in range(start.epoch):
        # Written after the loss without penalty, the penalised one takes its place: EarlyStopping watches Keras's loss.
        logs = {name.replace("penalised_", ""): values[epoch] for name, values in start.history.items()}
        stopping.on_epoch_end(epoch, logs)
    model.stop_training = False
    model.set_weights(start.weights)


def train(
    network: keras.Model,
    row: Row,
    seed: int,
    folder: Path,
    *,
    images: np.ndarray,
    labels: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
    tell: Tell = lambda values, epoch, seconds, wait: None,
    say: Callable[[str], None] = print,
    environment: Mapping[str, Any] = MappingProxyType({}),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    trial: bool = False,
) -> Trained:
    """Trains `network` as `row` says. Resumes from the checkpoint in `folder` if there is one.

    Args:
        network: a new model, e.g. from `fresh`; any ten-class classifier that ends in logits. It is trained itself, and
            returned without its optimizer.
        row: how to train; `row.model` is ignored.
        seed: fixes order, augmentation and dropout. The initial weights are those of `network`.
        folder: for checkpoints. The caller removes them once it has saved the result.
        images: uint8 (n, 32, 32, 3).
        labels: int64 (n,).
        split: indices of the training images and of the validation images.
        tell: called after each epoch with its metrics, its number (from 1), its duration in seconds, and the number of
            epochs since the best one.
        say: called with messages for the user, e.g. about a damaged checkpoint.
        environment: the environment of this process, as JSON values; saved with the epochs.
        callbacks: Keras callbacks, e.g. TensorBoard; called before the checkpoint is written, which holds their
            attributes that are numbers, or lists or tables of these.
        trial: hide from whatever observes every training by wrapping Keras's `fit`, as MLflow does, and start sooner,
            without compiling; JAX would compile each operation separately, which gains nothing.
    Returns:
        The model with the weights of the kept epoch, and its history.
    """
    on_gpu, augmentation = not device.prepare().is_cpu, row.augmentation if row.augment else None
    batches = Batches(
        images,
        labels,
        split[0],
        row.batch_size,
        seed=seed,
        augmentation=augmentation,
        on_gpu=on_gpu,
        one_hot=row.mixes,
    )
    validation = Batches(images, labels, split[1], VALIDATION_BATCH, one_hot=row.mixes)
    compiled(network, row, row.epochs * len(batches), eager=trial and keras.backend.backend() != "jax")
    network.optimizer.build(network.trainable_variables)
    stopping = _early_stopping(row)
    stopping.set_model(network)
    start = _restore(network, folder, environment, say)
    others = list(callbacks)
    if _averages(row):
        # First, so that all others see the averages. Whether these are in the model is part of its state.
        others.insert(0, keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    keep = _Keep(stopping, others, folder, start=start, environment=environment, tell=tell)
    if start and (start.stopped or start.epoch >= row.epochs):
        _replay(stopping, start)
        network.set_weights(start.best_weights)
    else:
        fit = inspect.unwrap(type(network).fit) if trial else type(network).fit
        with _graphs_forgotten():
            fit(
                network,
                batches.feed(),
                validation_data=validation.feed(),
                initial_epoch=start.epoch if start else 0,
                epochs=row.epochs,
                callbacks=[_EpochStart(batches, seed), *others, stopping, keep],
                shuffle=False,  # Batches has its own order
                verbose=0,
            )
    if not _finite(keep.history):
        stop = "loss not finite"
    elif stopping.stopped_epoch > 0:
        stop = "early stopping"
    else:
        stop = "epoch limit" if len(keep.seconds) >= row.epochs else "stopped by a callback"
    network.optimizer, network.compiled = None, False  # neither is saved with the model
    return Trained(network, keep.history, keep.seconds, stop, stopping.best_epoch + 1, keep.environments)


def _early_stopping(row: Row) -> keras.callbacks.EarlyStopping:
    return keras.callbacks.EarlyStopping(
        monitor=row.monitor,
        mode="min" if row.monitor == "val_loss" else "max",  # explicit: Keras's "auto" needs built metrics
        patience=row.patience,
        restore_best_weights=True,
    )


def _restore(
    network: keras.Model, folder: Path, environment: Mapping[str, Any], say: Callable[[str], None]
) -> checkpoint.Checkpoint | None:
    """Loads the weights and the optimizer's state of the checkpoint in `folder`, if there is one, into `network`."""
    start = checkpoint.load(folder, say)
    if start is None:
        return None
    for variables, values in ((network.weights, start.weights), (network.optimizer.variables, start.optimizer)):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    say(f"resuming after epoch {start.epoch}.")
    if other := [key for key, value in environment.items() if start.environments[-1].get(key) != value]:
        say(f"started in a different environment ({', '.join(other)}); results may differ. The record lists both.")
    return start
