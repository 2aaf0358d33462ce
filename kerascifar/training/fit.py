"""Trains one model: Keras's `fit` with EarlyStopping, a checkpoint after each epoch, and exact continuation.

A run that was stopped goes on as the same run: order, augmentation and dropout are functions of (seed, epoch,
position), the rest is in the checkpoint, and EarlyStopping's state is found by showing it the history again.
"""

import contextlib
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
from kerascifar.training.rows import Row

VALIDATION_BATCH = 500  # divides 10,000: no odd batch at the end to compile a second graph for
OPTIMIZERS = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop, "sgd": keras.optimizers.SGD}

Tell = Callable[[dict[str, float], int, float, int], None]


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        model: with the weights of `epoch_kept`.
        history: loss, accuracy, val_loss, val_accuracy: one value per epoch; accuracies in 0..1.
        seconds: per epoch, validation included.
        stop: "early stopping", "epoch limit" or "loss not finite".
        epoch_kept: the epoch of the best `monitor`, from 1.
        environments: those that the epochs were trained in, in their order, each once.
    """

    model: keras.Sequential
    history: dict[str, list[float]]
    seconds: list[float]
    stop: str
    epoch_kept: int
    environments: list[dict[str, Any]]


@contextlib.contextmanager
def _graphs_forgotten() -> Iterator[None]:
    """Lets TensorFlow free the graphs of what was trained inside.

    It registers the gradient of the optimizer's all-reduce for the rest of the process, and with it the whole graph:
    some 10 MB a run. A TensorFlow without this registry may keep them; nothing else changes.
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


def fresh(row: Row, seed: int, build: Callable[..., keras.Sequential]) -> keras.Sequential:
    """A row's new model, initialised from the seed, in the row's precision.

    Keras's layer names start anew, so that the same model has the same configuration in every run.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)  # some layers draw a seed when they are built
    keras.config.set_dtype_policy(row.precision)
    return build(row.model, **row.model_options)


def without_optimizer(network: keras.Sequential) -> keras.Sequential:
    """A copy with the same weights for looking and predicting; `clone_model` would keep the optimizer."""
    copy = keras.Sequential.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    return copy


def compiled(network: keras.Sequential, row: Row) -> keras.Sequential:
    """`network`, compiled with the row's optimizer, loss and metrics."""
    network.compile(
        optimizer=OPTIMIZERS[row.optimizer](row.learning_rate, **row.optimizer_options),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network


class _EpochStart(keras.callbacks.Callback):
    """Sets all randomness of an epoch from (seed, epoch)."""

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
    """After each epoch: times it, writes a checkpoint, tells the caller, stops at a loss that is not finite.

    Must stand behind EarlyStopping in the list of callbacks: when training starts it restores that callback's state,
    and the checkpoint holds the weights that it keeps.
    """

    def __init__(
        self,
        stopping: keras.callbacks.EarlyStopping,
        folder: Path,
        start: checkpoint.Checkpoint | None,
        environment: Mapping[str, Any],
        tell: Tell,
    ) -> None:
        super().__init__()
        self.stopping, self.folder, self.tell, self.start = stopping, folder, tell, start
        self.history: dict[str, list[float]] = {k: list(v) for k, v in start.history.items()} if start else {}
        self.seconds: list[float] = list(start.seconds) if start else []
        self.environments: list[dict[str, Any]] = list(start.environments) if start else []
        self.environment = dict(environment)

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.start:
            _replay(self.stopping, self.start)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)
        self.seconds.append(time.perf_counter() - self.began)
        if self.environment not in self.environments:
            self.environments.append(self.environment)
        weights = self.model.get_weights()
        state = checkpoint.Checkpoint(
            self.history,
            self.seconds,
            weights,
            [np.asarray(v) for v in self.model.optimizer.variables],
            weights if self.stopping.best_weights is None else self.stopping.best_weights,
            self.environments,
        )
        checkpoint.save(self.folder, state)
        if not all(math.isfinite(value) for value in values.values()):
            self.model.stop_training = True
        self.tell(values, epoch + 1, self.seconds[-1], self.stopping.wait)


