"""The state of an unfinished run: one file per finished epoch, the last two kept, damage noticed and stepped over."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascifar.common import files
from kerascifar.common.errors import UserError

MAGIC, VERSION = b"kerascifar checkpoint ", 1
ARRAYS = ("weights", "optimizer", "best_weights")
ABOUT = ("history", "seconds", "environments")
KEPT = 2  # the newest, and the one before it in case the newest is damaged


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the next epoch depends on and that is not a function of the seed.

    Attributes:
        history: per metric one value per finished epoch.
        seconds: per finished epoch.
        weights: the model's weights, in Keras's order.
        optimizer: the optimizer's variables, in Keras's order.
        best_weights: the weights that EarlyStopping keeps.
        environments: those that the epochs were trained in, in their order, each once.
    """

    history: dict[str, list[float]]
    seconds: list[float]
    weights: list[np.ndarray]
    optimizer: list[np.ndarray]
    best_weights: list[np.ndarray]
    environments: list[dict[str, Any]]

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self.seconds)


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"checkpoint-{epoch:06}.bin"


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.bin"))


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint, then removes all but the last two.

    The file: a line with the format's version, the SHA-256 of all the rest and that line, then NumPy's npz.
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
    """The newest complete checkpoint, or None. Damaged ones are put aside and reported to `say`.

    Raises:
        UserError: a whole checkpoint of another version of this format.
    """
    for path in reversed(_all(folder)):
        content = path.read_bytes()
        line, _, rest = content.partition(b"\n")
        line += b"\n"
        body = rest[32:]
        if not line.startswith(MAGIC) or content != _sealed(line, body):
            say(f"{path.name} is damaged and was put aside; the run goes on from an earlier epoch.")
            path.replace(path.with_suffix(".damaged"))
            continue
        if line != b"%s%d\n" % (MAGIC, VERSION):
            raise UserError(
                f"{path} was written by another version of kerascifar. Finish the run with that version, or move its "
                "folder away to train it anew."
            )
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            groups: dict[str, Any] = {
                name: [file[key] for key in sorted(file.files) if key.rpartition("-")[0] == name] for name in ARRAYS
            }
        return Checkpoint(**{name: about[name] for name in ABOUT}, **groups)
    return None


def clear(folder: Path) -> None:
    """Removes all checkpoints, damaged ones too: the run is finished."""
    for path in folder.glob("checkpoint-*"):
        path.unlink(missing_ok=True)
