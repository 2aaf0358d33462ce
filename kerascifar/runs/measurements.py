"""Reads a run's measurements, which `kerascifar.focus.measuring` writes to `focus.npz` beside the record."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.runs.records import Record

FOCUS = "focus.npz"
# Increase this when a measure changes, so that old and new values never appear in one table. A change of ROAD's noise
# did not count: it moved an image's value by 0.004 on average and the mean of 10,000 by less than 0.0002, no more than
# any second draw does.
VERSION = "1"


def read(record: Record) -> dict[str, np.ndarray]:
    """A run's measurements: "<kind>/<measure>" and "mosaic_right", each float16 (images,). Empty if there are none.

    A kind is a method or a baseline.

    Raises:
        UserError: the file is damaged, or belongs to another run or another version of the measures.
    """
    path = record.folder / FOCUS
    try:
        measured, values = _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}). Move it away and measure again.") from None
    if measured != identity(record):
        raise UserError(f"{path} belongs to another run or another version. Move it away and measure again.")
    return dict(values)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> tuple[str, dict[str, np.ndarray]]:
    """Reads the file and caches the result, as every comparison needs it; `changed` is its modification time."""
    values = files.read_arrays(path)
    return str(values.pop("of")), values


def identity(record: Record) -> str:
    """Identifies the run (through its test results) and the version of the measures that a file belongs to."""
    return f"{record.label} {record.basis} {record.results['test']} {VERSION}"
