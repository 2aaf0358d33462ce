"""`python -m kerascifar data`: finds or downloads CIFAR-10, verifies it, and describes it."""

import argparse
import sys
import time
from collections.abc import Sequence

from kerascifar.commands import options
from kerascifar.common import terminal
from kerascifar.images import cifar10

HELP = "find or download CIFAR-10, verify it, and describe it"
EXAMPLES = """
data --data ~/cifar                       verify the files in this folder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add(parser, "--data", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    import pandas as pd

    from kerascifar.output import tables

    began = time.perf_counter()
    dataset = cifar10.load(arguments.data)
    out = sys.stderr if arguments.json else sys.stdout
    print(f"{dataset.name} from {dataset.source}, loaded in {time.perf_counter() - began:.3f} s", file=out)
    for name, images in (("train", "training and validation"), ("test", "test")):
        print(f"fingerprint of the {images} images (SHA-256): {dataset.fingerprint[name]}", file=out)
    split = cifar10.split_fingerprint(*cifar10.split(dataset.labels))
    print(f"fingerprint of the split (SHA-256): {split}\n", file=out)
    table = pd.DataFrame({"class": dataset.class_names, **cifar10.class_counts(dataset)})
    if arguments.json:
        print(options.as_json(table))
        return 0
    table.loc[len(table)] = ["all", *table.drop(columns="class").sum()]
    terminal.print_table(terminal.console(), tables.as_rich(table))
    return 0
