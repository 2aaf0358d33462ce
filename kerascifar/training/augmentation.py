"""Rotation and mirroring: Keras's `ImageDataGenerator`, applied to whole batches; cropping and mixup.

The arguments, random draws and geometry are Keras's, except for `crop` and `mixup`: Keras's layers for these draw
numbers that depend on all earlier batches, so that a run could not be resumed exactly. Keras transforms one image at a
time; this module computes the source of each output pixel for the whole batch, then looks up the pixels with OpenCV or,
on a GPU, with Keras operations.
"""

import functools
from typing import Any

import cv2
import keras
import numpy as np

# This is where Keras keeps the class. Unlike tensorflow.keras, it does not need TensorFlow: it works on every backend.
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

from kerascifar.training.rows import AUGMENTATION, FILL_MODES

STACKED = 8  # images per OpenCV call

# The keys of ImageDataGenerator.get_random_transform, and perhaps "mixup", with one value per image.
Parameters = dict[str, np.ndarray]


class BatchAugmenter(ImageDataGenerator):
    """An `ImageDataGenerator` that transforms batches. `rows.AUGMENTATION` lists its arguments.

    Args:
        on_gpu: look up pixels with Keras operations, on Keras's device. On a CPU, OpenCV is several times faster.
        crop: the largest shift, in whole pixels.
        mixup: both parameters of the Beta distribution, or 0.
    Raises:
        ValueError: an unsupported argument (e.g. `brightness_range`) or fill mode.
    """

    def __init__(self, on_gpu: bool = False, crop: int = 0, mixup: float = 0, **arguments: Any) -> None:
        if unknown := sorted(set(arguments) - set(AUGMENTATION)):
            raise ValueError(f"BatchAugmenter does not apply {', '.join(unknown)}.")
        super().__init__(**arguments)
        if self.fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode {self.fill_mode!r} is not one of {sorted(FILL_MODES)}.")
        if self.interpolation_order not in (0, 1):
            raise ValueError(f"interpolation_order {self.interpolation_order!r} is not 0 or 1.")
        if self.fill_mode == "grid-constant" and self.interpolation_order != 0:
            raise ValueError('fill_mode "grid-constant" needs interpolation_order=0.')
        if np.ndim(self.width_shift_range) or np.ndim(self.height_shift_range):
            raise ValueError("BatchAugmenter takes one number for a shift, not a list of choices.")
        self.on_gpu, self.crop, self.mixup = on_gpu, crop, mixup

    def draw(self, count: int, shape: tuple[int, int, int], seed: np.random.SeedSequence) -> Parameters:
        """Draws parameters for all images at once, bit-identical to `count` calls of `get_random_transform(shape)`.

        Depends only on `seed`. Keras draws from NumPy's global generator; this method does not touch it. What `crop`
        and `mixup` need is drawn afterwards, so that the rest does not depend on them.
        """
        zoomed = list(self.zoom_range) != [1, 1]
        # The range of each parameter, or None if it is not drawn. Keras's order decides which random number each gets.
        ends = {
            "theta": (-self.rotation_range, self.rotation_range) if self.rotation_range else None,
            "tx": (-self.height_shift_range, self.height_shift_range) if self.height_shift_range else None,
            "ty": (-self.width_shift_range, self.width_shift_range) if self.width_shift_range else None,
            "shear": (-self.shear_range, self.shear_range) if self.shear_range else None,
            "zx": tuple(self.zoom_range) if zoomed else None,
            "zy": tuple(self.zoom_range) if zoomed else None,
            "flip_horizontal": (0, 1),
            "flip_vertical": (0, 1),
        }
        drawn = [name for name, end in ends.items() if end is not None]
        random = np.random.RandomState(seed.generate_state(8))
        numbers = random.random_sample((count, len(drawn)))
        parameters = {name: np.full(count, float(name in ("zx", "zy"))) for name in ends}
        for name, column in zip(drawn, numbers.T, strict=True):
            low, high = ends[name] or (0, 1)
            parameters[name] = low + (high - low) * column
        for name, size, span in (("tx", shape[0], self.height_shift_range), ("ty", shape[1], self.width_shift_range)):
            if span < 1:  # a fraction of the image; values from 1 are pixels
                parameters[name] = parameters[name] * size
        for name, wanted in (("flip_horizontal", self.horizontal_flip), ("flip_vertical", self.vertical_flip)):
            parameters[name] = (parameters[name] < 0.5) & wanted
        if self.crop:
            for name in ("tx", "ty"):
                parameters[name] = parameters[name] + random.randint(-self.crop, self.crop + 1, count)
        if self.mixup:
            parameters["mixup"] = random.beta(self.mixup, self.mixup, count)
        return parameters

    def apply_transforms(self, images: np.ndarray, parameters: Parameters) -> Any:
        """Applies `apply_transform` to each image with its own parameters.

        Args:
            images: float32 (n, height, width, channels).
            parameters: from `draw`, or with the same keys; each (n,).
        Returns:
            A float32 array or tensor with the shape of `images`, within 1e-4 of `apply_transform` for pixels in 0..1.
        """
        height, width = images.shape[1:3]
        # "constant" and "wrap" jump at the edge of the image, and nearest-pixel lookup jumps between any two pixels. To
        # jump at the same places as SciPy, use double precision and its order of summation.
        nearest = self.interpolation_order == 0
        exact = nearest or self.fill_mode in ("constant", "wrap")
        rows, columns = _sources(parameters, height, width, "float64" if exact else "float32")
        outside = None
        if self.fill_mode == "constant":
            outside = (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)
        elif self.fill_mode == "grid-constant":
            outside = (rows < -0.5) | (rows >= height - 0.5) | (columns < -0.5) | (columns >= width - 0.5)
        y, x = (
            _into_range(rows, height, self.fill_mode, nearest),
            _into_range(columns, width, self.fill_mode, nearest),
        )
        if self.on_gpu:
            result = _fetched(images, y, x)
            return keras.ops.where(outside[..., None], self.cval, result) if outside is not None else result
        result = np.empty(images.shape, images.dtype)  # always in C order: OpenCV writes into slices of it
        # OpenCV gets several images stacked into one, to save calls. In taller stacks, float32 coordinates are coarse.
        below = np.arange(len(images), dtype="float32") % STACKED * height
        y += below[:, None, None]
        for at in range(0, len(images), STACKED):
            image, column, row, to = (a[at : at + STACKED].reshape(-1, *a.shape[2:]) for a in (images, x, y, result))
            cv2.remap(image, column, row, cv2.INTER_LINEAR, dst=to, borderMode=cv2.BORDER_REPLICATE)
        if outside is not None:
            result[outside] = self.cval
        return result

    def mix(self, images: Any, labels: np.ndarray, parameters: Parameters) -> tuple[Any, np.ndarray]:
        """Blends each image with the one before it, which is random, as the batch is in random order.

        Source: Zhang et al., "mixup", arXiv:1710.09412, eq. 1, with a share for each image, as in Keras's `MixUp`.

        Args:
            images: from `apply_transforms`.
            labels: float32 (n, classes), one-hot.
            parameters: from `draw`; "mixup" is the share that an image keeps.
        Returns:
            Images and labels, as blended.
        """
        other = (1 - parameters["mixup"]).astype("float32")
        shares, roll = other[:, None, None, None], np.roll
        if self.on_gpu:
            shares, roll = keras.ops.convert_to_tensor(shares), keras.ops.roll
        labels = labels + other[:, None] * (np.roll(labels, 1, axis=0) - labels)
        return images + shares * (roll(images, 1, axis=0) - images), labels


