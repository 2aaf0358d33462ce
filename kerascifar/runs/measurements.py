"""What was measured of where a run looks, beside its record in `focus.npz`; see `kerascifar.focus.measuring`."""

import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from kerascifar.common.errors import UserError
from kerascifar.runs.records import Record

FOCUS = "focus.npz"
# Another one when a measure changes, so that old and new values never stand in one table. ROAD once drew other noise:
# an image's value differs by 0.004 (mean), the mean of 10,000 by less than 0.0002, as between any two draws.
VERSION = "1"


def read(record: Record) -> dict[str, np.ndarray]:
    """What was measured of a run: "<kind>/<measure>" and "mosaic_right", each float16 (images,); else nothing.

    Raises:
        UserError: the file is damaged, belongs to another run, or was measured in another way.
    """
    path = record.folder / FOCUS
    try:
        of, found = _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}). Move it away and measure again.") from None
    if of != identity(record):
        raise UserError(f"{path} is of another run or another version. Move it away and measure again.")
    return dict(found)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> tuple[str, dict[str, np.ndarray]]:
    """Read once, as every comparison asks for it; `changed` is the file's time."""
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    return str(found.pop("of")), found


def identity(record: Record) -> str:
    """What ties the file to its run and this way of measuring: the same predictions of the same test images."""
    return f"{record.label} {record.basis} {record.results['test']} {VERSION}"
