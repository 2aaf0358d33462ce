"""`python -m kerascifar runs`: lists finished runs, yours and the published ones."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.commands import options
from kerascifar.common import errors, terminal
from kerascifar.runs import grouping, records, selection
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd


HELP = "list finished runs, yours and the published ones"
EXAMPLES = """
runs                                      one line per row
runs --wide                               one line per run, with its folder
runs M1 M2 --wide                         one line per run of these rows
"""
NOTE = (
    "Other commands take a row (M6: all its seeds), a row with a seed (M6-seed20) or a run's folder. A name means your "
    "runs, or the published ones if you have none; with --published, it means the published ones."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows (default: all)")
    options.add(parser, "--published", "--runs", "--wide", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.output import tables

    everything = [] if arguments.published else records.list_records(arguments.runs)
    own, published = grouping.current(everything), selection.pools(arguments.runs, published_only=True)[0]
    found = [*own, *published]
    for row in arguments.rows:
        if not any(selection.is_meant(run, *selection.parse(row)) for run in found):
            known = [r.name for r in found if not r.is_candidate]
            raise errors.UserError(f'There is no run of row "{row}".\n{errors.suggest(row, known)}')
    wanted = [selection.parse(row) for row in arguments.rows]
    found = [r for r in found if not wanted or any(selection.is_meant(r, *each) for each in wanted)]
    whole = arguments.wide or arguments.json
    shown = found if whole or arguments.rows else [run for run in found if not run.is_candidate]
    table = _each(found) if whole else _by_row(shown)
    if arguments.json:
        print(options.as_json(table))
        return 0
    console = terminal.console(wide=arguments.wide)
    if shown:
        terminal.print_table(console, tables.as_rich(table))
    else:
        print(f"There is no finished run to show in {arguments.runs} or among the published ones.", file=sys.stderr)
    if not (everything or arguments.published):
        terminal.note(console, f"You have no runs in {arguments.runs}, so only published runs are shown.")
    if earlier := len(everything) - len(own):
        terminal.note(
            console,
            f"Not shown: {earlier} of your runs. They are trials of rows that also have full runs, runs on synthetic "
            "data, copies, or runs of rows or models that have changed since.",
        )
    if left_out := len(found) - len(shown):
        terminal.note(console, f"Candidate runs not shown: {left_out}. To list them: kerascifar runs --wide")
    terminal.note(console, NOTE)
    return 0


def _from_here(folder: Path) -> Path:
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _each(found: "Sequence[Record]") -> "pd.DataFrame":
    """One line per run."""
    import pandas as pd

    lines = [
        {
            "run": selection.short_name(r),
            "whose": selection.whose(r),
            "experiment": r.experiment,
            "epochs": r.epochs_trained,
            "Valid_acc": r.accuracy("validation"),
            # Candidates are ranked without test figures.
            "Test_acc": math.nan if r.is_candidate else r.accuracy(),
            "remarks": _remarks(r),
            "folder": errors.printable(str(_from_here(r.folder))),
        }
        for r in found
    ]
    return pd.DataFrame(lines)


def _by_row(found: "Sequence[Record]") -> "pd.DataFrame":
    """One line per row and owner, as text."""
    import pandas as pd

    from kerascifar.output import result_tables

    lines: list[dict[str, str]] = []
    for whose in dict.fromkeys(map(selection.whose, found)):
        for name, runs in grouping.by_name([r for r in found if selection.whose(r) == whose]).items():
            lines.append(
                {
                    "row": name,
                    "seeds": _seeds([r.seed for r in runs]),
                    "whose": whose,
                    "test accuracy (n)": "" if runs[0].is_candidate else result_tables.spread(runs),
                    "remarks": _remarks(runs[0]),
                }
            )
    table = pd.DataFrame(lines)
    return table if any(line["remarks"] for line in lines) else table.drop(columns="remarks", errors="ignore")


def _seeds(seeds: list[int]) -> str:
    """`0, 2` or, if none is missing between them, `0 … 5`."""
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} … {seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _remarks(record: "Record") -> str:
    limit = f"limit of {record.row.epochs} epoch{'s' * (record.row.epochs > 1)} reached"
    marks = {
        "shortened trial": record.shortened,
        limit: record.reached_limit and not record.shortened,
        "synthetic data": record.is_synthetic,
    }
    return ", ".join(mark for mark, applies in marks.items() if applies)