def _replay(stopping: keras.callbacks.EarlyStopping, start: checkpoint.Checkpoint) -> bool:
    """Shows EarlyStopping the history again; returns whether training was over. The model's weights stay as they are.

    While it looks, the model holds the best weights, so that what the callback copies at each better epoch is what
    it had copied then.
    """
    model = stopping.model
    model.set_weights(start.best_weights)
    model.stop_training = False
    stopping.on_train_begin()
    for epoch in range(start.epoch):
        stopping.on_epoch_end(epoch, {name: values[epoch] for name, values in start.history.items()})
    over, model.stop_training = bool(model.stop_training), False
    model.set_weights(start.weights)
    finite = all(math.isfinite(values[-1]) for values in start.history.values())
    return over or not finite


def train(
    network: keras.Sequential,
    row: Row,
    seed: int,
    images: np.ndarray,
    labels: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
    folder: Path,
    *,
    tell: Tell = lambda values, epoch, seconds, wait: None,
    say: Callable[[str], None] = print,
    environment: Mapping[str, Any] = MappingProxyType({}),
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Trained:
    """Trains `network` as `row` says, going on from the checkpoint in `folder` where there is one.

    Args:
        network: new, e.g. from `build(row, seed)`; any classifier of ten classes that ends in logits.
        row: how to train; `row.model` is not looked at.
        seed: fixes order, augmentation and dropout (initialisation is the builder's).
        images: uint8 (n, 32, 32, 3). labels: int64 (n,).
        split: indices of the training and of the validation images.
        folder: for checkpoints; the caller removes them when it has kept the result.
        tell: called after each epoch with its metrics, its number from 1, its seconds, and the epochs since the best.
        say: called with what a user should know, e.g. a damaged checkpoint.
        environment: what this process trains with, as JSON holds it; kept beside the epochs.
        callbacks: to look on, e.g. Keras's TensorBoard; called before an epoch is kept.
    Returns:
        The model with the kept weights, and how it came about.
    """
    compiled(network, row)
    network.optimizer.build(network.trainable_variables)
    on_gpu = not device.prepare().is_cpu
    batches = Batches(images, labels, split[0], row.batch_size, seed, row.augmentation if row.augment else None, on_gpu)
    validation = Batches(images, labels, split[1], VALIDATION_BATCH)
    stopping = keras.callbacks.EarlyStopping(
        monitor=row.monitor,
        mode="min" if row.monitor == "val_loss" else "max",  # said, as Keras's "auto" needs metrics that fit has built
        patience=row.patience,
        restore_best_weights=True,
    )
    stopping.set_model(network)
    start = checkpoint.load(folder, say)
    if start:
        _set(network.weights, start.weights)
        _set(network.optimizer.variables, start.optimizer)
        say(f"resumed after epoch {start.epoch}.")
        if others := [key for key, value in environment.items() if start.environments[-1].get(key) != value]:
            say(
                f"started in a different environment ({', '.join(others)}); results may differ, and the record says so."
            )
    keep = _Keep(stopping, folder, start, environment, tell)
    over = start is not None and (_replay(stopping, start) or start.epoch >= row.epochs)
    if over:
        network.set_weights(stopping.best_weights)
    else:
        with _graphs_forgotten():
            network.fit(
                batches.feed(),
                validation_data=validation.feed(),
                initial_epoch=start.epoch if start else 0,
                epochs=row.epochs,
                callbacks=[_EpochStart(batches, seed), *callbacks, stopping, keep],
                shuffle=False,  # Batches has its own order
                verbose=0,
            )
    if not all(math.isfinite(loss) for loss in keep.history["loss"] + keep.history["val_loss"]):
        stop = "loss not finite"
    else:
        stop = "early stopping" if stopping.stopped_epoch > 0 else "epoch limit"
    return Trained(network, keep.history, keep.seconds, stop, stopping.best_epoch + 1, keep.environments)


def _set(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
