"""A row's settings in words: what tells it apart, and how it differs from another row."""

import re
from collections.abc import Mapping

from kerascifar.runs import original
from kerascifar.training import models
from kerascifar.training.rows import Row

TRAINING_ONLY = {"BatchNormalization": "BatchNorm", "Dropout": "Dropout"}  # layers, and their short names


def described(row: Row) -> str:
    """What tells a row apart: "4 BatchNorm, 2 Dropout" if its model is a chain with such layers, or its training.

    The training is given as "Adam 0.001, batch 256, augmented".
    """
    import keras

    network = models.built(row.model, row.model_options) if row.model in models.BUILDERS else None
    kinds = [type(layer).__name__ for layer in network.layers] if isinstance(network, keras.Sequential) else []
    counts = [f"{kinds.count(kind)} {short}" for kind, short in TRAINING_ONLY.items() if kind in kinds]
    words = f"{original.OPTIMIZER_NAMES[row.optimizer]} {row.learning_rate:g}, batch {row.batch_size}"
    return ", ".join(counts) or words + ", augmented" * row.augment


def differing(row: Row, base: Row) -> str:
    """The values in which a row differs from `base`, in a few words; for `base` itself, its main settings and model."""
    words = {
        "model": _about(row.model),
        "optimizer": original.OPTIMIZER_NAMES[row.optimizer],
        "learning_rate": f"lr {row.learning_rate:g}",
        "batch_size": f"batch {row.batch_size}",
        "augment": "augmented" if row.augment else "not augmented",
    }
    chosen = [text for key, text in words.items() if row is base or getattr(row, key) != getattr(base, key)]
    keys = ["model_options", "optimizer_options", "augmentation", "schedule", "monitor", "precision"]
    keys += ["patience"] * (row.patience < row.epochs)  # otherwise, it never stops training
    keys += ["epochs"] * bool(row.schedule)  # the schedule's length; otherwise only a limit
    for key in keys:
        value, like = getattr(row, key), getattr(base, key)
        if key == "model_options" and row.model != base.model:
            continue
        options = value if isinstance(value, Mapping) else {key: value}
        others = like if isinstance(like, Mapping) else {key: like}
        chosen += [f"{k.replace('_', ' ')} {v}" for k, v in options.items() if others.get(k) != v]
        if key != "optimizer_options" or row.optimizer == base.optimizer:
            absent = "default" if key in ("model_options", "optimizer_options") else "no"
            chosen += [f"{absent} {k.replace('_', ' ')}" for k in others if k not in options]
    return ", ".join(chosen) or "nothing"


def _about(model: str) -> str:
    """A model's name and what its builder's docstring says first."""
    builder = models.BUILDERS.get(model)
    first = (builder.__doc__ or "").strip().partition("\n")[0] if builder else ""
    about = re.split(r"[;(.]", re.sub(r"^Experiment \d: ", "", first).replace('"', ""))[0].strip()
    return f"{model}: {about}" if about else model
