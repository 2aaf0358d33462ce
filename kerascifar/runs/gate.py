"""Before the first epoch, tries everything that the end of a run needs, with the real model.

One step on a few images goes all the way from training to the record and the loaded model, in the folder of the runs.
Otherwise, a model that cannot be saved, loaded or evaluated would be discovered only after hours of training.
"""

import contextlib
import dataclasses
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import keras
import numpy as np

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import one_run, records
from kerascifar.runs.one_run import LOST, Builder, Work
from kerascifar.training import evaluate, fit, models
from kerascifar.training.rows import Row, Run

IMAGES = 8
NAMED = 5  # layers in a message
Ornaments = Callable[[keras.Model, Path], Iterable[str]]  # see `rehearse`


def kinds(network: keras.Model) -> frozenset[str]:
    """The kinds and options of a chain's layers, without names and sizes; for another model, its whole configuration.

    A model need not be rehearsed if another one with all its kinds was.
    """
    if not isinstance(network, keras.Sequential):
        return frozenset([json.dumps(network.get_config())])
    texts = (json.dumps([type(layer).__name__, layer.get_config()], default=repr) for layer in network.layers)
    return frozenset(re.sub(r'"name": "[^"]*"|\d[\d.e-]*', "", text) for text in texts)


def try_out(waiting: Iterable[tuple[Run, frozenset[str]]], work: Work, ornaments: Ornaments | None) -> list[str]:
    """Tries the models before the first epoch, except for what another model has already shown.

    Args:
        waiting: the runs, with the `kinds` of their models' layers.
        ornaments: see `rehearse`.
    Returns:
        The ornaments' lines.
    Raises:
        UserError: a run would not end with a result, or with a wrong one.
    """
    checked: set[tuple[str, str, frozenset[str]]] = set()
    rehearsed: list[tuple[tuple[str, ...], frozenset[str]]] = []
    lines: list[str] = []
    for run, of_run in sorted(waiting, key=lambda pair: -len(pair[1])):
        row = run.row
        options = json.dumps((row.optimizer_options, row.schedule, row.mixes), sort_keys=True)
        how = (row.precision, row.optimizer, options)
        known = [other for other, of_other in rehearsed if of_run <= of_other]
        with refused(row):
            if (row.model, row.precision, of_run) not in checked:
                checked.add((row.model, row.precision, of_run))
                check_model(row, work.build, work.dataset)
            if how not in known:
                rehearsed.append((how, of_run))
                lines += rehearse(run, work, None if known else ornaments)
    return lines


@contextlib.contextmanager
def refused(row: Row) -> Iterator[None]:
    """Turns anything that a user's model may raise into a `UserError` that names the row."""
    try:
        yield
    except OSError:  # of the folder of the runs
        raise
    except Exception as error:
        raise UserError(f'Row "{row.name}": {_problem(error)}\nNothing was trained and no file was changed.') from (
            None if isinstance(error, UserError) else error
        )


