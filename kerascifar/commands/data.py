"""`python -m kerascifar data`: finds or downloads CIFAR-10, verifies it, and describes it."""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from kerascifar.commands import options
from kerascifar.images import cifar10

HELP = "find or download CIFAR-10, verify it, and describe it"
EXAMPLES = """
data --data ~/cifar                       verify the files in this folder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add(parser, "--data", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    began = time.perf_counter()
    dataset = cifar10.load(arguments.data)
    out = sys.stderr if arguments.json else sys.stdout
    print(f"{dataset.name} from {dataset.source}, verified in {time.perf_counter() - began:.3f} s", file=out)
    for name in ("train", "test"):
        print(f"fingerprint of the {name} images (SHA-256): {dataset.fingerprint[name]}", file=out)
    split = cifar10.split_fingerprint(*cifar10.split(dataset.labels))
    print(f"fingerprint of the split (SHA-256): {split}\n", file=out)
    counts = cifar10.class_counts(dataset)
    if arguments.json:
        lines = zip(dataset.class_names, *(map(int, values) for values in counts.values()), strict=True)
        print(json.dumps([dict(zip(("class", *counts), line, strict=True)) for line in lines], indent=2))
        return 0
    print(f"{'class':<12}" + "".join(f"{name:>12}" for name in counts))
    for label, name in enumerate(dataset.class_names):
        print(f"{name:<12}" + "".join(f"{values[label]:>12,}" for values in counts.values()))
    print(f"{'all':<12}" + "".join(f"{sum(values):>12,}" for values in counts.values()))
    return 0
