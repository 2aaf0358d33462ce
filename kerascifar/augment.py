"""Rotation and mirroring: Keras's `ImageDataGenerator`, applied to a whole batch in one operation.

Its arguments, random draws and geometry are Keras's. Only the loop over images is replaced: their transforms become
matrices, and `keras.ops.image.affine_transform` applies them all, on whatever device Keras computes.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

# Keras keeps the class under this name; unlike tensorflow.keras it needs no TensorFlow, so it serves every backend.
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

from kerascifar.config import FILL_MODES

Parameters = dict[str, Any]  # what ImageDataGenerator.get_random_transform returns for one image


class BatchAugmenter(ImageDataGenerator):
    """An `ImageDataGenerator` that transforms batches. `config.AUGMENTATION` lists its arguments.

    Raises:
        ValueError: an argument whose effect it would not apply (e.g. `brightness_range`).
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        if self.channel_shift_range or self.brightness_range is not None or self.interpolation_order != 1:
            raise ValueError("BatchAugmenter applies neither channel_shift_range, brightness_range nor other orders.")
        if self.fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode {self.fill_mode!r} is not one of {sorted(FILL_MODES)}.")

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
        """`apply_transform` for each image with its parameters, in one operation.

        Args:
            images: float32 (n, height, width, channels).
            parameters: n draws.
        Returns:
            A float32 tensor of the shape of `images`, within 1e-4 of `apply_transform` for pixels in 0..1.
        """
        height, width = images.shape[1:3]
        matrices = np.stack([_matrix(p, height, width) for p in parameters])
        # affine_transform takes the first eight numbers of the 3×3 matrix, column before row.
        transforms = matrices.reshape(-1, 9)[:, :8].astype("float32")
        return keras.ops.image.affine_transform(
            images,
            transforms,
            interpolation="bilinear",
            fill_mode=self.fill_mode,
            data_format="channels_last",
        )


def _matrix(p: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """The 3×3 matrix from output to input coordinates (column, row, 1) that `apply_transform` uses for `p`."""
    turn, shear = np.deg2rad(p["theta"]), np.deg2rad(p["shear"])
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    shift = np.array([[1, 0, p["tx"]], [0, 1, p["ty"]], [0, 0, 1]])
    shearing = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([p["zx"], p["zy"], 1])
    # Keras centres with (height, width) although its first coordinate is the column; for square images it is the same.
    x, y = height / 2 - 0.5, width / 2 - 0.5
    centre, back = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]), np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    matrix = centre @ rotation @ shift @ shearing @ zoom @ back
    # Keras mirrors after the affine transform: the output's coordinates are mirrored before they are looked up.
    if p["flip_horizontal"]:
        matrix = matrix @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    if p["flip_vertical"]:
        matrix = matrix @ np.array([[1, 0, 0], [0, -1, height - 1], [0, 0, 1]])
    return matrix
