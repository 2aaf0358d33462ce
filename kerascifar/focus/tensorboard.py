"""TensorBoard for a run: curves, the graph, and where the model looks, epoch by epoch (`run --tensorboard`).

Each run has a folder for its logs in `RUNS/tensorboard`; `make dashboard` opens TensorBoard with all of them.
"""

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.focus import methods, pictures, placement
from kerascifar.images import cifar10
from kerascifar.training.rows import Run

LOGS = "tensorboard"
ENLARGED = 3  # TensorBoard shows an image at its own size, and 32 pixels are small


def check() -> None:
    """Raises a `UserError` if TensorBoard's logs cannot be written."""
    load_tensorflow("The logs of --tensorboard")
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs TensorBoard.\nInstall it: pip install 'kerascifar[dashboard]'")


def callbacks(run: Run, dataset: cifar10.Dataset, runs: Path) -> list[keras.callbacks.Callback]:
    """Keras's TensorBoard, and the focus maps. A run that is resumed adds to its logs."""
    folder = runs / LOGS / run.id
    return [looking_on(keras.callbacks.TensorBoard(folder)), looking_on(FocusByEpoch(folder, dataset))]


def looking_on(callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
    """Keeps a callback's failure from stopping the training: prints a line, and skips the callback from then on."""
    failed = False

    def guarded(method: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(method)
        def call(*arguments: Any, **options: Any) -> None:
            nonlocal failed
            if failed:
                return
            try:
                method(*arguments, **options)
            except Exception as problem:
                failed = True
                reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
                print(
                    f"{type(callback).__name__} writes nothing more for TensorBoard: {errors.printable(reason)}",
                    file=sys.stderr,
                )

        return call

    for name in dir(callback):
        if name.startswith(("on_", "set_")):
            setattr(callback, name, guarded(getattr(callback, name)))
    return callback


class FocusByEpoch(keras.callbacks.Callback):
    """After each epoch, for the first validation image of each class: the image, its Grad-CAM map, and both.

    Args:
        folder: for the run's logs.
        dataset: gives the validation images; the test images are not used.
    """

    def __init__(self, folder: Path, dataset: cifar10.Dataset) -> None:
        super().__init__()
        self.folder = folder
        chosen = pictures.first_validation_images(dataset.labels)
        self.images, self.labels = cifar10.scale(dataset.images[chosen]), dataset.labels[chosen]

    def on_train_begin(self, logs: dict | None = None) -> None:
        import tensorflow as tf

        self.writer = tf.summary.create_file_writer(str(self.folder / "focus"))
        self.has_maps = bool(placement.layers_with_maps(self.model))  # a model without them is trained all the same

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        import tensorflow as tf

        if not self.has_maps or not np.isfinite(np.asarray(self.model(self.images, training=False))).all():
            return  # no map either if the loss is not finite, and training ends with this epoch
        maps = methods.focus_maps(self.model, self.images, self.labels)
        with self.writer.as_default():
            tf.summary.image("where it looks", sheet(self.images, maps)[np.newaxis], step=epoch)
        self.writer.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.writer.close()


def sheet(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """A row of images, one of maps and one of maps over images: float32 (3 * 96, n * 96, 3), 0..1."""
    rows = [images, pictures.coloured(maps), pictures.overlaid(images, maps)]
    tiled = np.concatenate([np.concatenate(list(row), axis=1) for row in rows]).astype("float32")
    return tiled.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
