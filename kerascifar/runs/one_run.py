"""One run, from its first epoch to its record."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import records
from kerascifar.training import evaluate, fit
from kerascifar.training.rows import Run

Builder = Callable[..., keras.Model]  # of a model's name and options
Callbacks = Callable[[Run, cifar10.Dataset], Sequence[keras.callbacks.Callback]]  # cheap to send to another process
LOST = (
    "Look for a layer whose get_config lacks an argument, which holds state that Keras does not know, or which "
    "gives different results each time."
)
LOCKS = ".locks"  # a folder beside the runs' folders
TRAIN_FIGURES = ("loss", "accuracy", "penalised_loss")


@dataclasses.dataclass(frozen=True)
class Work:
    """The input of an executor; see `experiment.train_runs`."""

    runs: Sequence[Run]  # those that are not finished, in the order in which they were asked for, with their basis
    costs: dict[str, float]  # by run id, multiply-adds per image
    dataset: cifar10.Dataset
    folder: Path
    console: Console
    deterministic: bool
    build: Builder
    callbacks: Callbacks
    made_with: dict[str, Any]  # see `environment.describe`


def lock(folder: Path, run: Run) -> AbstractContextManager[bool]:
    """Locks a run among those in `folder`; yields whether it could, or another process has locked it."""
    return files.locked(folder / LOCKS / f"{run.id}.lock")


def train_run(
    run: Run,
    work: Work,
    split: tuple[np.ndarray, np.ndarray],
    *,
    tell: fit.Tell = lambda values, epoch, seconds, wait: None,
    say: Callable[[str], None] = print,
    trial: bool = False,
) -> records.Record:
    """Trains the run, or resumes it, and writes its record.

    Args:
        split: indices of the training images and of the validation images.
        tell, say, trial: as in `fit.train`.
    Raises:
        UserError: the loss or accuracy of the evaluation is not the history's. The weights are kept, without a record.
    """
    dataset, folder = work.dataset, work.folder / run.id
    files.make_folder(folder)
    trained = fit.train(
        fit.fresh(run.row, run.seed, work.build, free_memory=not trial),
        run.row,
        run.seed,
        folder,
        images=dataset.images,
        labels=dataset.labels,
        split=split,
        tell=tell,
        say=say,
        environment=work.made_with,
        callbacks=work.callbacks(run, dataset),
        trial=trial,
    )
    on_validation = evaluate.validation(trained.model, dataset, split[1])
    if problem := _difference(trained, on_validation, run.row.precision):
        files.write(folder / records.MODEL, trained.model.save)
        kept = "" if trial else f" No record was written; the weights are kept in {folder / records.MODEL}."
        raise UserError(f"{run.label}: the evaluated model differs from the trained one: {problem}{kept}\n{LOST}")
    splits = {"validation": on_validation}
    if run.experiment not in records.CANDIDATES:
        splits["test"] = evaluate.test(trained.model, dataset)
    record = _record(run, work, trained, split=split, splits=splits)
    records.write(record, trained.history, _predictions(dataset, split[1], splits), trained.model)
    return record


def _difference(trained: fit.Trained, evaluation: evaluate.Evaluation, precision: str) -> str:
    """A sentence if loss and accuracy of the evaluation are not the history's at the kept epoch, on the same images.

    Published runs agree to 2e-7; half precision and a GPU round more coarsely, which may change a few predictions.
    """
    if trained.stop == records.NOT_FINITE:
        return ""
    loss, accuracy = (trained.history[name][trained.epoch_kept - 1] for name in ("val_loss", "val_accuracy"))
    tolerance = 0.001 if precision == "float32" else 0.01
    one_image = 1 / len(evaluation.labels)
    if (
        abs(evaluation.loss - loss) <= tolerance * (1 + loss)
        and abs(evaluation.accuracy - accuracy) <= tolerance + 1.5 * one_image
    ):
        return ""
    return (
        f"on the same validation images, its history has loss {loss:.4f} and accuracy {accuracy:.2%} at epoch "
        f"{trained.epoch_kept}, but its evaluation gives loss {evaluation.loss:.4f} and accuracy "
        f"{evaluation.accuracy:.2%}."
    )


def _record(
    run: Run,
    work: Work,
    trained: fit.Trained,
    *,
    split: tuple[np.ndarray, np.ndarray],
    splits: Mapping[str, evaluate.Evaluation],
) -> records.Record:
    dataset, kept = work.dataset, trained.epoch_kept - 1
    return records.Record(
        **vars(run),
        schema=records.SCHEMA,
        dataset={"name": dataset.name, "class_names": list(dataset.class_names), **dataset.fingerprint},
        split=cifar10.split_fingerprint(*split),
        stop=trained.stop,
        epochs_trained=len(trained.seconds),
        epoch_kept=trained.epoch_kept,
        seconds=[round(s, 3) for s in trained.seconds],
        results={"train": {name: trained.history[name][kept] for name in TRAIN_FIGURES if name in trained.history}}
        | {name: {"loss": e.loss, "accuracy": e.accuracy} for name, e in splits.items()},
        per_class={name: dict(zip(dataset.class_names, e.per_class, strict=True)) for name, e in splits.items()},
        environment={
            **work.made_with,
            "uncommitted": worst([made["uncommitted"] for made in (*trained.environments, work.made_with)]),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "earlier": [e for e in trained.environments if e != work.made_with],
        },
        folder=work.folder / run.id,
    )


def worst(uncommitted: Sequence[bool | None]) -> bool | None:
    """True if any part of a run had uncommitted code, otherwise None if git could not tell for one of them."""
    return True if True in uncommitted else None if None in uncommitted else False


def _predictions(
    dataset: cifar10.Dataset, validation: np.ndarray, splits: Mapping[str, evaluate.Evaluation]
) -> dict[str, np.ndarray]:
    """See `Record.predictions`. A logit that half precision cannot hold becomes its largest number."""
    predictions = {"validation_index": validation.astype("int32")}
    for name, evaluation in splits.items():
        predictions[f"{name}_label"] = evaluation.labels.astype("uint8")
        predictions[f"{name}_predicted"] = evaluation.logits.argmax(axis=1).astype("uint8")
    if "test" in splits:
        largest = np.finfo("float16").max
        predictions["test_logits"] = np.clip(splits["test"].logits, -largest, largest).astype("float16")
    return predictions
