"""CIFAR-10: finds, verifies and caches the images.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The index of an image is the
official one everywhere: its row in `data_batch_1` to `data_batch_5` put end to end, or in `test_batch`.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from kerascifar.common.errors import UserError
from kerascifar.images import cache, sources, verification
from kerascifar.images.dataset import Dataset, class_counts, scale, split, split_fingerprint, test_split
from kerascifar.images.drawn import MARKER
from kerascifar.images.official import BINARY, CLASS_NAMES, FINGERPRINT, PYTHON

__all__ = ["CLASS_NAMES", "MARKER", "Dataset", "load"]
__all__ += ["class_counts", "scale", "split", "split_fingerprint", "test_split"]


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    say: Callable[[str], None] = _to_stderr,
) -> Dataset:
    """Finds CIFAR-10, verifies it and keeps it in the user's cache folder, so that the next call takes milliseconds.

    Args:
        path: a folder that is, or contains, `cifar-10-batches-bin` or `cifar-10-batches-py`, the `.tar.gz` of one of
            them, or a folder that contains such an archive. The default is the environment's `KERASCIFAR_DATA`;
            without it, Keras's cache, then our own, then a download by Keras.
        download: whether CIFAR-10 may be downloaded if there is no copy.
        say: receives a line when something takes time or goes wrong.
    Returns:
        uint8 images, (50000, 32, 32, 3) for training and validation and (10000, 32, 32, 3) for the test, and labels.
    Raises:
        UserError: no images were found and the download failed or was not allowed, or those found are neither
            CIFAR-10 nor our drawn shapes.
    """
    if path is not None and not (isinstance(path, str | os.PathLike) and str(path)):
        raise UserError(f"path is {path!r}.\nExpected the path of a folder or an archive, such as '~/cifar'.")
    chosen = path or os.environ.get("KERASCIFAR_DATA")
    if chosen:
        try:
            folder = Path(chosen).expanduser()
        except RuntimeError:  # ~name, and no such user
            raise UserError(f"{chosen} begins with the name of a user who does not exist here.") from None
        return _load_from(folder, say)
    for copy in sources.keras_copies():
        try:
            return _load_from(copy, say)
        except UserError as error:  # an interrupted download or extraction; Keras would download again, as we do
            say(f"Skipping a damaged copy in Keras's cache. {str(error).splitlines()[0]}")
    cached = cache.find(FINGERPRINT, f"the verified copy in {cache.root()}")
    if cached is not None:
        return cached
    if not download:
        raise UserError(
            "There is no copy of CIFAR-10 on this machine yet.\n"
            "Download it with `kerascifar data`, or name a copy with --data."
        )
    try:
        downloaded = sources.download(say)
    except Exception as error:  # Keras raises no narrower class
        raise UserError(
            f"CIFAR-10 was not found, and its download failed ({getattr(error, 'reason', None) or error}).\n"
            "Looked for: --data (not given); KERASCIFAR_DATA (not set); Keras's cache in "
            f"{sources.keras_home()} (no intact copy); our cache {cache.root()} (no copy); {PYTHON.url} (failed).\n"
            f"Download {BINARY.url} on a machine that is online. Then name the file, or its folder, with --data or "
            "KERASCIFAR_DATA. `kerascifar demo` needs no data.\nNothing was trained."
        ) from None
    return _load_from(downloaded, say)


def _load_from(path: Path, say: Callable[[str], None]) -> Dataset:
    try:
        source = sources.locate(path)
        key = cache.source_key(source)
        cached = cache.find_source(key, str(source.path))
        if cached is not None:
            return cached
        say(f"Verifying {source.path} (only this once; from now on, loading takes milliseconds).")
        dataset = verification.verify(source)
    except OSError as error:
        raise sources.refused(
            f"{error.filename or path} cannot be read: {error.strerror or error}.",
            f"Expected a readable folder that contains {BINARY.folder} or {PYTHON.folder}, or the .tar.gz of one.",
        ) from None
    try:
        return cache.store(key, dataset)
    except OSError as error:
        reason = error.strerror or error
        say(f"The cache {cache.root()} cannot be used ({reason}): images stay in memory and are verified each time.")
        return dataset
