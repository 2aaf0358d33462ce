"""Judges a trained model: logits, loss, accuracy. The only module that asks for the test images."""

from dataclasses import dataclass

import keras
import numpy as np

from kerascifar.images import cifar10

BATCH = 500


@dataclass(frozen=True)
class Evaluation:
    """A model on one split.

    Attributes:
        labels: int64 (n,), in the official order.
        logits: float32 (n, 10).
        loss: mean cross-entropy, in nats. accuracy: share of right predictions, 0..1.
        per_class: per label its accuracy, 0..1 (10,); NaN where the split has no such image.
    """

    labels: np.ndarray
    logits: np.ndarray
    loss: float
    accuracy: float
    per_class: list[float]


def predict(network: keras.Sequential, images: np.ndarray) -> np.ndarray:
    """float32 logits (n, 10) of uint8 images (n, 32, 32, 3), scaled batch by batch to save memory."""
    batches = (cifar10.scale(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
    return np.concatenate([np.asarray(network.predict_on_batch(batch), dtype="float32") for batch in batches])


def judge(logits: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Loss and accuracies of logits (n, 10) for labels int (n,), summed in float64."""
    wide = logits.astype("float64")
    shifted = wide - wide.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    right = logits.argmax(axis=1) == labels
    per_class = [
        float(right[labels == label].mean()) if (labels == label).any() else float("nan") for label in range(10)
    ]
    return Evaluation(labels, logits, float(losses.mean()), float(right.mean()), per_class)


def validation(network: keras.Sequential, dataset: cifar10.Dataset, indices: np.ndarray) -> Evaluation:
    """The model on the validation images, `indices` into the training files."""
    return judge(predict(network, dataset.images[indices]), dataset.labels[indices])


def test(network: keras.Sequential, dataset: cifar10.Dataset) -> Evaluation:
    """The model on the test images; called once per run, after training, and never to choose anything."""
    images, labels = cifar10.test_split(dataset)
    return judge(predict(network, images), labels)
