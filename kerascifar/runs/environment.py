"""Describes the environment of a run for its record: versions, device, code."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

import kerascifar
from kerascifar.common import errors
from kerascifar.common.machine import cores
from kerascifar.common.paths import CHECKOUT, PACKAGE

# The files that can affect a result. Changes to others, such as records and pages, do not make the code uncommitted.
CODE = ["kerascifar", "experiments/*.toml", "pyproject.toml", "requirements*"]
# Environment variables of the numerical libraries, which select kernels, threads, precision, or the order of sums.
RECORDED = re.compile(
    "(CUBLAS|CUDA|CUDNN|DNNL|GOMP|JAX|KERAS|KMP|MKL|NPY|OMP|ONEDNN|OPENBLAS|OPENCV|PYTORCH|TF|TORCH|XLA)_"
    "|NVIDIA_TF32_OVERRIDE"
)
# Exceptions: variables that name a folder on this machine, or only affect log output.
NOT_RECORDED = re.compile("^(CUDA_HOME|CUDA_PATH|CUDA_ROOT|CUDA_CACHE_PATH|KERAS_HOME|TORCH_HOME)$|LOG|VERBOSE|_DIR")
# Every package whose code computes part of a run. jaxlib holds JAX's kernels; OpenCV looks up augmented pixels.
PACKAGES = ["tensorflow", "keras", "numpy", "scipy", "opencv-python-headless", "ml-dtypes", "jax", "jaxlib", "torch"]


class Commit(NamedTuple):
    """The state of the code."""

    name: str | None  # None outside a git checkout, and if git cannot tell
    uncommitted: bool | None  # whether the code has uncommitted changes; None if git cannot tell
    problem: str = ""  # why git cannot tell


def commit() -> Commit:
    """Asks git for the commit, and for uncommitted changes. Outside a git checkout, the code counts as uncommitted."""
    if not (CHECKOUT / ".git").exists():
        return Commit(None, True)
    try:
        changes = _git("status", "--porcelain", "--untracked-files=normal", "--", *CODE)
        return Commit(_git("rev-parse", "HEAD"), changes != "")
    except (OSError, subprocess.SubprocessError) as error:
        lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
        return Commit(None, None, errors.printable(lines[0])[:200])


def _git(*arguments: str) -> str:
    # Variables such as GIT_DIR, set within a hook, or by a user for another repository, would answer for that one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(CHECKOUT), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=30, check=True, env=environment
    )
    return done.stdout.strip()


def source() -> str:
    """SHA-256 of the code in `images` and `training`, which determines a trained model, whether committed or not."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("images", "training") for path in (PACKAGE / folder).glob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def variables() -> dict[str, str]:
    """The environment variables that affect how libraries compute, without those that hold a path."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if RECORDED.match(name)
        and not NOT_RECORDED.search(name)
        and not os.path.isabs(value)  # a folder decides nothing; Terraform's variables begin with TF_, too
    }


def describe(device: str, deterministic: bool = False) -> dict[str, Any]:
    """The environment for a record. Equal environments give equal values, so it contains no time of day.

    A value that cannot be determined is None.
    """
    code = commit()
    return {
        "versions": _versions(),
        "backend": keras.backend.backend(),
        "device": _plain(device),
        "deterministic": deterministic,
        "cores": cores(),
        **_of_tensorflow(),
        "keras": {"floatx": keras.config.floatx(), "epsilon": keras.config.epsilon()},
        "processor": _plain(_processor()),
        "instructions": _instructions(),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "variables": variables(),
        "source": source(),
        "commit": code.name,
        "uncommitted": code.uncommitted,
        **({"git": code.problem} if code.problem else {}),
    }


def _plain(name: str) -> str:
    """`name` without the characters that a record refuses: some processors report "Genuine Intel(R) CPU 0000%@"."""
    return re.sub(r"[^\w .,:()@/+-]", "_", name)[:80]


@cache
def _versions() -> dict[str, str]:
    """Versions of Python, this package and all numerical packages, including NVIDIA's libraries."""
    # Each access to a distribution's metadata, its version included, reads and parses a file.
    read = [distribution.metadata for distribution in importlib.metadata.distributions()]
    installed = {m["Name"].lower().replace("_", "-"): m["Version"] for m in read if m["Name"]}
    wanted = [*PACKAGES, *sorted(name for name in installed if name.startswith("nvidia-"))]
    versions = {name: installed[name] for name in wanted if name in installed}
    return {"python": platform.python_version(), "kerascifar": kerascifar.__version__, **versions}


def _of_tensorflow() -> dict[str, Any]:
    """TensorFlow's numbers of threads (the intra-op number decides how sums are split), and whether it uses oneDNN.

    TensorFlow is asked about oneDNN, because the environment variable may have been set too late.
    """
    if keras.backend.backend() != "tensorflow":
        return {"threads": None, "onednn": None}
    import tensorflow as tf

    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    within = tf.config.threading.get_intra_op_parallelism_threads() or (int(asked) if asked.isdecimal() else 0)
    threads = {"intra_op": within or cores(), "inter_op": tf.config.threading.get_inter_op_parallelism_threads()}
    try:
        from tensorflow.python.util import _pywrap_util_port

        return {"threads": threads, "onednn": bool(_pywrap_util_port.IsMklEnabled())}
    except (ImportError, AttributeError):  # not part of TensorFlow's public interface
        return {"threads": threads, "onednn": None}


def _instructions() -> str:
    """The processor's instruction sets, as NumPy names them. TensorFlow also selects its kernels by them."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return ", ".join([*extensions.get("baseline", []), *extensions.get("found", [])])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
