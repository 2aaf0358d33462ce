"""Batches of images for `fit`. Their order and augmentation depend only on (seed, epoch, position)."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerascifar.images import cifar10
from kerascifar.images.official import CLASSES
from kerascifar.training.augmentation import BatchAugmenter

# Each use of randomness draws from its own stream of the run's seed.
ORDER, AUGMENTATION, DROPOUT = range(3)
AHEAD = 2  # batches prepared while the model trains on another


def random_stream(seed: int, *position: int) -> np.random.SeedSequence:
    """The random stream for one use: `seed`, then its purpose, epoch, and batch or layer."""
    return np.random.SeedSequence(entropy=seed, spawn_key=position)


class Batches(keras.utils.PyDataset):
    """The images at `indices` in batches, scaled to 0..1.

    Args:
        images: uint8 (n, 32, 32, 3); may be memory-mapped.
        labels: int64 (n,).
        indices: int (m,), the images to use.
        batch_size: images per batch; the last batch holds the remainder.
        seed: a run's seed, which shuffles each epoch differently. None, for validation: no shuffling or augmentation.
        augmentation: arguments of ImageDataGenerator, or None.
        on_gpu: transform the images on the GPU.
        one_hot: labels are float32 (n, 10), as mixup needs them, instead of int32 (n,).

    Set `epoch` before each epoch.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray,
        batch_size: int,
        *,
        seed: int | None = None,
        augmentation: Mapping[str, Any] | None = None,
        on_gpu: bool = False,
        one_hot: bool = False,
    ) -> None:
        super().__init__()
        self.images, self.indices, self.batch_size, self.seed = images, indices, batch_size, seed
        self.labels = np.eye(CLASSES, dtype="float32")[labels] if one_hot else labels.astype("int32")
        self.augmenter = BatchAugmenter(on_gpu, **augmentation) if augmentation is not None else None
        self.epoch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch, self._order = epoch, self.indices
        if self.seed is not None:
            self._order = np.random.default_rng(random_stream(self.seed, ORDER, epoch)).permutation(self.indices)

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __getitem__(self, number: int) -> tuple[Any, np.ndarray]:
        chosen = self._order[number * self.batch_size : (number + 1) * self.batch_size]
        images, labels = cifar10.scale(self.images[chosen]), self.labels[chosen]
        if self.augmenter is None or self.seed is None:
            return images, labels
        stream = random_stream(self.seed, AUGMENTATION, self.epoch, number)
        parameters = self.augmenter.draw(len(images), images.shape[1:], stream)
        transformed = self.augmenter.apply_transforms(images, parameters)
        return self.augmenter.mix(transformed, labels, parameters) if self.augmenter.mixup else (transformed, labels)

    def feed(self) -> Any:
        """The input for `fit`: a `tf.data.Dataset` on TensorFlow, this object on other backends.

        Keras would create such a dataset itself, but with tf.data's autotuning. There is nothing to tune here, and the
        autotuner can sleep for seconds after an epoch has ended.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        labels = tf.TensorSpec((None, *self.labels.shape[1:]), self.labels.dtype)
        signature = (tf.TensorSpec((None, *self.images.shape[1:]), "float32"), labels)
        dataset = tf.data.Dataset.from_generator(
            lambda: map(self.__getitem__, range(len(self))), output_signature=signature
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        counted = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.prefetch(AHEAD).with_options(options)
