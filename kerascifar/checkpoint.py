"""The state of an unfinished run: one file per finished epoch, the last two kept, damage noticed and stepped over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascifar import files

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
    return folder / f"checkpoint-{epoch:06}.npz"


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.npz"))


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint, then removes all but the last two."""
    arrays = {
        f"{name}-{i:04}": np.asarray(value) for name in ARRAYS for i, value in enumerate(getattr(checkpoint, name))
    }
    about = json.dumps({**{name: getattr(checkpoint, name) for name in ABOUT}, "arrays": len(arrays)})
    path = _path(folder, checkpoint.epoch)
    files.write(path, lambda temporary: np.savez(temporary, about=np.array(about), **arrays))  # type: ignore[arg-type]
    for old in _all(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def load(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None. Each damaged one is removed, and `say` is told."""
    for path in reversed(_all(folder)):
        try:
            # np.load leaves its own file open when it fails. Every array is checked against its CRC while it is read.
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                groups: dict[str, Any] = {
                    name: [file[key] for key in sorted(file.files) if key.rpartition("-")[0] == name] for name in ARRAYS
                }
            if sum(map(len, groups.values())) != about["arrays"]:
                raise ValueError("arrays are missing")
            return Checkpoint(**{name: about[name] for name in ABOUT}, **groups)
        except OSError:  # the disk or its permissions, not the file
            raise
        except Exception:  # whatever a reader says of damaged bytes
            say(f"{path.name} is damaged and was removed; the run goes on from an earlier epoch.")
            path.unlink(missing_ok=True)
    return None


def clear(folder: Path) -> None:
    """Removes all checkpoints: the run is finished."""
    for path in _all(folder):
        path.unlink(missing_ok=True)
