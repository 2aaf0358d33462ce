"""What a record says about where it was made: versions, device, source commit."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kerascifar
from kerascifar.common.machine import cores
from kerascifar.common.paths import CHECKOUT, PACKAGE

# What decides a result; records, pictures and documents may change without making it another program.
CODE = ["kerascifar", "experiments/*.toml", "pyproject.toml", "requirements*"]
# Variables of the libraries that compute: they choose kernels, threads, precision, or the order of sums.
PREFIXES = (
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "DNNL_",
    "GOMP_",
    "JAX_",
    "KERAS_",
    "KMP_",
    "MKL_",
    "NPY_",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "OPENCV_",
    "PYTORCH_",
    "TF_",
    "TORCH_",
    "XLA_",
)
# Those among them that name a folder of the machine's, or change only what is printed.
NOT_RECORDED = {"CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_CACHE_PATH", "KERAS_HOME", "TORCH_HOME"}
NOT_RECORDED_PARTS = ("LOG", "VERBOSE", "CACHE_DIR", "_DIR")
# Every package whose code computes a value of a run. jaxlib holds JAX's kernels; opencv fetches augmented pixels.
PACKAGES = ["tensorflow", "keras", "numpy", "scipy", "opencv-python-headless", "ml-dtypes", "jax", "jaxlib", "torch"]


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def commit() -> tuple[str | None, bool]:
    """The commit of this source and whether the code has uncommitted changes; (None, True) outside a git checkout."""
    head, top = _git("rev-parse", "HEAD"), _git("rev-parse", "--show-toplevel")
    if head is None or top is None or Path(top).resolve() != CHECKOUT:
        return None, True
    return head, _git("status", "--porcelain", "--", *CODE) != ""


def source() -> str:
    """SHA-256 of the folders `images` and `training`, whose code decides a trained model, committed or not."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("images", "training") for path in (PACKAGE / folder).glob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def variables() -> dict[str, str]:
    """The environment variables that libraries compute by."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(PREFIXES)
        and name not in NOT_RECORDED
        and not any(part in name for part in NOT_RECORDED_PARTS)
    }


def describe(device: str, deterministic: bool = False) -> dict[str, Any]:
    """The environment of a record: equal texts for equal circumstances, so without the time of day.

    What cannot be found out is None.
    """
    head, uncommitted = commit()
    return {
        "versions": _versions(),
        "backend": keras.backend.backend(),
        "device": device,
        "deterministic": deterministic,
        "cores": cores(),
        "threads": _threads(),
        "onednn": _onednn(),
        "keras": {"floatx": keras.config.floatx(), "epsilon": keras.config.epsilon()},
        "processor": _processor(),
        "instructions": _instructions(),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "variables": variables(),
        "source": source(),
        "commit": head,
        "uncommitted": uncommitted,
    }


def _versions() -> dict[str, str]:
    """Of Python, this package, and all packages that compute; NVIDIA's libraries come as packages, too."""
    installed = {
        d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions() if d.metadata["Name"]
    }
    wanted = [*PACKAGES, *sorted(name for name in installed if name.startswith("nvidia-"))]
    found = {name: installed[name] for name in wanted if name in installed}
    return {"python": platform.python_version(), "kerascifar": kerascifar.__version__, **found}


def _threads() -> dict[str, int] | None:
    """TensorFlow's threads within an operation, whose number decides how sums are split, and between operations."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    within = tf.config.threading.get_intra_op_parallelism_threads()
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return {
        "intra_op": within or (int(asked) if asked.isdecimal() and int(asked) else cores()),
        "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
    }


def _onednn() -> bool | None:
    """Whether TensorFlow computes with oneDNN; it says so itself, as the variable may have come too late."""
    if keras.backend.backend() != "tensorflow":
        return None
    try:
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    except (ImportError, AttributeError):  # not part of TensorFlow's public interface
        return None


def _instructions() -> str:
    """The processor's instruction sets, as NumPy names them: TensorFlow, too, chooses its kernels by them."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return ", ".join([*extensions.get("baseline", []), *extensions.get("found", [])])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
