"""The page's gallery: validation images, the explained rows' focus maps by every method, and what the rows predict."""

import base64
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import terminal
from kerascifar.common.errors import UserError
from kerascifar.focus import methods, pictures
from kerascifar.images import cifar10
from kerascifar.runs import grouping, records

if TYPE_CHECKING:
    import keras

EACH = 4  # validation images of each class: the first in the official order
SEARCHED = 50  # validation images of each class, to find one that is misclassified


def gallery(shown: Sequence[records.Record], dataset: cifar10.Dataset) -> dict[str, Any] | None:
    """Images, and for each explained row its predictions and maps of them. None if no run has weights.

    The images are the first of each class, and the first that each row misclassifies.

    Returns:
        `classes`; `methods`, their titles; `images`, each with `source`, `label` and `picture`; and `rows`, each with
        `name`, `made` (how each method made its maps), `probabilities` (images × classes, in percent) and `maps`
        (methods × images). Pictures and maps are texts for an `img`; an empty map is an empty text.
    """
    usable = [r for r in shown if records.has_weights(r) and r.fingerprint["train"] == dataset.fingerprint["train"]]
    networks: dict[str, keras.Model] = {}
    for run, *_ in grouping.explained(usable):
        try:
            networks[run.label] = records.load_model(run)
        except UserError as problem:  # one damaged model must not hide the rest of the page
            print(f"Left out of the gallery: {problem}", file=sys.stderr)
    if not networks:
        return None
    indices = chosen(list(networks.values()), dataset)
    labels, images = dataset.labels[indices], cifar10.scale(dataset.images[indices])
    rows = []
    for label, network in networks.items():
        try:
            rows.append(_row(label, network, images, labels))
        except UserError as problem:  # nor one that diverged, or that cannot be explained
            print(f"Left out of the gallery: {problem}", file=sys.stderr)
    if not rows:
        return None
    return {
        "classes": list(dataset.class_names),
        "methods": [methods.title(method) for method in methods.METHODS],
        "images": [
            {"source": pictures.describe(dataset, int(i)), "label": int(c), "picture": _inline(dataset.images[i])}
            for i, c in zip(indices, labels, strict=True)
        ],
        "rows": rows,
    }


def _row(label: str, network: "keras.Model", images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """A row's predictions and maps of the images, float32 (n, 32, 32, 3)."""
    maps = []
    for method in terminal.track(tuple(methods.METHODS), f"Focus maps of {label}"):
        found = methods.focus_maps(network, images, labels, method=method)
        maps.append([_inline(_in_steps(shown)) if shown.any() else "" for shown in found])
    return {
        "name": label,
        "made": [pictures.way(network, None, method) for method in methods.METHODS],
        "probabilities": (100 * pictures.probabilities(network, images)).round(1).tolist(),
        "maps": maps,
    }


def chosen(networks: "Sequence[keras.Model]", dataset: cifar10.Dataset) -> np.ndarray:
    """The official indices of the images to show, class by class."""
    validation = cifar10.split(dataset.labels)[1]
    groups = [validation[dataset.labels[validation] == label][:SEARCHED] for label in range(10)]
    searched = np.concatenate(groups)
    picked = [np.concatenate([np.arange(len(group)) < EACH for group in groups])]
    for network in networks:
        guesses = methods.logits(network, cifar10.scale(dataset.images[searched])).argmax(axis=1)
        wrong = searched[guesses != dataset.labels[searched]]
        _, first_of_class = np.unique(dataset.labels[wrong], return_index=True)
        picked.append(np.isin(searched, wrong[first_of_class]))
    return searched[np.any(picked, axis=0)]


def _inline(pixels: np.ndarray) -> str:
    """A picture, uint8 (height, width, 3), for an `img`: as lossless WebP, at most a third of the size of PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "webp", lossless=True, quality=100)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _in_steps(values: np.ndarray) -> np.ndarray:
    """A map, 0..1, in colours: uint8 (32, 32, 3), in 32 steps to keep the file small."""
    return (255 * pictures.coloured(np.round(values * 31) / 31)).round().astype("uint8")
