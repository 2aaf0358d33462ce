"""CIFAR-10: find or download, verify, fingerprint, keep memory-mapped, split 40,000/10,000/10,000, scale to 0..1.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. An image's index is the official
one everywhere: its row in `data_batch_1 … 5` put end to end, or in `test_batch`.

Nothing found on disk is trusted. A pickle or an archive is opened only when it has the published checksum, as either
could run code or write files. Whatever the source, the rows are brought into the binary version's layout and their
SHA-256 are compared with the official ones, so what a file claims to be never matters.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import socket
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from kerascifar.common import files
from kerascifar.common.errors import UserError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASSES = len(CLASS_NAMES)
TRAIN_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
BATCHES = (*TRAIN_BATCHES, "test_batch")
PIXELS = 32 * 32
ROW_BYTES = 1 + 3 * PIXELS  # label, red plane, green plane, blue plane
BATCH_ROWS = 10_000
BATCH_BYTES = BATCH_ROWS * ROW_BYTES

# Of the whole split in the binary layout, and of each file: the lists of github.com/ankane/torchvision-ruby.
TRAIN_SHA256 = "a0181da372c0d63a5920fdbea2ec3f83ecbc552d378218e1cb473cf634941a3b"
TEST_SHA256 = "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"
_BATCH_SHA256 = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    TEST_SHA256,
)

BINARY_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
# What keras.datasets.cifar10 downloads, its SHA-256 and the name under which it keeps the archive (Keras 3.15).
KERAS_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
KERAS_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
KERAS_ARCHIVE = "cifar-10-batches-py-target_archive"
BINARY_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
# What Keras 3, early Keras 3 and Keras 2 leave in their `datasets` folder.
_KERAS_NAMES = (
    "cifar-10-batches-py-target",
    KERAS_ARCHIVE,
    "cifar-10-batches-py-target.tar.gz",
    "cifar-10-batches-py",
    "cifar-10-batches-py_archive",
    "cifar-10-batches-py.tar.gz",
)

BINARY_FOLDER = "cifar-10-batches-bin"
PYTHON_FOLDER = "cifar-10-batches-py"
_SUFFIX = {BINARY_FOLDER: ".bin", PYTHON_FOLDER: ""}  # of the six files in each version
# The published checksums of what is opened only if it has them: archives, and the Python version's files, which are
# pickles (torchvision/datasets/cifar.py lists their MD5).
_ARCHIVE_SHA256 = {BINARY_SHA256: BINARY_FOLDER, KERAS_SHA256: PYTHON_FOLDER}
_PICKLE_MD5 = dict(
    zip(
        (
            "c99cafc152244af753f735de768cd75f",
            "d4bba439e000b95fd0a9bffe97cbabec",
            "54ebc095f3ab1f0389bbae665268c751",
            "634d18415352ddfa80567beed471001a",
            "482c414d41f54cd18b22e5b47cb7c3cb",
            "40351d587109b95175f43aff81a1287e",
        ),
        BATCHES,
        strict=True,
    )
)
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
MARKER = "synthetic.json"
SYNTHETIC = "synthetic shapes"

SPLIT_SEED = 20_090_408  # any number would do; it must never change, or published records lose their validation set
VALIDATION_PART = 5  # one image of five

_LIMIT = 200_000_000  # bytes of a file that is read at all; the official archives have 170 MB
_LIMIT_MARKER = 100_000
_LAYOUT = 1  # of our cache; another number makes every older cache unknown
_TIMEOUT_S = 30
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Verified images of CIFAR-10, or of the drawn shapes in the same format. Test images: only by `test_split`.

    Attributes:
        name: "CIFAR-10" or "synthetic shapes".
        class_names: ten, in label order.
        images: uint8 (n, 32, 32, 3), read-only: all images of the training files, in official order.
        labels: int64 (n,), 0..9.
        fingerprint: SHA-256 of the "train" and the "test" split in the binary layout, the same from every source.
        source: where the images were found, for people.
    """

    name: str
    class_names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    fingerprint: dict[str, str]
    source: str = ""
    _test: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    @cached_property
    def validation(self) -> frozenset[int]:
        """The official indices of the validation images."""
        return frozenset(split(self.labels)[1].tolist())

    @property
    def is_synthetic(self) -> bool:
        """Whether these are other images than CIFAR-10's; decided by content, not by name or by what lies beside."""
        return self.fingerprint != _OFFICIAL.fingerprint


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def load(path: Path | None = None, *, download: bool = True, say: Callable[[str], None] = _to_stderr) -> Dataset:
    """Finds CIFAR-10, verifies it and keeps it in the user's cache folder, so that the next call takes milliseconds.

    Args:
        path: a folder that holds, or is, `cifar-10-batches-bin` or `cifar-10-batches-py`, or the `.tar.gz` of one of
            them, or a folder that holds such an archive. Without it: the environment's `KERASCIFAR_DATA`, else Keras's
            own cache, else our own cache, else Keras's own download.
        download: whether it may be fetched where there is none.
        say: is given a line when something takes time or went unexpectedly.
    Raises:
        UserError: nothing was found and the download failed or is not wanted, or what was found is not CIFAR-10 or our
            drawn shapes.
    """
    chosen = path or os.environ.get("KERASCIFAR_DATA")
    if chosen:
        return _from_path(Path(chosen).expanduser(), say)
    damaged = []
    for candidate in _keras_candidates():
        try:
            return _from_path(candidate, say)
        except UserError as error:  # a killed download or extraction; Keras downloads anew then, and so do we
            damaged.append(str(candidate))
            say(f"Leaving out a damaged copy in Keras's cache. {str(error).splitlines()[0]}")
    cached = _open_cache(_OFFICIAL.fingerprint, f"the verified copy in {_cache_root()}")
    if cached is not None:
        return cached
    if not download:
        raise UserError(
            "There is no copy of CIFAR-10 here yet.\n`python -m kerascifar data` fetches it, or --data names one."
        )
    return _from_path(_download(damaged, say), say)


