"""`python -m kerascifar compare`: shows runs in one table, with paired differences from the first."""

import argparse
from collections.abc import Sequence

from kerascifar.commands import options
from kerascifar.common import terminal
from kerascifar.findings import compare
from kerascifar.runs import selection

HELP = "show runs in one table, with paired differences from the first"
EXAMPLES = """
compare M6 Mine                           a published row and your own row
compare M6-seed20 M6-seed21               two runs of one row
compare M1 M6 --wide                      with all columns
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="+", metavar="RUN", help="a row, a row with a seed (M6-seed20), or a run's folder"
    )
    options.add(parser, "--published", "--runs", "--wide", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.common import drawing
    from kerascifar.output import figures, result_tables, tables

    runs = compare.find(arguments.names, arguments.runs, arguments.published)
    table = compare.table(runs)
    path = arguments.runs / "report" / "compare"
    console = options.show(table, result_tables.narrow_comparison(runs, table), arguments, "Test accuracy, %")
    for note in (compare.NOTE, *compare.unpaired(runs, table)):
        terminal.note(console, note)
    used = selection.described(run for group in runs.values() for run in group)
    terminal.say(console, used)
    with options.kept():
        tables.save(table, path, "Compared: " + ", ".join(runs), [compare.NOTE, used])
        drawing.save(lambda: figures.compared(runs), path.with_suffix(".png"))
        terminal.say(console, f"{path}.md, {path}.png")
    return 0
