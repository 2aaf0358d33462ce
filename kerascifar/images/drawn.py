"""Draws synthetic images of ten shapes in CIFAR-10's binary format, for the demo and for tests.

A marker file beside them lists their checksums. `kerascifar.images.cifar10` loads them as "synthetic shapes": their
content, not the names of the files, distinguishes them from CIFAR-10.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.images.dataset import rows
from kerascifar.images.official import BATCH_ROWS, BATCHES, BINARY, CLASSES, TRAIN_BATCHES

MARKER = "synthetic.json"
CLASS_NAMES = ("circle", "square", "triangle", "cross", "star", "ring", "stripes", "checker", "diamond", "heart")

_FINE = 2  # points per pixel and axis; averaging them gives soft edges, as in a photograph


def write(folder: Path, train: int = 2000, test: int = 400, seed: int = 0) -> None:
    """Writes `cifar-10-batches-bin` into `folder`: five training batches, the test batch, class names, the marker.

    The same arguments give the same images. All classes are equally frequent in both splits.

    Args:
        folder: is created if needed; `kerascifar.images.cifar10.load(folder)` reads the images.
        train: number of training images, a multiple of 10, at most 50,000.
        test: number of test images, a multiple of 10, at most 10,000.
        seed: decides the images.
    Raises:
        UserError: the folder contains other images, which would be overwritten.
        ValueError: a number of images is not possible.
    """
    for name, count, most in (("train", train, 5 * BATCH_ROWS), ("test", test, BATCH_ROWS)):
        if not 0 < count <= most or count % CLASSES:
            raise ValueError(f"{name} must be a multiple of {CLASSES} up to {most}, not {count}")
    target = folder / BINARY.folder
    if (target / f"{BATCHES[0]}.bin").exists() and not (target / MARKER).exists():
        raise UserError(
            f"{target} holds images that were not drawn by a demo: it does not contain {MARKER}.\n"
            "Expected a new or empty folder, or that of an earlier demo.\n"
            "Choose another folder. Nothing was written."
        )
    random = np.random.default_rng(seed)
    training = _rows(train, random)
    batches = dict(zip(BATCHES, [*np.split(training, len(TRAIN_BATCHES)), _rows(test, random)], strict=True))
    for batch, values in batches.items():
        with files.replacing(target / f"{batch}.bin") as path:
            path.write_bytes(values.tobytes())
    files.write_text(target / "batches.meta.txt", "\n".join(CLASS_NAMES) + "\n\n")
    marker = {
        "note": "Drawn by kerascifar.images.drawn: not CIFAR-10. No result on these images is a result on CIFAR-10.",
        "seed": seed,
        "rows": {batch: len(rows) for batch, rows in batches.items()},
        "sha256": {batch: hashlib.sha256(rows.tobytes()).hexdigest() for batch, rows in batches.items()},
    }
    files.write_text(target / MARKER, json.dumps(marker, indent=1) + "\n")


def _rows(count: int, random: np.random.Generator) -> np.ndarray:
    """Drawn images in the binary layout, in random order: uint8 (count, 3073)."""
    each = count // CLASSES
    images = np.concatenate([draw(label, each, random) for label in range(CLASSES)])
    labels = np.repeat(np.arange(CLASSES, dtype=np.uint8), each)
    return random.permutation(rows(images, labels))


def draw(label: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Draws one shape in random places, sizes, angles and colours, with noise.

    All classes get their colours from the same distribution, so only the shape identifies the class.

    Args:
        label: 0..9, the index of the shape in `CLASS_NAMES`.
        count: number of images.
        random: source of all that varies.
    Returns:
        uint8 (count, 32, 32, 3).
    """

    def vary(low: float, high: float, *shape: int) -> np.ndarray:
        return random.uniform(low, high, (count, *shape))

    side = 32 * _FINE
    axis = (np.arange(side) + 0.5) / side * 2 - 1  # positions of the points, -1..1 from edge to edge
    size = vary(0.5, 0.8, 1, 1)
    x = (axis[None, None, :] - vary(-0.2, 0.2, 1, 1)) / size
    y = (axis[None, :, None] - vary(-0.2, 0.2, 1, 1)) / size
    angle = vary(-0.35, 0.35, 1, 1)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    covered = _inside(CLASS_NAMES[label], u, v).reshape(count, 32, _FINE, 32, _FINE).mean(axis=(2, 4))[..., None]

    # The shape is brighter than the ground, so that a few epochs on 2,000 images are enough to learn something.
    ground = vary(0, 110, 1, 1, 3)
    shape = ground + vary(80, 145, 1, 1, 3)
    coarse = axis[::_FINE]
    slope = vary(-40, 40, 1, 1, 3) * coarse[None, :, None, None] + vary(-40, 40, 1, 1, 3) * coarse[None, None, :, None]
    noise = random.normal(0, 15, (count, 32, 32, 3))
    return np.clip(ground + slope + covered * (shape - ground) + noise, 0, 255).astype(np.uint8)


def _inside(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """bool: which points are inside the shape, in coordinates in which it fills about -1..1; v points down."""
    radius = np.hypot(u, v)
    box = np.maximum(np.abs(u), np.abs(v))
    match name:
        case "circle":
            return radius < 0.9
        case "square":
            return box < 0.8
        case "triangle":
            return (v < 0.6) & (np.abs(u) * 0.87 - v * 0.5 < 0.5)
        case "cross":
            return (np.minimum(np.abs(u), np.abs(v)) < 0.27) & (box < 0.9)
        case "star":
            spoke = np.abs(2 * ((np.arctan2(u, -v) / (2 * np.pi) * 5) % 1) - 1)  # 1 at the five points, 0 halfway
            return radius < 0.4 + 0.6 * spoke**1.5
        case "ring":
            return (radius > 0.5) & (radius < 0.95)
        case "stripes":
            return (box < 0.9) & (np.floor(u / 0.36 + 0.5) % 2 == 0)
        case "checker":
            return (box < 0.9) & ((np.floor(u / 0.6 + 0.5) + np.floor(v / 0.6 + 0.5)) % 2 == 0)
        case "diamond":
            return np.abs(u) / 0.6 + np.abs(v) < 1
        case "heart":
            a, b = u * 1.2, 0.1 - v * 1.2
            return (a**2 + b**2 - 1) ** 3 < a**2 * b**3
    raise ValueError(f"unknown shape {name}")
