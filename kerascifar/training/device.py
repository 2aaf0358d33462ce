"""Finds the device that Keras computes on, and sets TensorFlow up for it."""

import contextlib
import ctypes
from dataclasses import dataclass

import keras

from kerascifar.common.load_keras import check_tensorflow
from kerascifar.common.machine import cores


@dataclass(frozen=True)
class Device:
    """The device that Keras computes on.

    Attributes:
        name: as shown and recorded, e.g. "CPU, 2 cores" or "NVIDIA H100 80GB HBM3".
        is_cpu: False for an accelerator, usually a GPU.
    """

    name: str
    is_cpu: bool


def prepare(deterministic: bool = False) -> Device:
    """Configures TensorFlow before its first operation; returns the device that Keras computes on.

    Args:
        deterministic: use only operations that give the same bits each time. Not needed on a CPU. A GPU otherwise sums
            in any order, so that a resumed run is equal only up to rounding.
    Raises:
        UserError: `deterministic` on a backend other than TensorFlow.
    """
    if deterministic:
        check_tensorflow("--deterministic needs")
    backend = keras.backend.backend()
    keep_freed_memory()
    if backend == "tensorflow":
        import tensorflow as tf

        # With several inter-op threads, scheduling decides the order of sums in BatchNormalization's gradient: no two
        # processes give the same bits. If operations have already run, this fails and the caller's setting stays.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_inter_op_parallelism_threads(1)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            return Device(str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")), False)
    elif backend == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return Device(str(jax.devices()[0].device_kind), False)
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return Device(str(torch.cuda.get_device_name()), False)
    return Device(f"CPU, {cores()} cores", True)


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory for the next training step.

    Returning it to the system and requesting it again took up to a third of a step. The values: the largest block that
    is not allocated by mmap (32 MiB, glibc's maximum), how much unused memory may stay at the end of the heap, and how
    much extra the heap grows.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # the C library is not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in {-3: 32 << 20, -1: (1 << 31) - 1, -2: 64 << 20}.items():
            mallopt(parameter, value)
