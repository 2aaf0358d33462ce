"""Copies finished runs into `experiments/results/`; nothing else writes there, and it refuses what is no result."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kerascifar import files, records
from kerascifar.errors import UserError


def publish(folders: Sequence[Path], to: Path = records.PUBLISHED) -> list[Path]:
    """Publishes runs: record, history, predictions and, for seed 0, the weights. All are checked before any is copied.

    Raises:
        UserError: a run that is unfinished, shortened, synthetic, made from uncommitted code, or published already.
    """
    if not to.parent.is_dir():
        raise UserError(
            f"{to.parent} does not exist. Publishing needs a checkout of the source, not an installed package."
        )
    for folder in folders:
        _check(records.read(folder), to)
    return [_copy(records.read(folder), to) for folder in folders]


def _check(record: records.Record, to: Path) -> None:
    made = record.environment
    faults = {
        "it was shortened with --epochs": record.shortened,
        "it was trained on synthetic data, or on data that is not CIFAR-10": record.is_synthetic,
        "it was made from uncommitted code; commit, then train it again": made.get("uncommitted") is not False,
        f"{to / record.folder.name} exists already": (to / record.folder.resolve().name).exists(),
    }
    for fault, applies in faults.items():
        if applies:
            raise UserError(f"{record.folder} cannot be published: {fault}.\nNothing was published.")


def _copy(record: records.Record, to: Path) -> Path:
    target = to / record.folder.resolve().name
    to.mkdir(parents=True, exist_ok=True)
    names = [records.HISTORY, records.PREDICTIONS, records.RECORD]
    if record.seed == 0:
        names.insert(0, records.MODEL)
    with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=to) as temporary:
        whole = Path(temporary) / target.name
        whole.mkdir()
        for name in names:
            shutil.copyfile(record.folder / name, whole / name)
        whole.rename(target)
    return target
