"""What the compared scripts share: their arguments, the row, the images, and what they print."""

import argparse
import dataclasses
import itertools
import json
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kerascifar.training.rows import Row

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parent.parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("row", help="M1 ... M8, Model2 ... Model6")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=50_000, help="number of images, from the first on, split 80:20")
    parser.add_argument("--augment", choices=["yes", "no"], help="instead of the row's own")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--exactness", choices=["none", "deterministic"], help="ours.py only: less or more than usual")
    return parser.parse_args()


def row_and_data(arguments: argparse.Namespace) -> "tuple[Row, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]":
    """The row (at most `epochs`, so that none stops early), images uint8, labels, and the split of the first images."""
    from kerascifar.images import cifar10
    from kerascifar.training import rows

    found = [
        row
        for name in ("experiment1", "experiment2")
        for row in rows.read(ROOT / "experiments" / f"{name}.toml").rows
        if row.name == arguments.row
    ]
    row = dataclasses.replace(found[0], epochs=arguments.epochs, precision=arguments.precision)
    if arguments.augment:
        row = dataclasses.replace(row, augment=arguments.augment == "yes")
    dataset = cifar10.load()
    order = np.random.default_rng(0).permutation(arguments.images)
    cut = arguments.images * 4 // 5
    return row, dataset.images[: arguments.images], dataset.labels[: arguments.images], (order[:cut], order[cut:])


def in_mb(peak: int) -> float:
    """The operating system's figure for the peak of memory, in MB; macOS counts in bytes, Linux in kB."""
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def report(began: float, ends: list[float]) -> None:
    """Seconds per epoch, all that lies between two epochs' ends included; peak of resident memory in MB."""
    times = [began, *ends]
    peak = in_mb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(json.dumps({"seconds": [b - a for a, b in itertools.pairwise(times)], "peak_mb": peak}))
