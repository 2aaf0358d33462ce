"""The training path runs on Keras's other backends, on a machine that has no TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys

import factories
import pytest
from factories import ROOT

# BatchNormalization and Dropout hold state, as do weights, seeds, a schedule and averages. Two epochs at once, and each
# in a process for itself, as after a kill.
SCRIPT = """
import os, sys
sys.modules["tensorflow"] = None  # importing it fails
from pathlib import Path
from rich.console import Console
from kerascifar.images import cifar10
from kerascifar.runs import experiment
from kerascifar.training import models
from kerascifar.training.rows import Row, Run
@models.model
def small():
    import keras
    layers = keras.layers
    parts = [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.2)]
    return keras.Sequential([keras.Input((32, 32, 3)), *parts, layers.Flatten(), layers.Dense(10, dtype="float32")])
dataset = cifar10.load(Path(sys.argv[1]))
row = Row(
    "T", "small", batch_size=100, epochs=2, optimizer="adamw", schedule={"decay": "cosine", "warmup": 0.1},
    optimizer_options={"ema_momentum": 0.5}, augmentation={"rotation_range": 15, "crop": 4, "mixup": 0.2},
)
class Stop(BaseException): pass
if sys.argv[3] == "stop":
    from kerascifar.training import fit
    whole = fit._Keep.on_epoch_end
    def on_epoch_end(self, epoch, logs=None):
        whole(self, epoch, logs)
        if self.folder.parent == Path(sys.argv[2]):  # not in the trial before the first epoch
            raise Stop
    fit._Keep.on_epoch_end = on_epoch_end
with open(os.devnull, "w") as nowhere:
    try:
        experiment.train_runs([Run("backend", row, 0)], dataset, Path(sys.argv[2]), Console(file=nowhere))
    except Stop:
        pass
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_and_continuation_without_tensorflow(backend, shapes, tmp_path):
    """Fails if something on the way needs TensorFlow, or if a state is not where another backend's Keras looks."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")

    def run(folder, how):
        env = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
        env["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "compiled")  # what one process has compiled, the next takes
        words = [sys.executable, "-c", SCRIPT, str(shapes), str(tmp_path / folder), how]
        result = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=factories.HANG)
        assert result.returncode == 0, result.stderr

    run("whole", "go on")
    run("parts", "stop")
    assert len(list(tmp_path.glob("parts/*/checkpoint-*.bin"))) == 1
    run("parts", "go on")
    whole, parts = (json.loads(next((tmp_path / f).glob("*/record.json")).read_text()) for f in ("whole", "parts"))
    assert whole["environment"]["backend"] == backend and whole["epochs_trained"] == 2
    assert parts["results"] == whole["results"]
    histories = [next((tmp_path / f).glob("*/history.csv")).read_text() for f in ("whole", "parts")]
    assert histories[0] == histories[1]
