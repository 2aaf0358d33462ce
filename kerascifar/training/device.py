"""The device that Keras computes on: what it is, its cores, and how TensorFlow is set up on it."""

import contextlib
import ctypes
from dataclasses import dataclass

import keras

from kerascifar.common.errors import UserError
from kerascifar.common.machine import cores


@dataclass(frozen=True)
class Device:
    """What Keras computes on.

    Attributes:
        name: for people and records, e.g. "CPU, 2 cores" or "NVIDIA H100 80GB HBM3".
        is_cpu: otherwise it is an accelerator, usually a GPU.
    """

    name: str
    is_cpu: bool


def prepare(deterministic: bool = False) -> Device:
    """Settles how TensorFlow runs before its first operation; returns the device that Keras computes on.

    Args:
        deterministic: only operations that give the same bits each time. Not needed on a CPU; on a GPU sums are
            otherwise taken in any order, and a run that is resumed is the same only within rounding.
    Raises:
        UserError: `deterministic` on another backend than TensorFlow.
    """
    backend = keras.backend.backend()
    if deterministic and backend != "tensorflow":
        raise UserError(f"--deterministic needs Keras on TensorFlow; here it runs on {backend}.")
    keep_freed_memory()
    if backend == "tensorflow":
        import tensorflow as tf

        # With several inter-op threads, scheduling decides the order of sums in BatchNormalization's gradient, and no
        # two processes give the same bits. Once operations ran it is too late: the caller has made this choice.
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
    """Has glibc keep what a step frees for the next one: giving it back and fetching it again took up to a third of it.

    Values: the largest block not taken by mmap (32 MiB, the most that glibc accepts), how much may lie unused at the
    end of the heap, and how much more it grows than asked for.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in {-3: 32 << 20, -1: (1 << 31) - 1, -2: 64 << 20}.items():
            mallopt(parameter, value)
