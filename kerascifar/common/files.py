"""Crash-safe writing: a temporary name in the same folder, flushed to disk, then renamed. A file is whole or absent.

And a lock that the operating system lets go of when its process ends, however it ends.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

TEMPORARY = ".unfinished-"  # prefix of every file that is not whole yet
A_DAY = 86_400.0  # seconds after which an unfinished file is nobody's work


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on leaving without an error it is flushed to disk and renamed to `path`.

    The temporary name keeps the suffix of `path`, because Keras, Matplotlib and NumPy choose a format by it.
    """
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        flush(temporary)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Makes the folder and those above it, so that they survive a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        flush_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Raises `OSError` unless files can be made in `folder`, which is made where it is missing."""
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder):
        pass


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with `\\n` line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Writes what `save(temporary path)` writes, whole or not at all."""
    with replacing(path) as temporary:
        save(temporary)


def flush(path: Path) -> None:
    """Returns when the file's content is on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Holds the lock file `path` if no other process does; yields whether it is held. Never waits.

    The lock is the operating system's, not the file's existence: a process that is killed lets go of it.
    """
    make_folder(path.parent)
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def remove_unfinished(folder: Path, older: float = 0.0) -> None:
    """Removes what a killed process left directly in `folder`, if it is older than that.

    Args:
        older: 0 where a lock says that nobody else writes there; elsewhere long enough to be nobody's work.
    """
    for path in folder.glob(TEMPORARY + "*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= time.time() - older:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def flush_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; Windows cannot open folders and needs no such step."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
