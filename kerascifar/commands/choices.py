"""`python -m kerascifar choices`: trains the candidates for the open choices and ranks them."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from kerascifar.commands import options, training
from kerascifar.common import terminal
from kerascifar.findings import candidates, choices

HELP = "train candidates for the original's open choices and rank them by likelihood"
EXAMPLES = """
choices                                   train the candidates, then rank them
choices --jobs 2                          train two at once
"""
SHOWN = ["candidate", "open choice", "like", "n", "epochs", "valid_acc", "log likelihood", "weight"]  # in a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="at most N epochs, for a trial; shortened runs are not ranked"
    )
    options.add(parser, "--jobs", "--data", "--runs", "--wide", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.output import tables

    train = partial(
        training.train_rows, arguments=arguments, command=command, connect=training.connect_jobs(arguments.jobs)
    )
    questions, epochs = candidates.read(), arguments.epochs
    first = [run for q in questions for run in q.runs(q.rows, q.seeds[:1], epochs)]
    trained, *_ = train(candidates.without_repeats(first))
    further = [run for q in questions for run in q.runs(choices.best_quarter(q, trained), q.seeds[1:], epochs)]
    if further:
        trained += train(candidates.without_repeats(further))[0]
    table = choices.table(trained, questions)
    if table.empty:
        why = "Shortened runs are not ranked." if trained else "No candidate has finished training yet."
        print(f"There is nothing to rank. {why}", file=sys.stderr)
        if arguments.json:
            print("[]")
        return training.status(trained)
    path = arguments.runs / "report" / "choices"
    tables.save(table, path, choices.TITLE, [choices.NOTE])
    console = options.show(table, table[SHOWN], arguments, choices.TITLE)
    terminal.note(console, f"The whole table, and how the candidates are ranked: {path.with_suffix('.md')}")
    return training.status(trained)
