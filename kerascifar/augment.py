"""Rotation and mirroring: Keras's `ImageDataGenerator`, applied to whole batches.

Its arguments, random draws and geometry are Keras's. Only what it does for one image after the other is done for a
batch: where each output pixel comes from is computed for all images at once, and the pixels are fetched by OpenCV or,
on a GPU, by Keras's own operation there.
"""

import functools
from typing import Any

import cv2
import keras
import numpy as np

# Keras keeps the class under this name; unlike tensorflow.keras it needs no TensorFlow, so it serves every backend.
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

from kerascifar.config import AUGMENTATION, FILL_MODES

Parameters = dict[str, Any]  # what ImageDataGenerator.get_random_transform returns for one image


class BatchAugmenter(ImageDataGenerator):
    """An `ImageDataGenerator` that transforms batches. `config.AUGMENTATION` lists its arguments.

    Args:
        on_gpu: fetch pixels with Keras's operations, on the device that Keras computes on. OpenCV is several times
            faster on a CPU.
    Raises:
        ValueError: an argument that it would not apply (e.g. `brightness_range`), or another fill mode.
    """

    def __init__(self, on_gpu: bool = False, **arguments: Any) -> None:
        if unknown := sorted(set(arguments) - set(AUGMENTATION)):
            raise ValueError(f"BatchAugmenter does not apply {', '.join(unknown)}.")
        super().__init__(**arguments)
        if self.fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode {self.fill_mode!r} is not one of {sorted(FILL_MODES)}.")
        self.on_gpu = on_gpu

    def draw(self, count: int, shape: tuple[int, int, int], seed: np.random.SeedSequence) -> list[Parameters]:
        """Keras's own random draws for `count` images, a function of `seed` alone."""
        # get_random_transform draws from NumPy's global generator: seed it, and hand it back as it was.
        state = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(seed.generate_state(8))  # noqa: NPY002
            return [self.get_random_transform(shape) for _ in range(count)]
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def apply_transforms(self, images: np.ndarray, parameters: list[Parameters]) -> Any:
        """`apply_transform` for each image with its parameters.

        Args:
            images: float32 (n, height, width, channels).
            parameters: n draws.
        Returns:
            A float32 array or tensor of the shape of `images`, within 1e-4 of `apply_transform` for pixels in 0..1.
        """
        height, width = images.shape[1:3]
        # "constant" and "wrap" jump at the image's edge: there SciPy's double precision and order of summation count.
        exact = self.fill_mode in ("constant", "wrap")
        rows, columns = _sources(parameters, height, width, "float64" if exact else "float32")
        outside = None
        if self.fill_mode == "constant":
            outside = (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)
        y, x = _into_range(rows, height, self.fill_mode), _into_range(columns, width, self.fill_mode)
        if self.on_gpu:
            result = _fetched(images, y, x)
            return keras.ops.where(outside[..., None], self.cval, result) if outside is not None else result
        result = np.empty_like(images)
        for image, column, row, to in zip(images, x, y, result, strict=True):
            cv2.remap(image, column, row, cv2.INTER_LINEAR, dst=to, borderMode=cv2.BORDER_REPLICATE)
        if outside is not None:
            result[outside] = self.cval
        return result


def _fetched(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> Any:
    """Linear interpolation in Keras's operations, so on its device; `keras.ops.image.map_coordinates` is slower."""
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


def _sources(
    parameters: list[Parameters], height: int, width: int, dtype: str = "float64"
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (n, height, width) that `apply_transform` looks up for each pixel of its output."""
    names = ("theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical")
    theta, tx, ty, shear, zx, zy, mirrored, upside_down = np.array([[p[name] for name in names] for p in parameters]).T
    theta, shear = np.deg2rad(theta), np.deg2rad(shear)
    # Keras centres its first coordinate by the height although it is the column; for square images it is the same.
    x, y = height / 2 - 0.5, width / 2 - 0.5
    steps = [
        [[1, 0, x], [0, 1, y]],
        [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0]],
        [[1, 0, tx], [0, 1, ty]],
        [[1, -np.sin(shear), 0], [0, np.cos(shear), 0]],
        [[zx, 0, 0], [0, zy, 0]],
        [[1, 0, -x], [0, 1, -y]],
    ]
    matrix = functools.reduce(np.matmul, [_matrices(len(parameters), step) for step in steps]).astype(dtype)
    # Keras mirrors what it has rotated: the output's own coordinates run backwards.
    i, j = np.arange(height, dtype=dtype), np.arange(width, dtype=dtype)
    i = np.where(upside_down[:, None], i[::-1], i)[:, :, None]
    j = np.where(mirrored[:, None], j[::-1], j)[:, None, :]
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


def _into_range(coordinate: np.ndarray, size: int, fill_mode: str) -> np.ndarray:
    """float32 coordinates 0..size-1, between which linear interpolation gives what SciPy's mode gives outside."""
    last = size - 1
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        coordinate = size - np.abs((coordinate + 0.5) % (2 * size) - size) - 0.5
    elif fill_mode == "wrap":  # the last pixel takes the first one's place
        coordinate = np.where(coordinate < 0, coordinate + last * (np.floor(-coordinate / last) + 1), coordinate)
        coordinate = np.where(coordinate > last, coordinate - last * np.floor(coordinate / last), coordinate)
    return np.clip(coordinate, 0, last).astype("float32")
