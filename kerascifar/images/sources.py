"""Where the images come from: a given path, Keras's cache, or Keras's download."""

import os
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_keras
from kerascifar.images.drawn import MARKER
from kerascifar.images.official import BINARY, PYTHON, VERSIONS, Version

KERAS_ARCHIVE = "cifar-10-batches-py-target_archive"  # the name under which Keras 3.15 keeps its download
_TIMEOUT_S = 30


def refused(problem: str, expected: str, advice: str = "") -> UserError:
    """The error for images that cannot be used; without `advice`, it suggests another copy."""
    advice = advice or f"Download {BINARY.url} again, or name another copy with --data or KERASCIFAR_DATA."
    return UserError(f"{problem}\n{expected}\n{advice}\nNothing was trained and no file was changed.")


class Source(NamedTuple):
    """A folder of six files, or an archive of such a folder."""

    path: Path
    version: Version | None = None  # of the files in the folder; the checksum of an archive decides its version

    def files(self) -> list[Path]:
        """Every file that is read if it exists; a change of any of them requires a new verification."""
        if self.version is None:
            return [self.path]
        return [self.path / name for name in (*self.version.names.values(), MARKER)]


def locate(path: Path) -> Source:
    """Finds images at `path`.

    Args:
        path: an archive, a folder of one of the two versions, or a folder that contains either.
    Raises:
        UserError: there are none.
        OSError: `path` cannot be examined.
    """
    if path.is_file():
        return Source(path)
    for folder in (path, path / BINARY.folder, path / PYTHON.folder):
        for version in VERSIONS:
            if any((folder / name).is_file() for name in version.names.values()):
                return Source(folder, version)
    for version in VERSIONS:
        if (path / version.archive).is_file():
            return Source(path / version.archive)
    raise refused(
        f"{path} {'does not contain CIFAR-10' if path.is_dir() else 'does not exist'}.",
        f"Expected {BINARY.folder}, {PYTHON.folder}, the .tar.gz of one of them, or a folder that contains one.",
        f"Name it with --data or KERASCIFAR_DATA. You can download it from {BINARY.url}. `kerascifar demo` needs none.",
    )


def keras_home() -> Path:
    """The folder in which Keras keeps what it downloads."""
    return Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))


def keras_copies() -> list[Path]:
    """The folders and archives of CIFAR-10 in Keras's cache: those of Keras 3, early Keras 3 and Keras 2."""
    stems, endings = ("cifar-10-batches-py-target", PYTHON.folder), ("", "_archive", ".tar.gz")
    paths = [keras_home() / "datasets" / (stem + ending) for stem in stems for ending in endings]
    return [path for path in paths if os.path.exists(path)]  # Path.exists raises if the folder cannot be read


def download(say: Callable[[str], None]) -> Path:
    """Downloads the Python version with Keras to where Keras itself looks for it; Keras verifies its SHA-256.

    Args:
        say: receives a line when the download begins.
    Raises:
        Exception: the download failed. Keras raises no narrower class.
    """
    # Offline, this fails at once, before TensorFlow is loaded. It also detects a server that does not answer.
    urllib.request.urlopen(PYTHON.url, timeout=_TIMEOUT_S).close()
    say(f"Downloading CIFAR-10 (170 MB) from {PYTHON.url} to Keras's cache, {keras_home()}.")
    load_keras()
    import keras

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)  # get_file has no timeout of its own
    try:
        home = str(keras_home())
        return Path(keras.utils.get_file(KERAS_ARCHIVE, PYTHON.url, file_hash=PYTHON.sha256, cache_dir=home))
    finally:
        socket.setdefaulttimeout(before)
