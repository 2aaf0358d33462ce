"""The split is a fixed function of the labels; scaling is exact."""

import hashlib
import struct

import numpy as np
import pytest

from kerascifar.images import cifar10


def test_the_split_is_stratified_and_sorted():
    """Fails if a class is favoured, an index is lost or used twice, or the order is not the official one."""
    labels = np.random.default_rng(2).permutation(np.repeat(np.arange(10), 50))
    train, validation = cifar10.split(labels)
    assert sorted([*train, *validation]) == list(range(500))
    assert np.bincount(labels[validation]).tolist() == [10] * 10
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
    assert (train.dtype, validation.dtype) == (np.int64, np.int64)


def test_the_split_depends_on_the_labels_alone():
    """Fails if the global random state, the labels' type or an earlier call has an influence."""
    labels = np.arange(500) % 10
    first = cifar10.split(labels)[1].tolist()
    np.random.seed(7)
    assert cifar10.split(labels.astype(np.uint8))[1].tolist() == first
    assert first[:6] == [1, 10, 14, 25, 26, 28]


def test_the_fingerprint_of_a_split():
    """Fails if it does not distinguish training from validation, or if the byte order is the machine's."""
    expected = hashlib.sha256(struct.pack("<4q", 2, 0, 5, 1)).hexdigest()
    assert cifar10.split_fingerprint(np.array([0, 5]), np.array([1])) == expected
    assert cifar10.split_fingerprint(np.array([0]), np.array([5, 1])) != expected


def test_scaling():
    """Fails if the range or the type differs, or if scaled images can be scaled again."""
    scaled = cifar10.scale(np.array([0, 51, 255], np.uint8))
    assert scaled.dtype == np.float32 and scaled.tolist() == [0.0, np.float32(0.2), 1.0]
    with pytest.raises(ValueError, match="must be uint8"):
        cifar10.scale(scaled)
