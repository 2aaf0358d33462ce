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
from kerascifar import train

SOURCE = Path(__file__).resolve().parent.parent
# What decides a result; records, pictures and documents may change without making it another program.
CODE = ["kerascifar", "experiments/*.toml", "pyproject.toml", "requirements*"]
# The modules that a trained model depends on, and the variables of the machine's that change the order of sums, their
# precision (TensorFloat-32 on a GPU), or the time they take (a fraction of a GPU's memory: other runs have the rest).
TRAINING = [
    "config",
    "data",
    "augment",
    "models",
    "batches",
    "checkpoint",
    "devices",
    "train",
    "evaluate",
    "experiment",
]
VARIABLES = [
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "NVIDIA_TF32_OVERRIDE",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
]
PACKAGES = ["tensorflow", "keras", "numpy", "scipy", "jax", "torch"]


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(SOURCE), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def commit() -> tuple[str | None, bool]:
    """The commit of this source and whether the code has uncommitted changes; (None, True) outside a git checkout."""
    head, top = _git("rev-parse", "HEAD"), _git("rev-parse", "--show-toplevel")
    if head is None or top is None or Path(top).resolve() != SOURCE:
        return None, True
    return head, _git("status", "--porcelain", "--", *CODE) != ""


def source() -> str:
    """SHA-256 of the modules that a trained model depends on: the same code, committed or not."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in TRAINING)).hexdigest()


def describe(device: str, deterministic: bool = False) -> dict[str, Any]:
    """The environment of a record: equal texts for equal circumstances, so without the time of day."""
    versions = {"python": platform.python_version(), "kerascifar": kerascifar.__version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    head, uncommitted = commit()
    return {
        "versions": versions,
        "backend": keras.backend.backend(),
        "device": device,
        "deterministic": deterministic,
        "cores": train.cores(),
        "processor": _processor(),
        "instructions": _instructions(),
        "system": f"{platform.system()} {platform.machine()}",
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "source": source(),
        "commit": head,
        "uncommitted": uncommitted,
    }


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
