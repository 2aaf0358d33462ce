"""A row's settings in words: what tells it apart, and how it differs from another row."""

import re
from collections.abc import Mapping

from kerascifar.runs import model_facts
from kerascifar.training import models
from kerascifar.training.rows import OPTIMIZERS, Row

TRAINING_ONLY = {"BatchNormalization": "BatchNorm", "Dropout": "Dropout"}  # layers, and their short names

HOW_TO_FILL = ("fill_mode", "cval", "interpolation_order")  # options of an augmentation that are never off


def described(row: Row) -> str:
    """What tells a row apart: for a chain with such layers, "2 BatchNorm (conv 2, 4), 2 Dropout", or its training.

    The numbers in brackets are those of the convolutions that BatchNormalization follows. The training is given as
    "Adam 0.001, batch 256, augmented".
    """
    import keras

    network = model_facts.built(row.model, row.model_options) if row.model in models.BUILDERS else None
    kinds = [type(layer).__name__ for layer in network.layers] if isinstance(network, keras.Sequential) else []
    counts = [f"{kinds.count(kind)} {short}" for kind, short in TRAINING_ONLY.items() if kind in kinds]
    if "BatchNormalization" in kinds:
        after = [kinds[:place].count("Conv2D") for place, kind in enumerate(kinds) if kind == "BatchNormalization"]
        whole = len(after) > 2 and after == [*range(after[0], after[-1] + 1)]
        counts[0] += f" (conv {f'{after[0]}–{after[-1]}' if whole else ', '.join(map(str, after))})"
    words = f"{OPTIMIZERS[row.optimizer]} {row.learning_rate:g}, batch {row.batch_size}"
    return ", ".join(counts) or words + ", augmented" * row.augment


def differing(row: Row, base: Row) -> str:
    """The values in which a row differs from `base`, in a few words; for `base` itself, its main settings and model."""
    words = {
        "model": _about(row.model),
        "optimizer": OPTIMIZERS[row.optimizer],
        "learning_rate": f"lr {row.learning_rate:g}",
        "batch_size": f"batch {row.batch_size}",
        "augment": "augmented" if row.augment else "not augmented",
    }
    chosen = [text for key, text in words.items() if row is base or getattr(row, key) != getattr(base, key)]
    keys = ["model_options", "optimizer_options", "augmentation", "schedule", "monitor", "precision"]
    stops, stopped = row.patience < row.epochs, base.patience < base.epochs  # otherwise, it never stops training
    keys += ["patience"] * stops
    chosen += ["no early stopping"] * (stopped and not stops)
    keys += ["epochs"] * bool(row.schedule)  # the schedule's length; otherwise only a limit
    if not row.augment:  # then it has no effect
        keys.remove("augmentation")
    for key in keys:
        options, others = (
            values if isinstance(values, Mapping) else {key: values}
            for values in (getattr(row, key), getattr(base, key))
        )
        if key == "model_options" and row.model != base.model:  # an option of both builders may mean different things
            options, others = ({k: v for k, v in o.items() if k in models.SHARED_OPTIONS} for o in (options, others))
        chosen += [f"{_named(key, k)} {v}" for k, v in options.items() if others.get(k) != v]
        if key != "optimizer_options" or row.optimizer == base.optimizer:
            chosen += [_left_out(key, k) for k in others if k not in options]
    return ", ".join(chosen) or "nothing"


def _left_out(field: str, option: str) -> str:
    """Names an option that the row does not set: it is off, or has its default."""
    is_off = field in ("augmentation", "schedule") and option not in HOW_TO_FILL
    return f"{'no' if is_off else 'default'} {_named(field, option)}"


def _named(field: str, option: str) -> str:
    """An option's name in words; `momentum` and `epsilon` of a model are BatchNormalization's."""
    whose = "BatchNorm " if field == "model_options" and option in ("momentum", "epsilon") else ""
    return whose + option.replace("_", " ")


def _about(model: str) -> str:
    """A model's name and what its builder's docstring says first."""
    builder = models.BUILDERS.get(model)
    first = (builder.__doc__ or "").strip().partition("\n")[0] if builder else ""
    about = re.split(r"[;(.]", re.sub(r"^Experiment \d: ", "", first).replace('"', ""))[0].strip()
    return f"{model}: {about}" if about else model
