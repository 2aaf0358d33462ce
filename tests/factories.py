"""For tests: records of a finished run on CIFAR-10 as far as they tell, in memory or as a folder; a planted model."""

import dataclasses
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from kerascifar.findings.claims import Comparison
from kerascifar.images import cifar10, official
from kerascifar.runs import measurements, records
from kerascifar.training import models
from kerascifar.training.rows import Row

ROOT = Path(__file__).resolve().parent.parent
HANG = 1200  # seconds: on no machine does anything here take so long, unless it hangs
HISTORY = {name: [0.5, 0.1 + 0.2] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
# Three images of classes 0, 1, 1, predicted as 0, 1, 2.
PREDICTIONS = {"test_label": np.array([0, 1, 1], "uint8"), "test_predicted": np.array([0, 1, 2], "uint8")}
SHAPES = {"name": "synthetic shapes", "class_names": ["x"] * 10, "train": "0", "test": "0"}


@dataclass(frozen=True)
class InMemory(records.Record):
    """A record whose history and predictions are not read from its folder."""

    history: dict = dataclasses.field(default_factory=dict)
    predictions: dict = dataclasses.field(default_factory=dict)


def results(accuracy):
    """A record's results, with this accuracy in each split."""
    return {split: {"loss": 1.0, "accuracy": accuracy} for split in ("train", "validation", "test")}


def record(folder=Path(), history=None, predictions=None, **changes):
    """Row M1 of experiment 1, seed 0; `row` changes only those of the row's values that it names."""
    values = {
        "schema": 1,
        "experiment": "experiment1",
        "basis": "0" * 64,
        "seed": 0,
        "dataset": {
            "name": "CIFAR-10",
            "class_names": list(cifar10.CLASS_NAMES),
            "train": official.TRAIN_SHA256,
            "test": official.TEST_SHA256,
        },
        "split": "0" * 64,
        "shortened": False,
        "stop": "early stopping",
        "epochs_trained": 2,
        "epoch_kept": 1,
        "seconds": [1.0, 2.0],
        "results": results(0.7) | {"test": {"loss": 1.0, "accuracy": 2 / 3}},
        "per_class": {s: dict.fromkeys(cifar10.CLASS_NAMES, 0.7) for s in ("validation", "test")},
        "environment": {
            "device": "CPU, 2 cores",
            "commit": "c",
            "uncommitted": False,
            "finished": "2026-01-01T00:00:00+00:00",
            "earlier": [],
        },
        **changes,
    }
    settings = {"name": "M1", "model": "model1", "augment": False, "batch_size": 256}
    values["row"] = Row(**settings | changes.get("row", {}))
    if history is None and predictions is None:
        return records.Record(**values, folder=folder)
    return InMemory(**values, folder=folder, history=history or {}, predictions=predictions or {})


@cache
def _saved(name):
    """The file of an untrained model; building and saving one for each run would take the tests a minute."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        models.build(name).save(path)
        return path.read_bytes()


@dataclass(frozen=True)
class _Untrained:
    name: str

    def save(self, path):
        path.write_bytes(_saved(self.name))


def run(folder, network=None, predictions=PREDICTIONS, **changes):
    """The record, written into `folder` with a history, predictions and an untrained model."""
    made = record(folder, **changes)
    records.write(made, HISTORY, predictions, network or _Untrained(made.row.model))
    return made


def answering(row, seed, share=0.7, epochs=50, images=2000):
    """A run with a share of the images right: the same ones whatever its row, and a few drawn anew for each seed."""
    correct = np.random.default_rng(0).permutation(images) < round(share * images)
    swapped = np.random.default_rng(seed).integers(0, images, 40)
    correct[swapped] = ~correct[swapped]
    predictions = {"test_label": np.zeros(images, "uint8"), "test_predicted": (~correct).astype("uint8")}
    shares = results(float(correct.mean()))
    return record(seed=seed, row={"name": row}, results=shares, epochs_trained=epochs, predictions=predictions)


def better(first="A", second="B", first_is="higher", margin=0.5, metric="test_accuracy", **options):
    return Comparison(first, second, metric, first_is, margin, **options)


def trained(shares, seeds=range(6)):
    """Runs of rows with these shares of correct answers."""
    return [answering(row, seed, share) for seed in seeds for row, share in shares.items()]


CLAIM = """[[claim]]
name = "C"
words = "w"
comparisons = [{ first = "A", second = "B", metric = "test_accuracy", first_is = "higher", margin = 0.5 }]
"""
STEPS = (  # from Model4 to the network of Experiment 3, each with what it changes
    ("experiment2", "Model4", {"batch_size": 512}),
    ("ablation", "Step1_batch", {"batch_size": 128}),
    ("ablation", "Step2_rate", {"batch_size": 128, "learning_rate": 0.01}),
    ("experiment3", "Best", {"batch_size": 128, "learning_rate": 0.01, "augment": True}),
)


def step(which, share, seeds=(0, 1, 2), **changes):
    """A run of one of `STEPS` for each seed, with this share of 2,000 images right, the same ones in each but a few."""
    experiment, name, settings = which
    row = record(row={"name": name, "model": "model4", **settings}).row
    made = [answering(name, seed, share) for seed in seeds]
    return [dataclasses.replace(r, experiment=experiment, row=row, seconds=[90.0] * 2, **changes) for r in made]


def steps():
    """All `STEPS`; the first and the last gain five points, the second nothing."""
    return [r for which, share in zip(STEPS, (0.70, 0.75, 0.75, 0.80), strict=True) for r in step(which, share)]


def measured(folder, made, values):
    """The record with these measurements in its folder."""
    made = dataclasses.replace(made, folder=folder / made.label)
    made.folder.mkdir(exist_ok=True)
    np.savez(made.folder / measurements.FOCUS, of=np.array(measurements.identity(made)), **values)
    return made


def looking(folder, row, seed, border, images=300):
    """A run whose maps have this share of their evidence at the border, ten points more for class 0."""
    label = (np.arange(images) % 10).astype("uint8")
    wrong = np.arange(images) // 10 % 5 == seed % 5  # other images in each seed
    predictions = {"test_label": label, "test_predicted": np.where(wrong, 99, label).astype("uint8")}
    made = dataclasses.replace(answering(row, seed), predictions=predictions)
    shares = border + 0.1 * (label == 0) + np.random.default_rng([seed, ord(row)]).normal(0, 0.01, images)
    shares = np.where(wrong, 9.0, shares).astype("float16")
    return measured(folder, made, {"gradcam/border": shares, "gradcam/pointing": shares})


def planted():
    """A model whose logit 1 rises with bright green, logit 2 falls with it, and logit 3 is constant."""
    import keras

    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(2, 3, padding="same", activation="relu", name="green"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[:, :, 1, 0] = 1 / 9
    kernel[:, :, 0, 1] = 1 / 9
    dense = np.zeros((2, 10), np.float32)
    dense[0, 1], dense[0, 2] = 5, -5
    network.set_weights([kernel, np.array([-0.5, -0.5], np.float32), dense, np.float32([0, 0, 0, 9, *[0] * 6])])
    return network
