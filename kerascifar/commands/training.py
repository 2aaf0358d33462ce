"""Trains for the commands `run`, `choices` and `demo`: from a list of runs to their records and a table."""

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kerascifar.commands.options import as_json
from kerascifar.common import files, machine, terminal
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_keras
from kerascifar.images import cifar10
from kerascifar.images.cifar10 import Dataset
from kerascifar.runs import cluster, grouping, records
from kerascifar.runs.records import Record
from kerascifar.training.rows import Run

if TYPE_CHECKING:
    from rich.console import Console

    from kerascifar.runs.experiment import Executor


def connect_jobs(jobs: int, gpus_per_run: float | None = None) -> "Callable[[], Executor] | None":
    """A function that makes an executor for `jobs` runs at once on this machine; None for one run, in this process.

    Raises:
        UserError: there is not a core for each run.
    """
    available = machine.cores()
    if not 1 <= jobs <= available:
        raise UserError(
            f"--jobs {jobs} is out of range. Expected 1 to {available}, the number of cores on this machine: "
            "each run needs one."
        )
    if jobs == 1:
        return None
    return functools.partial(cluster.connect, cpus_per_run=available // jobs, gpus_per_run=gpus_per_run, jobs=jobs)


def train_rows(
    runs: Sequence[Run],
    arguments: argparse.Namespace,
    command: Sequence[str],
    *,
    connect: "Callable[[], Executor] | None" = None,
    deterministic: bool = False,
    tensorboard: bool = False,
) -> "tuple[list[Record], Dataset, Console]":
    """Trains the runs that are not finished; returns the records of all, the images, and the console to print to.

    Args:
        arguments: `data`, `runs` and `json` are used.
        command: resumes an interrupted training.
        connect: makes the executor; by default, this process trains.
    """
    dataset = cifar10.load(arguments.data)
    files.check_writable(arguments.runs / "report")  # if it is read-only, fail before hours of training, not after
    execute = connect() if connect else None

    load_keras()
    from kerascifar.output import ornaments
    from kerascifar.runs import experiment

    console = terminal.console(stderr=arguments.json)
    callbacks: dict[str, Any] = {}
    if tensorboard:
        from kerascifar.focus import tensorboard as logs

        logs.check()
        callbacks["callbacks"] = functools.partial(logs.callbacks, runs=arguments.runs.resolve())
    trained = experiment.train_runs(
        runs,
        dataset,
        arguments.runs,
        console,
        command=command,
        deterministic=deterministic,
        execute=execute,
        ornaments=ornaments.left_out,
        **callbacks,
    )
    return trained, dataset, console


def train_and_show(runs: Sequence[Run], arguments: argparse.Namespace, command: Sequence[str], **how: Any) -> int:
    """Trains, then prints the experiment's table and writes its tables and figures; returns the exit status."""
    own, dataset, console = train_rows(runs, arguments, command, **how)
    if not own:
        if arguments.json:
            print("[]")
        return 0
    if own[0].is_candidate:
        _show_candidates(own, arguments, console)
        return status(own)
    from kerascifar.output import report, result_tables, tables

    name = own[0].experiment
    known = [] if dataset.is_synthetic else grouping.current(records.list_records(records.PUBLISHED))
    published = [r for r in known if r.experiment == name]
    table, title = result_tables.results(own, published), f"{name} on {dataset.name}"
    if arguments.json:
        print(as_json(table))
    elif arguments.wide:
        drawn = tables.as_rich(result_tables.readable(table), title, bold=result_tables.BEST)
        terminal.print_table(terminal.console(wide=True), drawn)
    else:
        terminal.print_table(
            console, tables.as_rich(result_tables.narrow(own, published), f"{title}, test accuracy (%)")
        )
    for note in result_tables.notes(own, published if arguments.wide else []):
        terminal.note(console, note)
    # The files include the other rows of the experiment and the other seeds of these rows: training adds to the tables.
    everything = [r for r in records.list_records(arguments.runs) if r.experiment == name]
    everything = [r for r in everything if r.is_synthetic == own[0].is_synthetic]
    names, groups = {r.name for r in own}, {r.group for r in own}
    of_rows = [r for r in everything if r.group in groups]
    others = grouping.current(r for r in everything if r.name not in names)
    out = arguments.runs / "report"
    written = report.write(
        grouping.in_order([*of_rows, *others]),
        published,
        out,
        lambda text: console.print(text, markup=False),
    )
    terminal.say(console, f"\n{terminal.files_written(written)}. All columns of the table: {out / name}.md")
    return status(own)


def status(trained: Sequence[Record]) -> int:
    """The exit status: 1 if a run's loss became NaN or infinite."""
    return int(any(record.diverged for record in trained))


def _show_candidates(trained: Sequence[Record], arguments: argparse.Namespace, console: "Console") -> None:
    """Prints the ranking of the user's candidates, and writes it to a file."""
    from kerascifar.findings import search
    from kerascifar.output import tables

    everything = grouping.current(records.list_records(arguments.runs))
    table = search.table([r for r in everything if r.is_synthetic == trained[0].is_synthetic])
    path = arguments.runs / "report" / "search-ranked"
    if arguments.json:
        print(as_json(table))
    elif table.empty:
        terminal.note(console, "Shortened runs are not ranked.")
    else:
        terminal.print_table(console, tables.as_rich(table if arguments.wide else table.drop(columns="multiply-adds")))
    if not table.empty:
        tables.save(table, path, "Candidates", [search.NOTE])
        terminal.note(console, f"{search.NOTE} The table: {path.with_suffix('.md')}")
