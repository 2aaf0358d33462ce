"""The files of a finished run: `record.json`, `history.csv`, `predictions.npz` and `model.keras` in its folder.

`record.json` is written last, so a folder that has one is complete. Everything after training reads only these files.
"""

import csv
import dataclasses
import hashlib
import io
import json
import math
import re
import sys
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

import numpy as np

from kerascifar.common import errors, files
from kerascifar.common.errors import UserError, first_line
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.images.official import FINGERPRINT
from kerascifar.training import models
from kerascifar.training.rows import NAME_CHARACTERS, PLAIN_TEXT, Row, Run

if TYPE_CHECKING:
    import keras

SCHEMA = 1  # a reader for version n reads versions 1 … n
PUBLISHED = EXPERIMENTS / "results"
ORIGINALS = ("experiment1", "experiment2")  # the original's experiments; others are ours
BEST = ("experiment3", "Best")  # our answer to the original's best row
# The rows for which the original shows focus maps, and ours.
EXPLAINED = (("experiment1", "M6"), ("experiment2", "Model4"), BEST)
CHOICES = "choices"  # the experiment with the candidates for open choices
SEARCH = "search"  # the experiment with the candidates for Experiment 3's model
CANDIDATES = (CHOICES, SEARCH)
OWN = "own"  # the experiment of all runs that a program trains
RECORD, HISTORY, PREDICTIONS, MODEL = "record.json", "history.csv", "predictions.npz", "model.keras"
# The keys of an environment that affect the result: all parts of a published run must share their values.
DECISIVE = ("source", "versions", "backend")
LIMIT, NOT_FINITE = "epoch limit", "loss not finite"
STOPS = ("early stopping", LIMIT, "stopped by a callback", NOT_FINITE)  # what ended the training
AGAIN = "Move the folder away and train that run again."
LARGEST = 4 * 2**20  # bytes; larger records are rejected. A real one has about 10 kB


