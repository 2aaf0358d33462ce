"""`python -m kerascifar compare`: shows runs in one table, with paired differences from the first."""

import argparse
from collections.abc import Sequence

from kerascifar.commands import options

HELP = "show runs in one table, with paired differences from the first"
EXAMPLES = """
compare M6 Mine                           a published row and your own row
compare runs/experiment1-M6-seed0-7eda230c M1 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="+",
        metavar="RUN",
        help="a run's folder or a row's name; your runs take precedence over published ones",
    )
    options.add_runs(parser)
    options.add_json(parser)


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.common import drawing
    from kerascifar.findings import compare
    from kerascifar.output import figures, tables

    runs = compare.find(arguments.names, arguments.runs)
    table = compare.table(runs)
    path = arguments.runs / "report" / "compare"
    tables.save_plain(table, path, "Compared: " + ", ".join(runs), [compare.NOTE])
    drawing.save(lambda: figures.compared(runs), path.with_suffix(".png"))
    text = f"{tables.plain_markdown(table)}\n\n{compare.NOTE}\n\n{path.with_suffix('.png')}"
    print(options.as_json(table) if arguments.json else text)
    return 0
