"""A copy of verified images in the user's cache folder, memory-mapped, so that they are verified only once.

    data-<fingerprint>/   arrays and contents.json; written under another name, then renamed: complete or absent
    source-<key>.json     the fingerprint of a verified source; the key changes with its files' paths, sizes and times

An entry whose files have changed in size or time, or that has another layout, is not used but written again.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import platformdirs

from kerascifar.common import files
from kerascifar.images.dataset import Dataset, test_split
from kerascifar.images.sources import Source

_LAYOUT = 1
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)  # raised by reading a damaged entry


def root() -> Path:
    """The cache folder: the environment's `KERASCIFAR_CACHE`, or the user's."""
    return Path(os.environ.get("KERASCIFAR_CACHE") or platformdirs.user_cache_dir("kerascifar", appauthor=False))


def source_key(source: Source) -> str:
    """Identifies the state of a source's files. Take it before reading them, so that a later change is noticed."""
    existing = [path for path in source.files() if path.exists()]
    facts = [_LAYOUT, *([str(path.absolute()), *_size_and_time(path)] for path in existing)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def find_source(key: str, source: str) -> Dataset | None:
    """The images of a source that was verified in the same state; None if it was not, or if the cache is damaged."""
    try:
        return find(json.loads((root() / f"source-{key}.json").read_text(encoding="utf-8")), source)
    except _DAMAGED:
        return None


def find(fingerprint: dict[str, str], source: str) -> Dataset | None:
    """The images with this fingerprint, memory-mapped; None if they are absent or damaged.

    Args:
        fingerprint: SHA-256 of the "train" and the "test" split.
        source: where the images were found, for people to read.
    """
    try:
        folder = _folder(fingerprint)
        contents = json.loads((folder / "contents.json").read_text(encoding="utf-8"))
        unchanged = all(_size_and_time(folder / name) == expected for name, expected in contents["files"].items())
        if contents["layout"] != _LAYOUT or contents["fingerprint"] != fingerprint or not unchanged:
            return None
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return Dataset(
            name=contents["name"],
            class_names=tuple(contents["class_names"]),
            images=arrays["train_images"],
            labels=arrays["train_labels"],
            fingerprint=fingerprint,
            source=source,
            _test=(arrays["test_images"], arrays["test_labels"]),
        )
    except _DAMAGED:
        return None


def store(key: str, dataset: Dataset) -> Dataset:
    """Writes the images of a source to the cache. Several processes may do so at once.

    Returns:
        The same data set, memory-mapped.
    Raises:
        OSError: the cache cannot be written.
    """
    folder = _folder(dataset.fingerprint)
    root().mkdir(parents=True, exist_ok=True)
    files.remove_unfinished(root(), older=files.A_DAY)  # left by a killed process, 180 MB each
    if find(dataset.fingerprint, dataset.source) is None:
        with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=root(), ignore_cleanup_errors=True) as temporary:
            _write(Path(temporary), dataset)
            if find(dataset.fingerprint, dataset.source) is None:
                shutil.rmtree(folder, ignore_errors=True)  # damaged
                with contextlib.suppress(OSError):  # another process was faster
                    os.rename(temporary, folder)
    files.write_text(root() / f"source-{key}.json", json.dumps(dataset.fingerprint) + "\n")
    stored = find(dataset.fingerprint, dataset.source)
    if stored is None:
        raise OSError("another process changed it")
    return stored


def _write(folder: Path, dataset: Dataset) -> None:
    for name, array in zip(_ARRAYS, (dataset.images, dataset.labels, *test_split(dataset)), strict=True):
        np.save(folder / f"{name}.npy", array)
        files.flush(folder / f"{name}.npy")
    contents = {
        "layout": _LAYOUT,
        "name": dataset.name,
        "class_names": dataset.class_names,
        "fingerprint": dataset.fingerprint,
        "files": {f"{name}.npy": _size_and_time(folder / f"{name}.npy") for name in _ARRAYS},
    }
    files.write_text(folder / "contents.json", json.dumps(contents, indent=1) + "\n")


def _folder(fingerprint: dict[str, str]) -> Path:
    return root() / f"data-{fingerprint['train'][:16]}-{fingerprint['test'][:16]}"


def _size_and_time(path: Path) -> list[int]:
    return [path.stat().st_size, path.stat().st_mtime_ns]
