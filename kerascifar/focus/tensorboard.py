"""TensorBoard beside a training: curves, the graph, and where the model looks, epoch by epoch (`run --tensorboard`).

The logs lie under `RUNS/tensorboard`, a folder per run; `make dashboard` opens TensorBoard over all of them.
"""

import importlib.util
from pathlib import Path

import keras
import numpy as np

from kerascifar.common.errors import UserError
from kerascifar.focus import methods, pictures
from kerascifar.images import cifar10
from kerascifar.training.rows import Run

LOGS = "tensorboard"
ENLARGED = 3  # TensorBoard shows an image's pixels as they are, and 32 are few


def check() -> None:
    """Raises a `UserError` where TensorBoard's logs cannot be written."""
    if keras.backend.backend() != "tensorflow":
        raise UserError("--tensorboard needs Keras on TensorFlow (KERAS_BACKEND).")
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs TensorBoard.\nInstall it: pip install 'kerascifar[dashboard]'")


def callbacks(one: Run, dataset: cifar10.Dataset, runs: Path) -> list[keras.callbacks.Callback]:
    """Keras's TensorBoard, and the focus maps. A run that goes on adds to its logs."""
    folder = runs / LOGS / one.id
    return [keras.callbacks.TensorBoard(folder), FocusByEpoch(folder, dataset)]


class FocusByEpoch(keras.callbacks.Callback):
    """After each epoch, for the first validation image of each class: the image, its Grad-CAM map, the image masked.

    Args:
        folder: of the run's logs.
        dataset: for its validation images; the test images are never looked at.
    """

    def __init__(self, folder: Path, dataset: cifar10.Dataset) -> None:
        super().__init__()
        self.folder = folder
        chosen = pictures.first_validation_images(dataset.labels)
        self.images, self.labels = cifar10.scale(dataset.images[chosen]), dataset.labels[chosen]

    def on_train_begin(self, logs: dict | None = None) -> None:
        import tensorflow as tf

        self.writer = tf.summary.create_file_writer(str(self.folder / "focus"))
        self.can = bool(methods.convolutions(self.model))  # a model without convolutions has no map, but is trained

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        import tensorflow as tf

        if not self.can or not np.isfinite(np.asarray(self.model(self.images, training=False))).all():
            return  # there is no map either where the loss is not finite; training ends with this epoch
        found = methods.focus_maps(self.model, self.images, self.labels)
        with self.writer.as_default():
            tf.summary.image("where it looks", sheet(self.images, found)[np.newaxis], step=epoch)
        self.writer.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.writer.close()


def sheet(images: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Images, maps and masked images, each in a row: float32 (3 * 96, n * 96, 3), 0..1, from (n, 32, 32, …)."""
    from matplotlib import colormaps

    rows = [images, colormaps[pictures.COLOURS](found)[..., :3], images * found[..., np.newaxis]]
    tiled = np.concatenate([np.concatenate(list(row), axis=1) for row in rows]).astype("float32")
    return tiled.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
