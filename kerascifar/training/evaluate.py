"""Evaluates a trained model: logits, loss and accuracy. In `training/`, only this module reads the test images."""

from dataclasses import dataclass

import keras
import numpy as np

from kerascifar.images import cifar10

BATCH = 500


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    Attributes:
        labels: int64 (n,), in the official order.
        logits: float32 (n, 10).
        loss: mean cross-entropy, in nats.
        accuracy: fraction of correct predictions, 0..1.
        per_class: accuracy for each label, 0..1 (10,); NaN if the split has no image with that label.
    """

    labels: np.ndarray
    logits: np.ndarray
    loss: float
    accuracy: float
    per_class: list[float]


def predict(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """float32 logits (n, 10) for uint8 images (n, 32, 32, 3), which are scaled batch by batch to save memory."""
    batches = (cifar10.scale(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
    return np.concatenate([np.asarray(network.predict_on_batch(batch), dtype="float32") for batch in batches])


def score(logits: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Computes loss and accuracies from logits (n, 10) and labels int (n,), in float64."""
    wide = logits.astype("float64")
    shifted = wide - wide.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    right = logits.argmax(axis=1) == labels
    per_class = [
        float(right[labels == label].mean()) if (labels == label).any() else float("nan") for label in range(10)
    ]
    return Evaluation(labels, logits, float(losses.mean()), float(right.mean()), per_class)


def validation(network: keras.Model, dataset: cifar10.Dataset, indices: np.ndarray) -> Evaluation:
    """Evaluates the model on the validation images; `indices` point into the training files."""
    return score(predict(network, dataset.images[indices]), dataset.labels[indices])


def test(network: keras.Model, dataset: cifar10.Dataset) -> Evaluation:
    """Evaluates the model on the test images. Called at most once per run, after training; decides nothing."""
    images, labels = cifar10.test_split(dataset)
    return score(predict(network, images), labels)
