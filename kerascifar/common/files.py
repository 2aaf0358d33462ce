"""Crash-safe writing, and a lock.

A file is written under a temporary name in the same folder, flushed to disk, then renamed: it is complete or absent.
The operating system releases the lock when the process ends, however it ends.
"""

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np

TEMPORARY = ".unfinished-"  # prefix of every file that is not complete yet
A_DAY = 86_400.0  # seconds after which an unfinished file counts as abandoned


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, by name.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged.
    """
    with open(path, "rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except MemoryError:
            raise
        except Exception as error:  # zipfile, zlib and NumPy's parser of headers raise many kinds
            raise ValueError(f"{type(error).__name__}: {error}") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; unless an error occurs, flushes the file to disk and renames it to `path`.

    The temporary name keeps the suffix of `path`, because Keras, Matplotlib and NumPy derive the format from it.
    """
    make_folder(path.parent)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as error:
        if TEMPORARY in str(error.filename):
            error.filename = str(path)  # the user knows this name
        raise
    finally:
        with contextlib.suppress(OSError):  # it is gone, or its name was too long for the file system
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """Creates the folder and its parents so that they survive a power failure."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        flush_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Raises `OSError` unless files can be written in `folder`, which is created if it is missing."""
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder):
        pass


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with `\\n` line endings, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def fill(path: Path, name: str, text: str) -> bool:
    """Puts `text` between the lines `<!-- name -->` and `<!-- /name -->` of a page.

    Returns:
        Whether the page changed. A page without these lines, or none at all, stays as it is.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, found, rest = page.partition(start)
    _, ended, after = rest.partition(end)
    updated = before + start + text + end + after
    if not (found and ended) or updated == page:
        return False
    write_text(path, updated)
    return True


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Calls `save` with a temporary path, then renames that file to `path`."""
    with replacing(path) as temporary:
        save(temporary)


def flush(path: Path) -> None:
    """Returns once the file's content is on disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Locks the file `path` unless another process holds it; yields whether it is locked. Never waits.

    The lock belongs to the operating system and does not depend on the file's existence: killing the process
    releases it.
    """
    make_folder(path.parent)
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    try:
        yield True
    finally:
        lock.release()


def remove_unfinished(folder: Path, older: float = 0.0) -> None:
    """Removes the unfinished files that killed processes left directly in `folder`.

    Args:
        older: minimum age in seconds. 0 if a lock guarantees that no other process writes there; otherwise long
            enough for the files to count as abandoned.
    """
    for path in folder.glob(TEMPORARY + "*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= time.time() - older:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def flush_folder(folder: Path) -> None:
    """Makes a rename survive a power failure. Windows cannot open folders and does not need this step."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