def _fetched(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> Any:
    """Interpolates linearly on Keras's device with Keras operations; `keras.ops.image.map_coordinates` is slower."""
    ops = keras.ops
    count, height, width, channels = images.shape
    pixels = ops.reshape(ops.convert_to_tensor(images), (-1, channels))
    y, x = ops.convert_to_tensor(y), ops.convert_to_tensor(x)
    first = np.arange(count, dtype="int32")[:, None, None] * (height * width)
    above, left = ops.floor(y), ops.floor(x)
    down, right = (y - above)[..., None], (x - left)[..., None]
    above, left = ops.cast(above, "int32"), ops.cast(left, "int32")
    row, next_row = first + above * width, first + ops.minimum(above + 1, height - 1) * width
    next_column = ops.minimum(left + 1, width - 1)

    def between(row: Any) -> Any:
        return ops.take(pixels, row + left, axis=0) * (1 - right) + ops.take(pixels, row + next_column, axis=0) * right

    return between(row) * (1 - down) + between(next_row) * down


def _sources(p: Parameters, height: int, width: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (n, height, width) at which `apply_transform` looks up each output pixel."""
    theta, shear = np.deg2rad(p["theta"]), np.deg2rad(p["shear"])
    # Keras centres its first coordinate, the column, by the height. For square images this makes no difference.
    x, y = height / 2 - 0.5, width / 2 - 0.5
    steps: list[list[list[Any]]] = [
        [[1, 0, x], [0, 1, y]],
        [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0]],
        [[1, 0, p["tx"]], [0, 1, p["ty"]]],
        [[1, -np.sin(shear), 0], [0, np.cos(shear), 0]],
        [[p["zx"], 0, 0], [0, p["zy"], 0]],
        [[1, 0, -x], [0, 1, -y]],
    ]
    matrix = functools.reduce(np.matmul, [_matrices(len(theta), step) for step in steps]).astype(dtype)
    # Keras mirrors after rotating, so the output coordinates are reversed.
    i, j = np.arange(height, dtype=dtype), np.arange(width, dtype=dtype)
    i = np.where(p["flip_vertical"][:, None], i[::-1], i)[:, :, None]
    j = np.where(p["flip_horizontal"][:, None], j[::-1], j)[:, None, :]
    column, row = (matrix[:, k, :, None, None] for k in (0, 1))
    return (row[:, 2] + row[:, 1] * i) + row[:, 0] * j, (column[:, 2] + column[:, 1] * i) + column[:, 0] * j


def _matrices(count: int, rows: list[list[Any]]) -> np.ndarray:
    """float64 (count, 3, 3), homogeneous, from two rows of numbers or arrays (count,)."""
    matrix = np.zeros((count, 3, 3))
    matrix[:, 2, 2] = 1
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            matrix[:, i, j] = value
    return matrix


def _into_range(coordinate: np.ndarray, size: int, fill_mode: str, nearest: bool) -> np.ndarray:
    """Maps coordinates into 0..size-1 (float32) so that linear interpolation there matches SciPy's fill mode.

    nearest: round to whole coordinates, where linear interpolation returns the nearest pixel.
    """
    last = size - 1
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        coordinate = size - np.abs((coordinate + 0.5) % (2 * size) - size) - 0.5
    elif fill_mode == "wrap":  # the last pixel coincides with the first
        coordinate = np.where(coordinate < 0, coordinate + last * (np.floor(-coordinate / last) + 1), coordinate)
        coordinate = np.where(coordinate > last, coordinate - last * np.floor(coordinate / last), coordinate)
    if nearest:
        coordinate = np.floor(coordinate + 0.5)
    return np.clip(coordinate, 0, last).astype("float32", copy=False)
