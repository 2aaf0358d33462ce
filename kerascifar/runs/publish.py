"""Checks finished runs and copies them into `experiments/results/`.

Nothing else writes there except `focus --published`, which adds measurements.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.runs import measurements, records
from kerascifar.runs.records import DECISIVE
from kerascifar.training import rows


def publish(folders: Sequence[Path], to: Path = records.PUBLISHED) -> list[Path]:
    """Publishes runs: record, history, predictions, measurements, and weights (see `_keeps_weights`).

    All runs are checked before any is copied.

    Raises:
        UserError: a run is unfinished, shortened, trained on synthetic data, from uncommitted code or by a
            program, already published, or named twice; or one of its files is missing or damaged.
    """
    chosen = [records.read(folder) for folder in folders]
    files.remove_unfinished(to, older=files.A_DAY)
    for record in chosen:
        _check(record, to)
    if twice := [name for name, count in Counter(map(_name, chosen)).items() if count > 1]:
        raise UserError(f"{twice[0]} was named twice.\nNothing was published.")
    return [_copy(record, to) for record in chosen]


def _name(record: records.Record) -> str:
    return record.folder.resolve().name


def _files(record: records.Record) -> list[str]:
    """The files of a run to publish.

    Candidates are published without weights and predictions: only their validation figures matter.
    """
    if record.is_candidate:
        return [records.HISTORY, records.RECORD]
    weights = [records.MODEL] if _keeps_weights(record) else []
    measured = [measurements.FOCUS] if (record.folder / measurements.FOCUS).is_file() else []
    return [*weights, *measured, records.HISTORY, records.PREDICTIONS, records.RECORD]


def _keeps_weights(record: records.Record) -> bool:
    """Whether a run's weights are published: all seeds of the rows whose maps are measured, the first one elsewhere.

    Weights of rows that are not the original's are left out, to keep clones small.
    """
    if (record.experiment, record.name) in records.EXPLAINED:
        return True
    if record.experiment not in records.ORIGINALS:
        return False
    return record.seed == rows.read(EXPERIMENTS / f"{record.experiment}.toml").seeds[0]


def _check(record: records.Record, to: Path) -> None:
    made = record.environment
    faults = {
        "it was trained by a program, not by `run`; register the model with @model if it is yours, add its row to an "
        "experiment file, commit both, and train it with `run`": "program" in made,
        "it was shortened with --epochs": record.shortened,
        "it was trained on synthetic data, or on data that is not CIFAR-10": record.is_synthetic,
        f"git could not tell whether its code was committed ({made.get('git')}); see `doctor`, then train it again": (
            made.get("uncommitted", True) is None
        ),
        "it was trained from uncommitted code; commit, then train it again": made.get("uncommitted") is not False,
        "parts of it were trained with other code, versions or another backend": any(
            earlier.get(key) != made.get(key) for earlier in made.get("earlier", []) for key in DECISIVE
        ),
        f"{to / _name(record)} already exists": (to / _name(record)).exists(),
        **{f"its {name} is missing": not (record.folder / name).is_file() for name in _files(record)},
    }
    for fault, applies in faults.items():
        if applies:
            raise UserError(f"{record.folder} cannot be published: {fault}.\nNothing was published.")
    try:
        epochs = len(record.history["loss"])
        if epochs != record.epochs_trained:
            raise UserError(f"history.csv has {epochs} epochs, but the record says {record.epochs_trained}.")
        if records.MODEL in _files(record):
            records.load_model(record)
        if any(len(values) < len(record.right()) for values in measurements.read(record).values()):
            raise UserError(f"{measurements.FOCUS} does not cover all test images.")
        if records.PREDICTIONS not in _files(record):
            return
        if abs(float(record.right().mean()) - record.results["test"]["accuracy"]) > 1e-9:
            raise UserError("predictions.npz and the record have different test accuracies.")
    except UserError as problem:
        raise UserError(f"{record.folder} cannot be published: {problem}\nNothing was published.") from None


def check_measuring(count: int, whole: int) -> None:
    """Raises a `UserError` unless they use all images and committed code, as measurements of published runs must."""
    from kerascifar.runs import environment  # loads Keras

    problem = ""
    if count < whole:
        problem = f"--images {count} leaves out test images"
    elif environment.commit().uncommitted is not False:
        problem = "the code has changes that are not committed, or Git cannot tell"
    if problem:
        raise UserError(
            f"These measurements cannot be added to published runs: {problem}.\n"
            "Expected all test images and committed code. To see the present measurements, leave out --published.\n"
            "Nothing was measured."
        )


def _copy(record: records.Record, to: Path) -> Path:
    target = to / _name(record)
    files.make_folder(to)
    with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=to) as temporary:
        whole = Path(temporary) / target.name
        whole.mkdir()
        for name in _files(record):
            shutil.copyfile(record.folder / name, whole / name)
            files.flush(whole / name)
        files.flush_folder(whole)
        whole.rename(target)
        files.flush_folder(to)
    return target
