"""The public API: load, build, train, evaluate, focus_maps. Other modules may change without notice.

Import it before Keras or TensorFlow: it then keeps TensorFlow's start-up messages out of your program's output.

>>> from kerascifar.api import Row, load, train
>>> dataset = load()                                                              # doctest: +SKIP
>>> record = train(my_model, Row("Mine", "my_model", epochs=5), dataset)[0]       # doctest: +SKIP
>>> record.results["validation"]["accuracy"]                                      # doctest: +SKIP
0.613
"""

import contextlib
import copy
import dataclasses
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rich.console

from kerascifar.common.load_keras import load_keras

load_keras()  # before anything imports Keras, which would print TensorFlow's start-up messages

# ruff: noqa: E402
import keras

from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import check_settings
from kerascifar.common.terminal import Console
from kerascifar.focus import methods
from kerascifar.focus.methods import METHODS
from kerascifar.images import cifar10
from kerascifar.images.cifar10 import Dataset, load
from kerascifar.output import ornaments
from kerascifar.runs import experiment, gate, program
from kerascifar.runs.one_run import Callbacks
from kerascifar.runs.records import OWN, Record
from kerascifar.training import models
from kerascifar.training.evaluate import Evaluation
from kerascifar.training.evaluate import validation as _validation
from kerascifar.training.rows import Experiment, Row, Run

__all__ = [
    "METHODS",
    "Dataset",
    "Evaluation",
    "Record",
    "Row",
    "UserError",
    "build",
    "evaluate",
    "focus_maps",
    "load",
    "train",
]


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Keeps the program's settings out of a call, and leaves them as they were: Keras's, NumPy's, random generators."""
    from keras.src.backend.common import global_state  # no public function gives it back

    check_settings()
    trackers = {name: value for name, value in vars(global_state).items() if isinstance(value, threading.local)}
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    tensorflow, drawn = None, {}
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.eager import context

        tensorflow = context.context()
        drawn = {name: vars(tensorflow)[name] for name in ("_seed", "_rng") if name in vars(tensorflow)}
    try:
        with np.errstate(all="warn", under="ignore"):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        vars(global_state).update(trackers)
        if tensorflow is not None:
            vars(tensorflow).update(drawn)


def _begun_anew(callbacks: "list[keras.callbacks.Callback]") -> Callbacks:
    """Gives each run the callbacks with the attributes that they have now: no run depends on an earlier one."""

    def copied(attributes: dict[str, Any]) -> dict[str, Any]:
        kinds = (list, dict, set, np.ndarray)
        return {name: copy.deepcopy(it) if isinstance(it, kinds) else it for name, it in attributes.items()}

    given, used = [copied(vars(callback)) for callback in callbacks], False

    def begun(run: Run, dataset: Dataset) -> "list[keras.callbacks.Callback]":
        nonlocal used
        for callback, attributes in zip(callbacks, given, strict=True) if used else ():
            vars(callback).clear()
            vars(callback).update(copied(attributes))
        used = True
        return callbacks

    return begun


def _check_dataset(dataset: Dataset) -> None:
    if not isinstance(dataset, Dataset):
        raise UserError(f"dataset is a {type(dataset).__name__}.\nExpected the result of load().")


