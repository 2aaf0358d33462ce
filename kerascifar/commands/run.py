"""`python -m kerascifar run`: trains an experiment's rows and shows the result table."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.commands import options, training
from kerascifar.common.errors import UserError
from kerascifar.runs import cluster
from kerascifar.training import rows

if TYPE_CHECKING:
    from kerascifar.runs.experiment import Executor

HELP = "train an experiment's rows and show the result table"
EXAMPLES = """
run experiment1                               all rows, each until early stopping
run experiment1 --rows M1 M6 --epochs 1       two rows for one epoch each
run experiments/mine.toml                     your own experiment
run experiment2 --rows Model4 --seeds 0 1 2 --tensorboard
run experiment1 --jobs 4                      four runs at once
run experiment1 --executor ray --address auto --cpus-per-run 2
"""
OF_RAY = ("address", "cpus_per_run", "gpus_per_run", "storage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("experiment", type=Path, help="a name, such as experiment1, or a TOML file")
    add("--rows", nargs="+", metavar="ROW", help="only these rows, such as M1 M6")
    add("--seeds", nargs="+", type=int, metavar="SEED", help="these seeds instead of the experiment's, such as 0 1 2")
    add("--epochs", type=int, metavar="N", help="at most N epochs: a shortened run, for a trial")
    add(
        "--precision",
        metavar="POLICY",
        help="float32, mixed_bfloat16 or mixed_float16 (on a GPU); default: the row's",
    )
    add(
        "--deterministic",
        action="store_true",
        help="bit-identical results on a GPU, but slower (not needed on a CPU)",
    )
    add("--tensorboard", action="store_true", help="log curves, graph and the focus maps of each epoch for TensorBoard")
    options.add(parser, "--jobs")
    add(
        "--executor",
        choices=["local", "ray"],
        default="local",
        help="ray: like --jobs, but on a cluster, or with the cores and GPUs that you choose for each run",
    )
    add("--address", help="address of a Ray cluster, such as auto (default: start one on this machine)")
    add("--cpus-per-run", type=float, metavar="N", help="cores per run, with --executor ray (default: 1)")
    add("--gpus-per-run", type=float, metavar="N", help="GPUs per run, with --executor ray or --jobs, such as 0.25")
    add(
        "--storage",
        metavar="URI",
        help="with --executor ray: where to keep runs if nodes share no folder, such as s3://bucket/runs",
    )
    options.add(parser, "--data", "--runs", "--wide", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    connect = _connect(arguments)
    # Check the configuration before the data, and both before loading TensorFlow.
    experiment = rows.read(rows.find(arguments.experiment))
    runs = experiment.runs(arguments.rows, arguments.seeds, arguments.epochs, arguments.precision)
    return training.train_and_show(
        runs,
        arguments,
        command,
        connect=connect,
        deterministic=arguments.deterministic,
        tensorboard=arguments.tensorboard,
    )


def _connect(arguments: argparse.Namespace) -> "Callable[[], Executor] | None":
    """Checks the options against each other. Returns a function that makes the executor; None for this process."""
    given = [name for name in OF_RAY if getattr(arguments, name) is not None]
    if arguments.storage is not None and arguments.tensorboard:
        raise UserError(
            "--tensorboard needs a folder that all nodes share, but --storage is for nodes without one.\n"
            "Use only one of them."
        )
    if arguments.jobs != 1:
        given = ["executor"] * (arguments.executor == "ray") + [name for name in given if name != "gpus_per_run"]
        if given:
            raise UserError(
                f"--jobs and --{given[0].replace('_', '-')} cannot be used together.\n"
                "Use --jobs on this machine, or --executor ray with its own options."
            )
    elif arguments.executor != "ray":
        if given:
            or_jobs = " or --jobs 2 or more" * (given[0] == "gpus_per_run")
            raise UserError(f"--{given[0].replace('_', '-')} needs --executor ray{or_jobs}.")
    else:
        return lambda: cluster.connect(
            arguments.address,
            cpus_per_run=1 if arguments.cpus_per_run is None else arguments.cpus_per_run,
            gpus_per_run=arguments.gpus_per_run or 0,
            storage=arguments.storage,
        )

    return training.connect_jobs(arguments.jobs, arguments.gpus_per_run)
