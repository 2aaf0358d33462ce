"""`python -m kerascifar verify`: trains a published run again and compares the results."""

import argparse
import os
from collections.abc import Sequence

from kerascifar.commands import options
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_keras
from kerascifar.common.terminal import Console
from kerascifar.images import cifar10
from kerascifar.runs import records, selection
from kerascifar.training.rows import Run

HELP = "train a published run again and compare the results"
EXAMPLES = """
verify M3                                 train row M3's first published run again and compare the results
verify M3 --seed 21                       the run with this seed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("row", metavar="ROW", help="a row, such as M3, or one of its runs, such as M3-seed21")
    parser.add_argument("--seed", type=int, metavar="SEED", help="the seed (default: the first published one)")
    options.add(parser, "--data", "--runs")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    row, seed = selection.row_and_seed(arguments.row, arguments.seed)
    name = row if seed is None else f"{row}-seed{seed}"
    theirs, *_ = selection.find(name, arguments.runs, published_only=True)
    _use_threads_of(theirs)
    load_keras()
    from kerascifar.findings import verify
    from kerascifar.runs import experiment

    spread = selection.find(theirs.name, arguments.runs, published_only=True)
    print(selection.described([theirs]), flush=True)
    dataset = cifar10.load(arguments.data)
    if theirs.fingerprint != dataset.fingerprint:
        raise UserError(
            f"{theirs.label} was trained on different images from {dataset.name} in {dataset.source}.\n"
            "Use --data to give the images that it was trained on."
        )
    run = Run(theirs.experiment, theirs.row, theirs.seed)
    trained = experiment.train_runs(
        [run],
        dataset,
        arguments.runs / "verify",
        Console(),
        command=command,
        deterministic=bool(theirs.environment.get("deterministic")),
    )
    if not trained:
        raise UserError("Another process is training this run. Repeat the command when it has finished.")
    reproduced, lines = verify.compare(theirs, trained[0], spread)
    print("\n".join(lines))
    return 0 if reproduced else 1


def _use_threads_of(record: records.Record) -> None:
    """Gives TensorFlow as many threads as the run had, unless the user has chosen: they decide how sums are split."""
    if threads := (record.environment.get("threads") or {}).get("intra_op"):
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