@_apart()
def train(
    model: "str | keras.Model | Callable[[], keras.Model]",
    row: Row,
    dataset: Dataset,
    seeds: Iterable[int] = (0,),
    *,
    runs: str | os.PathLike[str] = "runs",
    console: rich.console.Console | None = None,
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] = (),
) -> list[Record]:
    """Trains a model as a row says, once per seed, until early stopping. Finished runs are not trained again.

    A run is finished if one with the same row, seed, images, layers, code of the model and callbacks, and initial
    weights is in `runs`. Interrupted runs resume where they stopped. `python -m kerascifar compare` and `report` find
    all runs in `runs`. They cannot be published; their records hold your code.

    Args:
        model: the name of a builder in `kerascifar.training.models`; a function that builds a model; or a model,
            which is copied with new weights for each seed, so it may not hold frozen ones. It takes 32×32 RGB images in
            0..1 and ends in ten logits. Before the first epoch, one step is tried on a few images, up to loading the
            saved model.
        row: how to train. Its `name` names the runs, and its `model` appears in tables. If `model` is a builder's name,
            it takes the place of the row's.
        dataset: as returned by `load`, unchanged.
        seeds: one run per seed.
        runs: the folder for all runs.
        console: where to show progress; standard output by default.
        callbacks: Keras callbacks. Each seed starts with the attributes that they have at this call. When a run
            resumes, attributes that are numbers, or lists or dicts (with strings as keys) of numbers, are restored.
    Returns:
        The records of the finished runs, in the order of `seeds`; a repeated seed counts once. A run that another
        process is training is left out, with a message. If a loss became NaN or infinite, `record.diverged` is true.
    Raises:
        UserError: the model or row cannot be trained; the text says why.

    >>> from kerascifar.api import Row
    >>> Row("Mine", "my_model", learning_rate=0.01).batch_size
    512
    """
    if not isinstance(row, Row):
        raise UserError(f'row is {row!r}.\nExpected a Row, such as Row("Mine", "my_model", epochs=5).')
    seeds = _checked(seeds)
    _check_dataset(dataset)
    if not dataset.is_unchanged:
        raise UserError(
            "dataset has other images or labels than load() returned, but the same fingerprint.\nExpected the result "
            "of load(), unchanged: a record names its images by their fingerprint."
        )
    if not isinstance(runs, str | os.PathLike) or (os.path.exists(runs) and not os.path.isdir(runs)):
        raise UserError(f"runs is {runs!r}.\nExpected the path of a folder, such as 'runs'.")
    if not isinstance(console, rich.console.Console | None):
        raise UserError(
            f"console is {console!r}.\nExpected a rich.console.Console; to show nothing, Console(quiet=True)."
        )
    if not isinstance(model, str) and not callable(model):
        raise UserError(
            f"model is {model!r}.\nExpected a Keras model, a function that builds one, or a builder's name."
        )
    if isinstance(model, keras.Model):
        with gate.refused(row):
            gate.check_copy(model, dataset)
    if isinstance(model, str):
        row, build, own = dataclasses.replace(row, model=model), models.build, []
    else:
        build, own = partial(_built_by_the_user, model), [model]
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else _as_list("callbacks", callbacks)
    if wrong := [each for each in callbacks if not isinstance(each, keras.callbacks.Callback)]:
        raise UserError(
            f"callbacks has {wrong[0]!r}.\nExpected Keras callbacks, such as keras.callbacks.CSVLogger(path)."
        )
    return experiment.train_runs(
        Experiment(OWN, (row,)).runs(seeds=seeds),
        dataset,
        Path(runs),
        console or Console(),
        build=build,
        callbacks=_begun_anew(callbacks),
        ornaments=ornaments.left_out,
        program=program.source(*own, *callbacks),
    )


def _as_list(name: str, values: Any, expected: str = "Keras callbacks in a list") -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise UserError(f"{name} is {values!r}.\nExpected {expected}.") from None


def _checked(seeds: Iterable[int]) -> list[int]:
    """The seeds as a list; `Experiment.runs` checks each."""
    chosen = _as_list("seeds", seeds, "whole numbers in a list, such as [0, 1, 2]")
    if not chosen:
        raise UserError("seeds is empty.\nExpected at least one whole number, such as [0].")
    return chosen


def _built_by_the_user(model: "keras.Model | Callable[[], keras.Model]", name: str, **options: Any) -> keras.Model:
    """A new model from the user's function, or with the layers of the user's model; `name` only names it in tables."""
    if wrong := [key for key in options if key not in models.SHARED_OPTIONS]:
        raise UserError(
            f"model_options: {wrong[0]} is not an option of every model.\nGive it to your own function instead: "
            f"functools.partial(build, {wrong[0]}={options[wrong[0]]!r})."
        )
    network = keras.models.clone_model(model) if isinstance(model, keras.Model) else model()
    if not isinstance(network, keras.Model):
        raise UserError(f"the function that builds the model returned {network!r}.\nExpected a Keras model.")
    return models.adapt(network, **options)


@_apart()
def evaluate(model: keras.Model, dataset: Dataset) -> Evaluation:
    """Judges a model on the validation images, 10,000 of CIFAR-10. Only `train` reads the test images, once per run.

    Args:
        model: takes 32×32 RGB images in 0..1; its output is logits, (n, 10).
        dataset: as returned by `load`.
    Returns:
        Loss in nats, accuracy from 0 to 1, and logits, float32 (n, 10).
    Raises:
        UserError: the model does not take 32×32 RGB images, or its outputs are not ten logits.
    """
    _check_dataset(dataset)
    if not isinstance(model, keras.Model):
        raise UserError(f"model is {model!r}.\nExpected a Keras model, such as keras.models.load_model(path).")
    models.check_form(model)
    found = _validation(model, dataset, cifar10.split(dataset.labels)[1])
    methods.check_logits(found.logits)
    return found


focus_maps = _apart()(methods.focus_maps)
build = models.build