def test_split(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The test images, uint8 (m, 32, 32, 3), and labels, int64 (m,). Only the final evaluation and `focus` call this.

    A choice of any kind (epoch, row, layer) made after looking at them would make the test result too good; what
    `focus` measures of trained models chooses nothing.

    Raises:
        ValueError: the `Dataset` was not made by `load` and has none.
    """
    if dataset._test is None:
        raise ValueError("this data set has no test images")
    return dataset._test


def class_counts(dataset: Dataset) -> dict[str, list[int]]:
    """Images per label of "training", "validation" and "test": counts only, so no test image is handed out."""
    parts = split(dataset.labels)
    labels = {"training": dataset.labels[parts[0]], "validation": dataset.labels[parts[1]]}
    if dataset._test is not None:
        labels["test"] = dataset._test[1]
    return {name: np.bincount(values, minlength=CLASSES).tolist() for name, values in labels.items()}


test_split.__test__ = False  # type: ignore[attr-defined]  # its name begins with test_, but it is no test for pytest


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divides the training files' images into 80 % for training and 20 % for validation, class by class.

    A function of the labels in official order and of nothing else: the same images in every run, row and seed.

    Args:
        labels: int (n,), the labels of all images of the training files.
    Returns:
        Training and validation indices, int64, sorted, official: 40,000 and 10,000 for CIFAR-10.
    """
    random = np.random.RandomState(SPLIT_SEED)  # its sequence is frozen (NEP 19); a Generator's may change with NumPy
    chosen = np.zeros(len(labels), dtype=bool)
    for label in range(CLASSES):
        members = np.flatnonzero(labels == label)
        chosen[random.permutation(members)[: len(members) // VALIDATION_PART]] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def split_fingerprint(train: np.ndarray, validation: np.ndarray) -> str:
    """SHA-256 of the number of training indices, the training and the validation indices, as little-endian int64."""
    return hashlib.sha256(np.concatenate([[len(train)], train, validation]).astype("<i8").tobytes()).hexdigest()


def scale(images: np.ndarray) -> np.ndarray:
    """uint8 0..255 to float32 0..1, any shape.

    Raises:
        ValueError: the images are not uint8, so they may have been scaled already.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, not {images.dtype}")
    return np.divide(images, np.float32(255), dtype=np.float32)


# ---- What is expected ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Expected:
    """What the six files must hold: CIFAR-10's values, or those in the marker beside drawn shapes."""

    name: str
    class_names: tuple[str, ...]
    rows: dict[str, int]  # of each batch
    sha256: dict[str, str]  # of each batch in the binary layout
    fingerprint: dict[str, str]


_OFFICIAL = _Expected(
    "CIFAR-10",
    CLASS_NAMES,
    dict.fromkeys(BATCHES, BATCH_ROWS),
    dict(zip(BATCHES, _BATCH_SHA256, strict=True)),
    {"train": TRAIN_SHA256, "test": TEST_SHA256},
)


def _refused(what: str, expected: str, do: str = "") -> UserError:
    do = do or f"Download {BINARY_URL} anew, or name another copy with --data or KERASCIFAR_DATA."
    return UserError(f"{what}\n{expected}\n{do}\nNothing was trained and no file was changed.")


def _read_marker(path: Path) -> _Expected:
    """The marker that `kerascifar.images.drawn` writes beside its images. Raises `UserError` where it is malformed."""
    try:
        if path.stat().st_size > _LIMIT_MARKER:
            raise ValueError("it is too long")
        marker = json.loads(path.read_text(encoding="utf-8"))
        names, rows, sha256, fingerprint = (marker[k] for k in ("class_names", "rows", "sha256", "fingerprint"))
        if not (isinstance(names, list) and len(set(names)) == len(names) == CLASSES):
            raise ValueError(f"class_names are not {CLASSES} different names")
        if not all(isinstance(name, str) and _CLASS_NAME.fullmatch(name) for name in names):
            raise ValueError("a class name has other characters than letters, digits, space, _ and -")
        if set(rows) != set(BATCHES) or set(sha256) != set(BATCHES) or set(fingerprint) != {"train", "test"}:
            raise ValueError("a file or a split is missing or unknown")
        if not all(type(n) is int and 0 < n <= BATCH_ROWS for n in rows.values()):
            raise ValueError(f"rows are not 1 to {BATCH_ROWS:,}")
        if not all(_SHA256.fullmatch(value) for value in (*sha256.values(), *fingerprint.values())):
            raise ValueError("a SHA-256 is malformed")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(
            f"{path}: the marker of drawn images is damaged ({error}).",
            "Expected what `make demo` writes.",
            "Remove that folder and run `make demo` again, or name CIFAR-10 with --data.",
        ) from None
    return _Expected(SYNTHETIC, tuple(names), rows, sha256, fingerprint)


# ---- Where it is found -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A folder of six files, or an archive of such a folder."""

    path: Path
    version: str | None  # BINARY_FOLDER or PYTHON_FOLDER; None: an archive, which tells when it is read

    def files(self) -> list[Path]:
        """Everything that is read, so everything whose change must be noticed."""
        if self.version is None:
            return [self.path]
        marker = [self.path / MARKER] if self.version == BINARY_FOLDER and (self.path / MARKER).is_file() else []
        return [self.path / (batch + _SUFFIX[self.version]) for batch in BATCHES] + marker


def _locate(path: Path) -> _Source | None:
    """What there is to read at `path`; None if nothing."""
    if path.is_file():
        return _Source(path, None)
    for version, suffix in _SUFFIX.items():
        if any((path / (batch + suffix)).is_file() for batch in BATCHES) or (path.name == version and path.is_dir()):
            return _Source(path, version)
    for version in _SUFFIX:
        if (path / version).is_dir():
            return _Source(path / version, version)
    for name in _ARCHIVES:
        if (path / name).is_file():
            return _Source(path / name, None)
    return None


def _keras_home() -> Path:
    """As keras.utils.get_file chooses it, which uses /tmp where the home folder cannot be written."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    if home.exists() and not os.access(home, os.W_OK):
        return Path("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()) / ".keras"
    return home


def _keras_folders() -> list[Path]:
    usual = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    return list(dict.fromkeys(home / "datasets" for home in (usual, _keras_home())))


def _keras_candidates() -> list[Path]:
    paths = [folder / name for folder in _keras_folders() for name in _KERAS_NAMES]
    return [path for path in paths if _locate(path) is not None]


def _download(damaged: list[str], say: Callable[[str], None]) -> Path:
    """Keras's own download, checked by Keras against its published SHA-256, to where Keras itself looks for it.

    Raises:
        UserError: it failed. The text says what was looked for where.
    """
    try:
        # Offline, this fails at once, before TensorFlow is loaded; it also finds a server that does not answer.
        urllib.request.urlopen(KERAS_URL, timeout=_TIMEOUT_S).close()
        say(f"Downloading CIFAR-10 (163 MiB) from {KERAS_URL} to {_keras_home() / 'datasets'}.")
        import keras

        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_TIMEOUT_S)  # get_file has no timeout of its own
        try:
            found = keras.utils.get_file(
                fname=KERAS_ARCHIVE, origin=KERAS_URL, file_hash=KERAS_SHA256, cache_dir=str(_keras_home())
            )
        finally:
            socket.setdefaulttimeout(before)
        return Path(found)
    except Exception as error:  # get_file raises bare Exception
        reason = getattr(error, "reason", None) or error
        folders = ", ".join(str(folder) for folder in _keras_folders())
        raise UserError(
            f"CIFAR-10 was not found, and its download failed ({reason}).\n"
            "Looked for: --data (not given); KERASCIFAR_DATA (not set); "
            f"Keras's cache, {folders} ({'damaged: ' + ', '.join(damaged) if damaged else 'nothing there'}); "
            f"a verified copy in {_cache_root()} (none); {KERAS_URL} (failed).\n"
            f"Download {BINARY_URL} on a machine that is online, and name the file, or the folder that it lies in, "
            "with --data or KERASCIFAR_DATA. `make demo` needs no data.\n"
            "Nothing was trained."
        ) from None


# ---- Reading and verifying -------------------------------------------------------------------------------------------


def _from_path(path: Path, say: Callable[[str], None]) -> Dataset:
    try:
        source = _locate(path)
        if source is None:
            state = "has no CIFAR-10 in it" if path.is_dir() else "does not exist"
            raise _refused(
                f"{path}: {state}.",
                f"Expected a folder that holds, or is, {BINARY_FOLDER} or {PYTHON_FOLDER}, or the .tar.gz of one.",
                f"Name it with --data or KERASCIFAR_DATA. It can be downloaded from {BINARY_URL}; `make demo` needs "
                "no data.",
            )
        key = _source_key(source)
        cached = _open_source(key, str(source.path))
        if cached is not None:
            return cached
        say(f"Verifying {source.path} (once; the next start takes milliseconds).")
        expected, batches = _verified(source)
    except OSError as error:
        raise _refused(
            f"{error.filename or path}: cannot be read ({error.strerror or error}).",
            f"Expected a readable folder that holds {BINARY_FOLDER} or {PYTHON_FOLDER}, or a .tar.gz of one of them.",
        ) from None
    arrays = {
        "train": _to_arrays([batches[batch] for batch in TRAIN_BATCHES]),
        "test": _to_arrays([batches["test_batch"]]),
    }
    del batches
    try:
        _store(key, expected, arrays)
        cached = _open_cache(expected.fingerprint, str(source.path))
        if cached is not None:
            return cached
        reason = "it was changed meanwhile"
    except OSError as error:
        reason = error.strerror or str(error)
    say(f"The cache {_cache_root()} cannot be used ({reason}): the images stay in memory and are verified each time.")
    return _dataset(expected.name, expected.class_names, expected.fingerprint, arrays, str(source.path))


def _dataset(
    name: str,
    class_names: tuple[str, ...],
    fingerprint: dict[str, str],
    arrays: dict[str, tuple[np.ndarray, np.ndarray]],
    source: str,
) -> Dataset:
    for array in (*arrays["train"], *arrays["test"]):
        array.flags.writeable = False
    return Dataset(name, class_names, *arrays["train"], fingerprint, source, arrays["test"])


def _verified(source: _Source) -> tuple[_Expected, dict[str, np.ndarray]]:
    """What the source holds, proved, and its six batches: uint8 (rows · 3073,), the binary layout.

    Raises:
        UserError: a file is missing, cannot be read, or holds anything else than it must.
    """
    marker = source.files()[-1]
    expected = _read_marker(marker) if marker.name == MARKER else _OFFICIAL
    if source.version is None:
        version, raw = _read_archive(source.path)
    else:
        version, raw = source.version, _read_folder(source, expected)
    where = {batch: f"{source.path}: {batch}{_SUFFIX[version]}" for batch in BATCHES}
    for batch in BATCHES:
        if batch not in raw:
            raise _refused(f"{where[batch]} is missing.", f"Expected six files: {', '.join(_names(version))}.")
    batches = {}
    for batch in BATCHES:
        content = raw.pop(batch)
        batches[batch] = (
            _unpickled(where[batch], batch, content)
            if version == PYTHON_FOLDER
            else np.frombuffer(content, dtype=np.uint8)
        )
    found = {batch: hashlib.sha256(batches[batch].data).hexdigest() for batch in BATCHES}
    if found == _OFFICIAL.sha256:
        expected = _OFFICIAL  # whatever a marker beside it says
    for batch in BATCHES:
        _compare(where[batch], batch, batches[batch], found[batch], expected)
    _compare_splits(source.path, batches, expected)
    return expected, batches


def _names(version: str) -> list[str]:
    return [batch + _SUFFIX[version] for batch in BATCHES]


def _compare(where: str, batch: str, content: np.ndarray, sha256: str, expected: _Expected) -> None:
    """Raises `UserError` unless one batch holds what it must; tells as closely as possible what is wrong."""
    rows = expected.rows[batch]
    if len(content) != rows * ROW_BYTES:
        raise _wrong_size(where, len(content), rows)
    if sha256 == expected.sha256[batch]:
        return
    for other, value in expected.sha256.items():
        if sha256 == value:
            raise _refused(
                f"{where} holds the content of {other}{_SUFFIX[BINARY_FOLDER]}.",
                f"Expected its own: the order of the files decides every image's index. SHA-256 {sha256}, "
                f"expected {expected.sha256[batch]}.",
                f"Give the files their right names, or download {BINARY_URL} anew.",
            )
    labels = content[::ROW_BYTES]
    wrong = np.flatnonzero(labels >= CLASSES)
    if len(wrong):
        raise _refused(
            f"{where} has the label {labels[wrong[0]]} in row {wrong[0]}.",
            f"Expected labels 0 to {CLASSES - 1}, and SHA-256 {expected.sha256[batch]}, not {sha256}.",
        )
    raise _refused(
        f"{where} has the right size but is not the official content: at least one byte differs.",
        f"Its SHA-256 is {sha256}, expected {expected.sha256[batch]}.",
    )


def _wrong_size(where: str, size: int, rows: int) -> UserError:
    state = "truncated" if size < rows * ROW_BYTES else "too long"
    return _refused(
        f"{where} is {state}: {size:,} bytes.",
        f"Expected {rows * ROW_BYTES:,} bytes: {rows:,} rows of {ROW_BYTES:,}.",
    )


def _compare_splits(path: Path, batches: dict[str, np.ndarray], expected: _Expected) -> None:
    """Raises `UserError` unless both splits have all classes equally often and the expected SHA-256."""
    for name, members in (("train", TRAIN_BATCHES), ("test", ("test_batch",))):
        digest, counts = hashlib.sha256(), np.zeros(CLASSES, dtype=np.int64)
        for batch in members:
            digest.update(batches[batch].data)
            counts += np.bincount(batches[batch][::ROW_BYTES], minlength=CLASSES)[:CLASSES]
        total = sum(expected.rows[batch] for batch in members)
        if (counts != total // CLASSES).any():
            raise _refused(
                f"{path}: the {name} images per class are {', '.join(map(str, counts))}.",
                f"Expected {total // CLASSES:,} of each class.",
            )
        if digest.hexdigest() != expected.fingerprint[name]:
            raise _refused(
                f"{path}: the {name} images have the SHA-256 {digest.hexdigest()}.",
                f"Expected {expected.fingerprint[name]}.",
            )


def _to_arrays(batches: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Batches in the binary layout to images, uint8 (n, 32, 32, 3), and labels, int64 (n,)."""
    rows = [batch.reshape(-1, ROW_BYTES) for batch in batches]
    images = np.empty((sum(map(len, rows)), PIXELS, 3), dtype=np.uint8)
    start = 0
    for row in rows:
        for first in range(0, len(row), 1000):  # in pieces that fit the processor's cache
            piece = row[first : first + 1000, 1:].reshape(-1, 3, PIXELS)
            images[start : start + len(piece)] = piece.transpose(0, 2, 1)
            start += len(piece)
    return images.reshape(-1, 32, 32, 3), np.concatenate([row[:, 0] for row in rows]).astype(np.int64)


def _read_folder(source: _Source, expected: _Expected) -> dict[str, bytes]:
    """The content of those of the six files that are there, as they are on disk."""
    assert source.version is not None
    raw = {}
    for batch in BATCHES:
        path = source.path / (batch + _SUFFIX[source.version])
        if path.is_file():  # not a folder, and not a pipe, which would wait for ever
            if source.version == BINARY_FOLDER and path.stat().st_size > BATCH_BYTES:
                raise _wrong_size(f"{source.path}: {path.name}", path.stat().st_size, expected.rows[batch])
            _check_length(path)
            raw[batch] = path.read_bytes()
    return raw


def _check_length(path: Path) -> None:
    """Raises `UserError` before more is read than any file of CIFAR-10 holds."""
    if (size := path.stat().st_size) > _LIMIT:
        raise _refused(f"{path} is too long: {size:,} bytes.", f"Expected at most {_LIMIT:,} bytes.")


def _read_archive(path: Path) -> tuple[str, dict[str, bytes]]:
    """The version in an official `.tar.gz`, and its six files, read in memory."""
    _check_length(path)
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 not in _ARCHIVE_SHA256:
        raise _refused(
            f"{path} is not an official archive of CIFAR-10, or its download is incomplete. It was not opened.",
            f"Expected {' or '.join(_ARCHIVES)} as downloaded: SHA-256 {' or '.join(_ARCHIVE_SHA256)}, not {sha256}.",
        )
    version = _ARCHIVE_SHA256[sha256]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {batch: archive.extractfile(f"{version}/{batch}{_SUFFIX[version]}") for batch in BATCHES}
        return version, {batch: member.read() for batch, member in members.items() if member is not None}


def _unpickled(where: str, batch: str, content: bytes) -> np.ndarray:
    """One file of the Python version as uint8 (10000 · 3073,), the binary layout.

    Raises:
        UserError: it is not the official file. It is not unpickled then, as a pickle can run code.
    """
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if (is_of := _PICKLE_MD5.get(md5)) != batch:
        what = f"holds the content of {is_of}" if is_of else "is not the official file, and was not opened"
        raise _refused(f"{where} {what}: MD5 {md5}.", f"Expected the file that {KERAS_URL} holds.")
    loaded = pickle.loads(content, encoding="bytes")
    return np.concatenate([np.array(loaded[b"labels"], dtype=np.uint8)[:, None], loaded[b"data"]], axis=1).reshape(-1)


# ---- The cache -------------------------------------------------------------------------------------------------------
# data-<fingerprint>/   the arrays and contents.json; made under another name, then renamed, so it is whole or absent
# source-<key>.json     the fingerprint that a source with these files, sizes and times was found to have


def _cache_root() -> Path:
    chosen = os.environ.get("KERASCIFAR_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("kerascifar", appauthor=False))


def _cache_folder(fingerprint: dict[str, str]) -> Path:
    return _cache_root() / f"data-{fingerprint['train'][:16]}-{fingerprint['test'][:16]}"


def _source_key(source: _Source) -> str:
    """Changes with every file's path, size or time. To be taken before reading, so that a later change is noticed."""
    facts: list[object] = [_LAYOUT]
    for path in source.files():
        if path.exists():
            stat = path.stat()
            facts.append([os.fsdecode(path.absolute()), stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _open_source(key: str, where: str) -> Dataset | None:
    """The cached arrays of a source that was verified before; None where anything is not as it was left."""
    try:
        fingerprint = json.loads((_cache_root() / f"source-{key}.json").read_text(encoding="utf-8"))
        return _open_cache({"train": str(fingerprint["train"]), "test": str(fingerprint["test"])}, where)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open_cache(fingerprint: dict[str, str], where: str) -> Dataset | None:
    """The cached arrays with this fingerprint, memory-mapped; None where they are absent or not as they were left."""
    folder = _cache_folder(fingerprint)
    try:
        contents = json.loads((folder / "contents.json").read_text(encoding="utf-8"))
        if contents["layout"] != _LAYOUT or contents["fingerprint"] != fingerprint:
            return None
        for name, left in contents["files"].items():
            if _size_and_time(folder / name) != left:
                return None
        arrays = {
            part: (
                np.load(folder / f"{part}_images.npy", mmap_mode="r"),
                np.load(folder / f"{part}_labels.npy"),
            )
            for part in ("train", "test")
        }
        return _dataset(contents["name"], tuple(contents["class_names"]), fingerprint, arrays, where)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _size_and_time(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _store(key: str, expected: _Expected, arrays: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Writes verified arrays to the cache. Safe for processes that do so at once. Raises `OSError`."""
    root, folder = _cache_root(), _cache_folder(expected.fingerprint)
    root.mkdir(parents=True, exist_ok=True)
    files.remove_unfinished(root, older=files.A_DAY)  # of a killed process, 180 MB each
    if _open_cache(expected.fingerprint, "") is None:
        with _temporary_folder(root) as temporary:
            for part, (images, labels) in arrays.items():
                for name, array in ((f"{part}_images.npy", images), (f"{part}_labels.npy", labels)):
                    with files.replacing(temporary / name) as path:
                        np.save(path, array)
            contents = {
                "layout": _LAYOUT,
                "name": expected.name,
                "class_names": expected.class_names,
                "fingerprint": expected.fingerprint,
                "files": {path.name: _size_and_time(path) for path in sorted(temporary.glob("*.npy"))},
            }
            files.write_text(temporary / "contents.json", json.dumps(contents, indent=1) + "\n")
            if _open_cache(expected.fingerprint, "") is None:  # still not there: no other process was faster
                # Renaming fails where another process did the same a moment ago, which is as good.
                with contextlib.suppress(OSError), _temporary_folder(root) as away:
                    if folder.exists():  # damaged; moved before it is removed, so that nobody reads a half of it
                        folder.rename(away / folder.name)
                    temporary.rename(folder)
    files.write_text(root / f"source-{key}.json", json.dumps(expected.fingerprint) + "\n")


@contextlib.contextmanager
def _temporary_folder(root: Path) -> Iterator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix=files.TEMPORARY, dir=root))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
