"""A data set, and its split into 40,000 training, 10,000 validation and 10,000 test images."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kerascifar.images.official import CLASSES, FINGERPRINT

SPLIT_SEED = 20_090_408  # arbitrary, but it must never change: published records would lose their validation set
VALIDATION_PART = 5  # one image in five


@dataclass(frozen=True, eq=False)
class Dataset:
    """Verified images of CIFAR-10, or of drawn shapes in the same format. Only `test_split` gives the test images.

    Attributes:
        name: "CIFAR-10" or "synthetic shapes".
        class_names: ten, in label order.
        images: uint8 (n, 32, 32, 3), read-only: all images of the training files, in official order.
        labels: int64 (n,), 0..9.
        fingerprint: SHA-256 of the "train" and the "test" split in the binary layout, the same from every source.
        source: where the images were found, for people to read.
    """

    name: str
    class_names: tuple[str, ...]
    images: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    fingerprint: dict[str, str]
    source: str = ""
    _test: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    @cached_property
    def validation(self) -> frozenset[int]:
        """The official indices of the validation images."""
        return frozenset(split(self.labels)[1].tolist())

    @property
    def is_synthetic(self) -> bool:
        """Whether these are images other than CIFAR-10's. Their content decides, not a name or a file beside them."""
        return self.fingerprint != FINGERPRINT

    @cached_property
    def is_unchanged(self) -> bool:
        """Whether the images and labels are those of the fingerprint: a program may have replaced some of them."""
        if len(self.images) != len(self.labels):
            return False
        return hashlib.sha256(rows(self.images, self.labels).data).hexdigest() == self.fingerprint["train"]


def rows(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images in the binary layout, uint8 (n, 3073): each row is a label and the red, green and blue planes.

    Args:
        images: uint8 (n, 32, 32, 3).
        labels: integers (n,).
    """
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels[:, np.newaxis].astype(np.uint8), planes], axis=1)


def test_split(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The test images, uint8 (m, 32, 32, 3), and labels, int64 (m,). For the final evaluation and `focus` only.

    Choosing anything (epoch, row, layer) after looking at them would make the test result too good; `focus` measures
    trained models and chooses nothing.

    Raises:
        ValueError: the `Dataset` was not made by `load` and has none.
    """
    if dataset._test is None:
        raise ValueError("this data set has no test images")
    return dataset._test


test_split.__test__ = False  # type: ignore[attr-defined]  # despite its name, pytest must not run it as a test


def class_counts(dataset: Dataset) -> dict[str, list[int]]:
    """Images per label in "training", "validation" and "test". Returns counts only, never test images."""
    train, validation = split(dataset.labels)
    labels = {"training": dataset.labels[train], "validation": dataset.labels[validation]}
    if dataset._test is not None:
        labels["test"] = dataset._test[1]
    return {name: np.bincount(values, minlength=CLASSES).tolist() for name, values in labels.items()}


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divides the images of the training files into 80 % for training and 20 % for validation, class by class.

    The split depends only on the labels in official order: it is the same in every run, row and seed.

    Args:
        labels: int (n,), the labels of all images of the training files.
    Returns:
        Official indices of the training and validation images, int64, sorted: 40,000 and 10,000 for CIFAR-10.
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
    """Converts uint8 0..255 to float32 0..1, for any shape.

    Raises:
        ValueError: the images are not uint8, so they may have been scaled already.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, not {images.dtype}")
    return np.divide(images, np.float32(255), dtype=np.float32)