@dataclass(frozen=True, kw_only=True, repr=False)
class Record(Run):
    """A finished run.

    Attributes:
        schema: version of this format.
        dataset: name, class_names, and the fingerprints "train" and "test".
        split: fingerprint of the training and validation indices.
        stop: one of `STOPS`.
        epochs_trained, epoch_kept: counted from 1.
        seconds: duration of each epoch, including validation.
        results: loss (nats) and accuracy (0..1) at the kept epoch, for each split ("train", "validation" and, except
            for a candidate, "test").
            Train figures are Keras's running means over the epoch, with augmentation and dropout on. A loss has no
            regularisation penalty: "penalised_loss" is the train loss with it, if the model has one.
        per_class: accuracy (0..1) for each split ("validation" and, except for a candidate, "test") and class name.
        environment: versions, device, cores, backend, commit, uncommitted, finished (UTC) and more, since the run was
            last resumed. `earlier` lists other environments in which parts of the run were trained; `uncommitted` is
            true if any of them had uncommitted code, and None if git could not tell, as `git` explains. `program` is
            the user's code that the run depends on, if a program trained it.
        folder: the folder of the record; not part of the file.
    """

    schema: int
    dataset: dict[str, Any]
    split: str
    stop: str
    epochs_trained: int
    epoch_kept: int
    seconds: list[float]
    results: dict[str, dict[str, float]]
    per_class: dict[str, dict[str, float]]
    environment: dict[str, Any]
    folder: Path = Path()

    def __repr__(self) -> str:
        return f"<Record {self.heading}, validation accuracy {self.accuracy('validation'):.2f} %, in {self.folder}>"

    @property
    def name(self) -> str:
        """The row's name, e.g. "M6"."""
        return self.row.name

    @property
    def is_candidate(self) -> bool:
        """Whether the run only helps to choose settings. Its test figures, which older records have, are never read."""
        return self.experiment in CANDIDATES

    @property
    def heading(self) -> str:
        """The heading of figures: `M6 · seed 0 · CIFAR-10`, and marks for shortened runs and synthetic data."""
        parts = [self.name, f"seed {self.seed}", str(self.dataset["name"])]
        if self.shortened:
            parts.append("shortened run")
        if self.is_synthetic:
            parts.append("SYNTHETIC DATA")
        return " · ".join(parts)

    @property
    def is_synthetic(self) -> bool:
        """Whether it was trained on anything other than CIFAR-10, according to the fingerprints of the data."""
        return self.fingerprint != FINGERPRINT

    @property
    def fingerprint(self) -> dict[str, str]:
        """Of the images, as `Dataset.fingerprint`."""
        return {split: self.dataset[split] for split in FINGERPRINT}

    @property
    def machine(self) -> str:
        """What it was computed on: `1 core, AMD EPYC`."""
        device, processor = str(self.environment.get("device") or ""), self.environment.get("processor")
        used = (self.environment.get("threads") or {}).get("intra_op") or self.environment.get("cores")
        if used and device.startswith("CPU"):
            device = f"{used} {'core' if used == 1 else 'cores'}"
        return ", ".join(filter(None, (device, processor)))

    @property
    def is_full(self) -> bool:
        """Whether it is a result: neither a shortened trial nor trained on synthetic data."""
        return not (self.shortened or self.is_synthetic)

    @property
    def diverged(self) -> bool:
        """Whether its loss was not finite, so that there is nothing to see in its model."""
        return self.stop == NOT_FINITE

    @property
    def reached_limit(self) -> bool:
        """Whether the row's number of epochs ended the training before EarlyStopping could. A schedule ends there."""
        return self.stop == LIMIT and not self.row.schedule

    @property
    def group(self) -> str:
        """A string shared by the runs that differ only in their seed. Only such runs may be averaged."""
        parts = [self.experiment, dataclasses.asdict(self.row), self.basis, self.split, self.shortened]
        return json.dumps(parts, sort_keys=True)

    @cached_property
    def history(self) -> dict[str, list[float]]:
        """One value per epoch for loss, accuracy, val_loss and val_accuracy.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = self.folder / HISTORY
        try:
            with open(path, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            columns = ("loss", "accuracy", "val_loss", "val_accuracy")
            return {name: [float(row[name]) for row in rows] for name in columns}
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise UserError(f"{path} is missing or damaged ({error}). {AGAIN}") from None

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        """The model's predictions for each image at the kept epoch.

        In the official order: `test_label` and `test_predicted`, uint8 (10000,); `test_logits`, float16 (10000, 10).
        A candidate lacks these. Also `validation_index`, `validation_label` and `validation_predicted`.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = self.folder / PREDICTIONS
        if self.is_candidate and not path.exists():
            raise UserError(f"{self.label} is a candidate. Candidates are published without predictions.")
        try:
            return files.read_arrays(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is missing or damaged ({error}). {AGAIN}") from None

    def accuracy(self, split: str = "test") -> float:
        """The accuracy on a split at the kept epoch, in percent."""
        return 100 * self.results[split]["accuracy"]

    @property
    def duration(self) -> float:
        """How long its training took, in seconds."""
        return sum(self.seconds)

    def right(self, split: str = "test") -> np.ndarray:
        """bool (images,): whether each prediction is correct.

        Raises:
            UserError: the run is a candidate, and `split` is "test".
        """
        if self.is_candidate and split == "test":
            raise UserError(f"{self.label} is a candidate, and candidates never use test images.")
        return np.asarray(self.predictions[f"{split}_predicted"] == self.predictions[f"{split}_label"])


def write(
    record: Record,
    history: dict[str, list[float]],
    predictions: dict[str, np.ndarray],
    network: "keras.Model",
) -> None:
    """Writes the files of a finished run into `record.folder`, the record last."""
    folder = record.folder
    names = list(history)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["epoch", *names])
    for epoch, values in enumerate(zip(*history.values(), strict=True), 1):
        writer.writerow([epoch, *map(repr, values)])
    files.write_text(folder / HISTORY, table.getvalue())
    files.write(folder / PREDICTIONS, lambda path: np.savez_compressed(path, **predictions))  # type: ignore[arg-type]
    files.write(folder / MODEL, network.save)
    content = dataclasses.asdict(record) | {"row": record.row.table()}
    content = {key: _finite(value) for key, value in content.items() if key != "folder"}
    content["sha256"] = _checksum(content)
    files.write_text(folder / RECORD, json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n")


def _checksum(content: dict[str, Any]) -> str:
    """SHA-256 of all other values, to detect changes."""
    text = json.dumps({key: value for key, value in content.items() if key != "sha256"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _finite(value: Any) -> Any:
    """Replaces each number that JSON cannot represent with null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def read(folder: Path) -> Record:
    """Reads the record of a run's folder.

    Raises:
        UserError: the record is missing, damaged, or written by a newer version.
    """
    path = folder / RECORD
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is too large for a record. {AGAIN}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} holds no {RECORD}: the run is unfinished, or this is not a run's folder.") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged: it is not JSON. {AGAIN}") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int or schema < 1:
        raise UserError(f"{path} is damaged: it has no valid schema. {AGAIN}")
    if schema > SCHEMA:
        raise UserError(
            f"{path} has schema {schema}; this version of kerascifar reads 1 to {SCHEMA}. Use a newer kerascifar."
        )
    try:
        values = {}
        for key, kind in get_type_hints(Record).items():
            if key != "folder":
                values[key] = content.get(key)
                if type(values[key]) is not (dict if kind is Row else get_origin(kind) or kind):
                    raise ValueError(f"{key} is missing or wrong")
        if content.get("sha256") != _checksum(content):
            raise ValueError("it was changed after it was written")
        record = Record(**values | {"row": Row(**content["row"])}, folder=folder)
        _check(record)
    except (UserError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        reason = error if isinstance(error, ValueError | UserError) else f"{type(error).__name__} {error}"
        raise UserError(f"{path} is damaged: {reason}. {AGAIN}") from None
    return record


def _number(what: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(f"{what} is not a number from {low} to {high}")
    return float(value)


def _measure(what: str, value: Any, high: float) -> float:
    """A loss or an accuracy. null represents a number that was not finite."""
    return math.nan if value is None else _number(what, value, 0, high)


def _check_text(what: str, value: Any) -> None:
    if not (isinstance(value, str) and PLAIN_TEXT.fullmatch(value)):
        raise ValueError(f"{what} is not plain text")


def _check(record: Record) -> None:
    """Checks each value that readers use, and turns null into NaN; `read` turns an exception into a message."""
    for split in ["train", "validation"] + ["test"] * (not record.is_candidate):
        values = record.results[split]
        values["loss"] = _measure(f"results.{split}.loss", values["loss"], math.inf)
        values["accuracy"] = _measure(f"results.{split}.accuracy", values["accuracy"], 1)
    for split, shares in record.per_class.items():
        for name, value in shares.items():
            shares[name] = _measure(f"per_class.{split}", value, 1)
    if not record.experiment or set(record.experiment) - NAME_CHARACTERS:  # becomes part of file names
        raise ValueError(f"experiment {record.experiment!r} is not a name of letters, digits and _")
    if record.stop not in STOPS:
        raise ValueError("stop is not known")
    _number("seed", record.seed, 0, 2**32 - 1)
    _number("epoch_kept", record.epoch_kept, 1, _number("epochs_trained", record.epochs_trained, 1, 1e9))
    for seconds in record.seconds:
        _number("seconds", seconds, 0)
    for key in ("name", "train", "test"):
        _check_text(f"dataset.{key}", record.dataset[key])
    for key in ("device", "processor", "instructions"):
        _check_text(f"environment.{key}", record.environment.get(key) or "not recorded")
    names = record.dataset["class_names"]
    if not (isinstance(names, list) and len(names) == 10):
        raise ValueError("dataset.class_names does not have ten names")
    for name in names:
        _check_text("dataset.class_names", name)


def finished(folder: Path) -> bool:
    """Whether the folder holds a finished run."""
    return (folder / RECORD).is_file()


def has_weights(record: Record) -> bool:
    """Whether the run's trained model was kept."""
    return (record.folder / MODEL).is_file()


def list_records(folder: Path) -> list[Record]:
    """The records of the folders directly under `folder`, sorted by folder name. Empty if `folder` does not exist.

    Damaged records are skipped with a message on standard error, so that they do not hide the other runs.
    """
    readable = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and finished(path):
            try:
                readable.append(read(path))
            except (UserError, OSError) as problem:
                print(f"Skipped: {errors.printable(str(problem))}", file=sys.stderr)
    return readable


def load_model(record: Record) -> "keras.Model":
    """Loads a run's trained model in Keras's safe mode, which does not execute code from the file.

    Raises:
        UserError: the file is missing, damaged or unsafe, or not a classifier of 32×32 images into ten classes.
    """
    import keras

    from kerascifar.training import normalization  # noqa: F401  registers the layer of Experiment 3's model

    path = record.folder / MODEL
    own_code = (
        "It has custom code, which the commands never run. In a program that defines this code, load it "
        f"with keras.models.load_model({str(path)!r}, compile=False), and draw its maps with kerascifar.api.focus_maps."
    )
    if not path.is_file():
        raise UserError(f"{path} does not exist: this run was saved without its weights. {AGAIN}")
    if not zipfile.is_zipfile(path):  # Keras would say "file not found"
        raise UserError(f"{path} cannot be loaded: it is damaged or not a .keras file. {AGAIN}")
    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, zipfile.BadZipFile, RuntimeError) as error:
        todo = own_code if re.search("locate class|locate function|ambda|safe_mode", str(error)) else AGAIN
        raise UserError(f"{path} cannot be loaded: {first_line(error)}\n{todo}") from None
    try:
        models.check_form(network)
    except UserError as problem:
        raise UserError(f"{path}: {problem}\n{AGAIN}") from None
    return network
