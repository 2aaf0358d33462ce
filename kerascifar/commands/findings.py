"""`python -m kerascifar findings`: decides which of the original's claims hold."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.commands import options
from kerascifar.common.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from kerascifar.runs.records import Record

HELP = "decide which of the original's claims hold"
EXAMPLES = """
findings                                  according to the published runs
findings --runs runs                      according to your runs
"""
# The analyses that stand beside the verdicts, and whether their tables are short enough for a terminal.
BESIDE = {"clean-images": True, "classes": True, "causes": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    out = options.RUNS / "report"
    parser.add_argument("--runs", type=Path, metavar="DIR", help="use these runs (default: the published runs)")
    parser.add_argument(
        "--out", type=Path, default=out, metavar="DIR", help="folder for the tables (default: %(default)s)"
    )
    options.add_json(parser)


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.findings import claims
    from kerascifar.output import tables
    from kerascifar.runs import records

    declared = claims.read()
    runs = records.current(records.list_records(arguments.runs or records.PUBLISHED))
    if not runs:
        where = f"finished run in {arguments.runs}" if arguments.runs else "published run yet"
        raise UserError(f"There is no {where}, so no claim can be decided.\nTo use your own runs: --runs DIR.")
    table = claims.table(runs, declared)
    tables.save_plain(table, arguments.out / "findings", "Findings", [claims.RULE])
    if arguments.json:
        print(options.as_json(table))
    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        _explain(runs, table, arguments.out)
    return 0


def _explain(runs: "list[Record]", table: "pd.DataFrame", out: Path) -> None:
    """Prints the verdicts and the analyses beside them, and writes the tables of these."""
    from kerascifar.common.load_keras import load_keras_to_count
    from kerascifar.common.terminal import Console
    from kerascifar.findings import analyses, claims
    from kerascifar.output import tables

    Console().print(tables.wrapped(claims.verdicts(table, between="\n")))
    load_keras_to_count()
    results = analyses.results(runs, *BESIDE)
    for result in results:
        tables.save_plain(result.table, out / result.name, result.title, [result.text])
        if BESIDE[result.name]:
            print(f"{tables.plain_markdown(result.table)}\n")
        if result.summary:
            print(f"{result.summary}\n")
    for name in ("findings", *(result.name for result in results)):
        print(out / f"{name}.md")
