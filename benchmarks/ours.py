"""One row as kerascifar trains it. Prints the seconds of each epoch and the peak of memory, as JSON."""

import tempfile
import time
from pathlib import Path

import measured

import kerascifar  # noqa: F401  before Keras, as it sets what TensorFlow reads once

arguments = measured.arguments()

import keras  # noqa: E402

from kerascifar.training import checkpoint, device, fit, models  # noqa: E402

row, images, labels, split = measured.row_and_data(arguments)
if arguments.exactness == "none":  # what exact continuation costs: without its thread setting and its checkpoints
    device.prepare = lambda deterministic=False: device.Device("CPU", True)
    checkpoint.save = lambda folder, checkpoint: None
    device.keep_freed_memory()  # which is no part of it
device.prepare(arguments.exactness == "deterministic")
keras.utils.set_random_seed(0)
keras.config.set_dtype_policy(row.precision)
network = models.build(row.model, **row.model_options)
ends: list[float] = []
began = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    fit.train(
        network,
        row,
        0,
        Path(folder),
        images=images,
        labels=labels,
        split=split,
        tell=lambda *_: ends.append(time.perf_counter()),
    )
measured.report(began, ends)