def _problem(error: Exception) -> str:
    """What is wrong with a model that raised this, and what to do."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, Warning):
        return (
            f"a library warns ({type(error).__name__}: {str(error)[:300]}). This program turns warnings into errors.\n"
            "Start the training within warnings.catch_warnings() and warnings.simplefilter('default'), or start the "
            "program without -W error."
        )
    cause = str(error).rpartition("Exception encountered: ")[2]  # Keras puts whole configurations before it
    cause = re.sub(r"\x1b\[\d+m|(?s:Arguments received by .*)", "", cause)  # and colours and tensors around it
    cause = " ".join(f"{type(error).__name__}: {cause}".split())[:500]
    return (
        f"a trial, from building the model to loading it from a file, failed ({cause}).\nExpected a model that Keras "
        "can build, train and save, and load without executing code from the file. A layer of your own needs a "
        "get_config and the decorator @keras.saving.register_keras_serializable(); a Lambda cannot be loaded."
    )


def check_copy(model: keras.Model, dataset: cifar10.Dataset) -> None:
    """Raises a `UserError` unless Keras's copy of `model` trains the same weights and, with them, computes the same.

    The copy has new weights. This is right for those that are trained, but would lose those that are frozen, as of a
    pretrained part, and the statistics of a `Normalization`.
    """
    models.check_form(model)
    images = cifar10.scale(_few(dataset).images)
    copy = keras.models.clone_model(model)
    if lost := _lost(model, copy):
        more = f" and {len(lost) - NAMED} more" * (len(lost) > NAMED)
        raise UserError(
            f'a copy of model "{model.name}" does not preserve the frozen state of: {", ".join(lost[:NAMED])}{more}.\n'
            "Pass a function that builds the model, loads these weights and freezes them; it is called for each seed."
        )
    copy.set_weights(model.get_weights())
    first, second = (np.asarray(network(images, training=False), "float32") for network in (model, copy))
    if not np.allclose(first, second, rtol=0.001, atol=0.0001):
        raise UserError(f'a copy of model "{model.name}" gives different results.\n{LOST}')


def check_model(row: Row, build: Builder, dataset: cifar10.Dataset) -> None:
    """Raises a `UserError` unless a row's model is new each time, has the row's precision, and ends in logits.

    It must also take floats, have weights to train, and compute as a graph.
    """
    first, second = (fit.fresh(row, 0, build) for _ in range(2))
    if "float" not in (dtype := keras.backend.standardize_dtype(first.inputs[0].dtype)):
        raise UserError(
            f'model "{first.name}" takes {dtype}, so pixels between 0 and 1 would be rounded down to whole '
            "numbers.\nExpected an input of floats in 0..1: leave out its dtype, and any layer that divides by 255."
        )
    if {id(variable) for variable in first.trainable_variables} & {id(v) for v in second.trainable_variables}:
        raise UserError(
            f'model "{first.name}" shares weights with the one that was built before, so a second run would start from '
            "trained weights.\nMake the model and all its layers inside the function that builds it."
        )
    if not first.trainable_weights:
        raise UserError(f'model "{first.name}" has no weights to train.\nUnfreeze a layer (its attribute trainable).')
    if not _same(first, second):
        raise UserError(
            f'model "{first.name}" has different weights each time it is built with the same seed, so a run could not '
            "be repeated.\nDraw random numbers with Keras, or from a generator with a fixed seed."
        )
    found = {layer.dtype_policy.name for layer in models.all_layers(first) if layer.weights}
    if row.precision not in found or not found <= {row.precision, "float32"}:
        raise UserError(
            f'the row has precision {row.precision}, but the layers of model "{first.name}" have '
            f"{', '.join(sorted(found))}.\nPass a function that builds the model, which is called in the row's "
            "precision, or change the row."
        )
    images = _few(dataset).images
    if keras.backend.backend() == "tensorflow":  # the rehearsal computes step by step, but a training as a graph
        import tensorflow as tf

        tf.function(second, autograph=False).get_concrete_function(cifar10.scale(images), training=True)
    _check_logits(second, images)


def rehearse(run: Run, work: Work, ornaments: Ornaments | None) -> list[str]:
    """Trains the run for one step on a few images, and then does all that follows, in a temporary folder.

    Args:
        ornaments: tries what a run can do without, with the model and a folder; returns a line for each that fails.
    Returns:
        The ornaments' lines.
    Raises:
        UserError: the run would have ended without a result, or with a wrong one.
        Exception: whatever the model raises, see `refused`.
        OSError: the folder of the runs cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=work.folder) as folder:
        few = dataclasses.replace(work, dataset=_few(work.dataset), folder=Path(folder), callbacks=lambda *_: ())
        short = dataclasses.replace(run, row=dataclasses.replace(run.row, epochs=1))
        everything = np.arange(len(few.dataset.labels))
        record = one_run.train_run(short, few, (everything, everything), say=lambda text: None, trial=True)
        expected = records.read(record.folder).results["validation"]["loss"]
        loaded = keras.models.load_model(record.folder / records.MODEL, compile=False, safe_mode=True)
        loaded.run_eagerly = True
        found = evaluate.validation(loaded, few.dataset, everything).loss
        if not np.isclose(found, expected, rtol=0.001, equal_nan=True):
            raise UserError(
                f"the model gives different results after it was saved and loaded: loss {found:.4f} instead of "
                f"{expected:.4f}.\n{LOST}"
            )
        return list(ornaments(fit.fresh(run.row, run.seed, work.build), Path(folder))) if ornaments else []


def _few(dataset: cifar10.Dataset) -> cifar10.Dataset:
    """The first images of the training files, also in place of the test images."""
    images, labels = dataset.images[:IMAGES], dataset.labels[:IMAGES]
    return dataclasses.replace(dataset, images=images, labels=labels, _test=(images, labels))


def _lost(model: keras.Model, copy: keras.Model) -> list[str]:
    """The layers of which a copy trains other weights, or has other values in those that are not trained.

    By weight, as one layer may wrap others that are frozen. The moving statistics of a trained BatchNormalization may
    start anew.
    """
    trained = {id(weight) for network in (model, copy) for weight in network.trainable_weights}
    learning = {_owner(weight) for weight in copy.trainable_weights}
    lost = []
    for weight, new in zip(model.weights, copy.weights, strict=True):
        seen = weight.name.startswith("moving_") and _owner(new) in learning
        is_kept = id(weight) in trained or seen or np.array_equal(weight, new, equal_nan=True)
        if not is_kept or (id(weight) in trained) != (id(new) in trained):
            lost.append(_owner(new).removeprefix(f"{copy.name}/"))
    return list(dict.fromkeys(lost))


def _owner(weight: keras.Variable) -> str:
    """The path of the layer that a weight belongs to."""
    return weight.path.rpartition("/")[0]


def _same(one: keras.layers.Layer, other: keras.layers.Layer) -> bool:
    """Whether the weights are the same."""
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def _check_logits(network: keras.Model, images: np.ndarray) -> None:
    """Raises a `UserError` if the outputs stay within -1..1 with large weights. Overwrites the weights."""
    random = np.random.default_rng(0)
    for variable in network.weights:
        if "float" in variable.dtype:
            inputs = max(np.prod(variable.shape[:-1]), 1)
            values = random.normal(0, 3 / np.sqrt(inputs), variable.shape)
            variable.assign(np.abs(values) if "variance" in variable.name else values)
    network.run_eagerly = True
    if (np.abs(evaluate.predict(network, images)) <= 1).all():
        raise UserError(
            f'the outputs of model "{network.name}" lie between -1 and 1 with any weights, as after softmax, sigmoid '
            f"or tanh.\n{models.EXPECTED_LOGITS}"
        )
