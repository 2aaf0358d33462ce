"""Images per second on one core: kerascifar's augmentation by the batch, and ImageDataGenerator's one by one."""

import json
import os
import sys
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np

from kerascifar.training import device
from kerascifar.training.augmentation import BatchAugmenter

device.prepare()  # as in a training, for both: freed memory is kept
images = np.random.default_rng(0).random((512, 32, 32, 3), dtype="float32")
# ImageDataGenerator's defaults: linear interpolation, edges filled with the nearest pixel.
augmenter = BatchAugmenter(rotation_range=15.0, horizontal_flip=True)


def batch(seed: int) -> None:
    augmenter.apply_transforms(images, augmenter.draw(len(images), images.shape[1:], np.random.SeedSequence(seed)))


def one_by_one(seed: int) -> None:
    for image in images:
        augmenter.random_transform(image)


rates: dict[str, list[float]] = {"ours": [], "theirs": []}
for seed in range(int(sys.argv[1]) + 1):
    for name, work in (("ours", batch), ("theirs", one_by_one)):
        began, times = time.perf_counter(), 0
        while time.perf_counter() - began < 0.5:
            work(seed)
            times += 1
        if seed:  # the first round warms up
            rates[name].append(times * len(images) / (time.perf_counter() - began))
print(json.dumps(rates))
