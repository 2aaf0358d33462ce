"""Reads images and proves that they are CIFAR-10, or that they are drawn images and unchanged.

Files are not trusted. A pickle could run code and an archive could be anything, so neither is opened unless it has its
published checksum. Whatever the source, the images are converted to the layout of the binary version and their SHA-256
is compared with the official one.
"""

import hashlib
import json
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerascifar.images import drawn, official
from kerascifar.images.dataset import Dataset
from kerascifar.images.drawn import MARKER
from kerascifar.images.official import BATCHES, MD5, PYTHON, ROW_BYTES, SHA256, TRAIN_BATCHES, VERSIONS, Version
from kerascifar.images.sources import Source, refused

_LIMIT = 200_000_000  # bytes; the official archives have 170 MB


def verify(source: Source) -> Dataset:
    """Reads a source and compares its content with the official checksums, or with those in a marker.

    Raises:
        UserError: a file is missing or does not hold the expected content.
        OSError: a file cannot be read.
    """
    version, contents = _read(source)
    paths = {batch: f"{source.path}: {name}" for batch, name in version.names.items()}
    for batch in BATCHES:
        if batch not in contents:
            raise refused(f"{paths[batch]} is missing.", f"Expected six files: {', '.join(version.names.values())}.")
        if version == PYTHON:
            contents[batch] = _unpickled(batch, contents[batch], paths[batch])
    digests = {batch: hashlib.sha256(contents[batch]).hexdigest() for batch in BATCHES}
    is_official = digests == SHA256  # then a marker beside the files makes no difference
    rows, sha256 = dict.fromkeys(BATCHES, official.BATCH_ROWS), SHA256
    if (source.path / MARKER).is_file() and not is_official:
        rows, sha256 = _read_marker(source.path / MARKER)
    for batch in BATCHES:
        size, expected = len(contents[batch]), rows[batch] * ROW_BYTES
        if size != expected:
            raise refused(
                f"{paths[batch]} is {'truncated' if size < expected else 'too long'}: {size:,} bytes.",
                f"Expected {expected:,} bytes: {rows[batch]:,} rows of {ROW_BYTES:,}.",
            )
        problem = "has the right size but not the expected content: at least one byte differs."
        _compare(batch, digests[batch], sha256, path=paths[batch], problem=problem)
    train, test = b"".join(contents.pop(batch) for batch in TRAIN_BATCHES), contents.pop("test_batch")
    images, labels = _arrays(train)
    return Dataset(
        name="CIFAR-10" if is_official else "synthetic shapes",
        class_names=official.CLASS_NAMES if is_official else drawn.CLASS_NAMES,
        images=images,
        labels=labels,
        fingerprint={"train": hashlib.sha256(train).hexdigest(), "test": hashlib.sha256(test).hexdigest()},
        source=str(source.path),
        _test=_arrays(test),
    )


def _read(source: Source) -> tuple[Version, dict[str, bytes]]:
    """The version of a source, and the contents of those of its six files that exist."""
    regular = [path for path in source.files() if path.is_file()]  # reading a pipe would block for ever
    for path in regular:
        if (size := path.stat().st_size) > _LIMIT:
            raise refused(f"{path} is too long: {size:,} bytes.", f"Expected at most {_LIMIT:,} bytes.")
    if source.version is not None:
        return source.version, {path.stem: path.read_bytes() for path in regular if path.stem in BATCHES}
    with source.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        for version in VERSIONS:
            if version.sha256 == digest:
                file.seek(0)
                with tarfile.open(fileobj=file) as archive:  # in memory: nothing is extracted to the disk
                    members = {b: archive.extractfile(f"{version.folder}/{n}") for b, n in version.names.items()}
                    return version, {batch: member.read() for batch, member in members.items() if member}
    expected = " or ".join(f"{version.sha256} ({version.archive})" for version in VERSIONS)
    raise refused(
        f"{source.path} is not an official archive of CIFAR-10, or its download is incomplete. It was not opened.",
        f"Its SHA-256 is {digest}, expected {expected}.",
    )


def _unpickled(batch: str, content: bytes, path: str) -> bytes:
    """A file of the Python version in the binary layout. It is unpickled only if it is the official one."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    _compare(batch, md5, MD5, path=path, problem="is not the official file and was not opened.")
    loaded = pickle.loads(content, encoding="bytes")
    labels = np.array(loaded[b"labels"], dtype=np.uint8)[:, np.newaxis]
    return np.concatenate([labels, loaded[b"data"]], axis=1).tobytes()


def _read_marker(path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """The number of rows and the SHA-256 of each batch of drawn images, from the file that `drawn.write` left there."""
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
        return {batch: int(marker["rows"][batch]) for batch in BATCHES}, {b: str(marker["sha256"][b]) for b in BATCHES}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise refused(
            f"{path}: the marker of drawn images is damaged ({error}).",
            "Expected the file that `kerascifar demo` writes.",
            "Remove that folder and run `kerascifar demo` again, or name CIFAR-10 with --data.",
        ) from None


def _compare(batch: str, digest: str, checksums: Mapping[str, str], *, path: str, problem: str) -> None:
    """Raises `UserError` unless `digest` is the checksum of the batch; recognizes the content of another batch."""
    if digest == checksums[batch]:
        return
    expected = f"Its checksum is {digest}, expected {checksums[batch]}."
    for other, checksum in checksums.items():
        if digest == checksum:
            raise refused(
                f"{path} holds the content of {other}.",
                f"{expected} The order of the files decides the index of every image.",
            )
    raise refused(f"{path} {problem}", expected)


def _arrays(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, 32, 32, 3), and labels, int64 (n,), from the binary layout. Both are read-only."""
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, ROW_BYTES)
    pixels = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32 * 32).transpose(0, 2, 1))
    images, labels = pixels.reshape(-1, 32, 32, 3), rows[:, 0].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels
