"""Checkpoints of an unfinished run: one file per epoch, of which the last two are kept. Damaged files are skipped."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kerascifar.common import files
from kerascifar.common.errors import UserError

MAGIC, VERSION = b"kerascifar checkpoint ", 1
ARRAYS = ("weights", "optimizer", "best_weights")
ABOUT = ("history", "seconds", "environments", "callbacks", "stopped")
KEPT = 2  # the newest, and one more in case the newest is damaged


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the next epoch depends on, except what follows from the seed.

    Attributes:
        history: for each metric, one value per finished epoch.
        seconds: duration of each finished epoch.
        weights: the model's weights, in Keras's order; if the optimizer averages them, the averages.
        optimizer: the optimizer's variables, in Keras's order; in place of averages, the weights that are trained.
        best_weights: the weights that EarlyStopping would restore.
        environments: the distinct environments of the epochs so far, in order.
        callbacks: for each of the caller's callbacks, the attributes that are numbers, or lists or tables of these.
        stopped: whether the training ended with this epoch.
    """

    history: dict[str, list[float]]
    seconds: list[float]
    weights: list[np.ndarray]
    optimizer: list[np.ndarray]
    best_weights: list[np.ndarray]
    environments: list[dict[str, Any]]
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.seconds)


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"checkpoint-{epoch:06}.bin"


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.bin"))


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint, then removes all but the last two.

    The file holds a line with the format's version, a SHA-256 of that line and the data, then the data in NumPy's npz.
    """
    arrays = {
        f"{name}-{i:04}": np.asarray(value) for name in ARRAYS for i, value in enumerate(getattr(checkpoint, name))
    }
    about = json.dumps({name: getattr(checkpoint, name) for name in ABOUT})
    body = io.BytesIO()
    np.savez(body, about=np.array(about), **arrays)  # type: ignore[arg-type]
    content = _sealed(b"%s%d\n" % (MAGIC, VERSION), body.getvalue())
    files.write(_path(folder, checkpoint.epoch), lambda temporary: temporary.write_bytes(content))
    for old in _all(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def _sealed(line: bytes, body: bytes) -> bytes:
    return line + hashlib.sha256(line + body).digest() + body


def load(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None. Sets damaged ones aside and reports them through `say`.

    Raises:
        UserError: an undamaged checkpoint has another version of the format.
    """
    for path in reversed(_all(folder)):
        content = path.read_bytes()
        line, _, rest = content.partition(b"\n")
        line += b"\n"
        body = rest[32:]
        if not line.startswith(MAGIC) or content != _sealed(line, body):
            say(f"{path.name} is damaged and was set aside; resuming from an earlier epoch.")
            path.replace(path.with_suffix(".damaged"))
            continue
        if line != b"%s%d\n" % (MAGIC, VERSION):
            raise UserError(
                f"{path} was written by another version of kerascifar. Finish the run with that version, or move its "
                "folder away to start it again."
            )
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            groups: dict[str, Any] = {
                name: [file[key] for key in sorted(file.files) if key.rpartition("-")[0] == name] for name in ARRAYS
            }
        return Checkpoint(**{name: about[name] for name in ABOUT if name in about}, **groups)
    return None


def clear(folder: Path) -> None:
    """Removes all checkpoints, including damaged ones, once the run is finished."""
    for path in folder.glob("checkpoint-*"):
        path.unlink(missing_ok=True)
