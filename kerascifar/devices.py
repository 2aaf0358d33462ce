"""One run on several devices: Keras's own data parallelism. Each step's batch is the row's, divided between them."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from kerascifar.errors import UserError


def names() -> list[str]:
    """The GPUs (or TPUs) that Keras can train on together; where it sees none, its CPU devices."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [d.name for d in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    if keras.backend.backend() == "jax":
        return list(keras.distribution.list_devices())
    raise UserError(f"--devices all needs Keras on TensorFlow or JAX; here it runs on {keras.backend.backend()}.")


@contextmanager
def parallel(wanted: str) -> Iterator[int]:
    """Inside, a model is built and trained on several devices.

    On JAX all is as on one device but for rounding. On TensorFlow each device draws its own Dropout masks, and
    BatchNormalization is to be built with `synchronized` (see `synchronize`).

    Args:
        wanted: "one", or "all" that there are.
    Yields:
        How many they are.
    Raises:
        UserError: a backend that cannot.
    """
    found = names() if wanted == "all" else []
    if len(found) < 2:
        yield 1
    elif keras.backend.backend() == "jax":
        with keras.distribution.DataParallel(devices=found).scope():
            yield len(found)
    else:
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(found).scope():
            yield len(found)


def synchronize(network: keras.Sequential, on: bool) -> None:
    """Has BatchNormalization take its statistics from the whole batch, not from each device's part of it."""
    if keras.backend.backend() == "tensorflow":  # JAX computes as if there were one device
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = on


def check_batches(sizes: set[int], count: int) -> None:
    """Raises a `UserError` unless `count` devices can share batches of these sizes."""
    if keras.backend.backend() == "jax" and (odd := sorted(size for size in sizes if size % count)):
        raise UserError(
            f"{count} devices cannot share a batch of {odd[0]} images evenly, as JAX needs it.\n"
            "Choose another batch size, or fewer devices (CUDA_VISIBLE_DEVICES)."
        )
