"""One run on two devices: the same as on one, but for rounding. Two logical CPU devices stand for two GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import making
import numpy as np
import pytest

from kerascifar import records

ROOT = Path(__file__).parent.parent
RUN = """
import os, sys
from pathlib import Path
backend, count, shapes, runs = sys.argv[1:]
os.environ["KERAS_BACKEND"] = backend
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count}"
from kerascifar import quiet
quiet.load_keras()
import keras
from kerascifar import api, config, data, experiment
from rich.console import Console
if backend == "tensorflow":
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(count))
def build(name):
    layers = keras.layers
    return keras.Sequential([
        keras.Input((32, 32, 3)), layers.Conv2D(8, 5, strides=2, activation="relu"), layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(), layers.Dense(10),
    ])
row = config.Row("A", "mine", epochs=4, batch_size=int(os.environ.get("BATCH", "40")))
try:
    experiment.run([config.Run("own", row, 0)], data.load(Path(shapes)), Path(runs), Console(), ["python"], build=build,
                   devices="all")
except api.UserError as mistake:
    sys.exit(f"{mistake}")
"""


def run(backend, count, shapes, runs, **environment):
    return subprocess.run(
        [sys.executable, "-c", RUN, backend, str(count), str(shapes), str(runs)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=making.HANG,
    )


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_does(backend, shapes, tmp_path):
    """Fails if BatchNormalization sees a device's part of the batch, or the batch is twice as large."""
    for count in (1, 2):
        result = run(backend, count, shapes, tmp_path / str(count))
        assert result.returncode == 0, result.stderr
    (one,), (two,) = (records.list_records(tmp_path / name) for name in ("1", "2"))
    assert two.environment["device"].startswith("2 x CPU") and one.environment["device"].startswith("CPU")
    for name, values in one.history.items():
        np.testing.assert_allclose(two.history[name], values, rtol=2e-5)
    assert records.load_model(two).layers[1].synchronized is False


def test_a_batch_that_cannot_be_shared_is_told(shapes, tmp_path):
    result = run("jax", 2, shapes, tmp_path / "runs", BATCH="25")
    assert "2 devices cannot share a batch of 25 images evenly" in result.stderr
    assert not records.list_records(tmp_path / "runs")
