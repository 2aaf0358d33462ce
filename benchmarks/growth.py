"""Resident memory after each of 41 short runs in one process, in MB, as JSON."""

import json
import os
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import psutil
from rich.console import Console

from kerascifar.images import cifar10, drawn
from kerascifar.runs import experiment
from kerascifar.training import rows

sizes = []
with tempfile.TemporaryDirectory() as folder:
    os.environ["KERASCIFAR_CACHE"] = folder
    drawn.write(Path(folder) / "images", train=1000, test=100)
    dataset = cifar10.load(Path(folder) / "images")
    row = rows.Row("G", "model4", batch_size=200, epochs=2)
    for seed in range(41):
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            experiment.train_runs(
                [rows.Run("growth", row, seed)], dataset, Path(folder) / "runs", Console(file=nowhere)
            )
        sizes.append(psutil.Process().memory_info().rss / 2**20)
print(json.dumps(sizes))
