"""`python -m kerascifar findings`: decides which of the original's claims hold.

Where claims name the seeds that decide, a row of the user's counts only if it has all of them. Otherwise, training one
seed would turn a verdict that is published into "pending".
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.commands import options
from kerascifar.common import errors, terminal
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_keras_to_count
from kerascifar.runs import selection
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    from rich.console import Console

    from kerascifar.findings.claims import Claims


HELP = "decide which of the original's claims hold"
NOTE = (
    "The original's claims are decided with fixed seeds (experiments/claims.toml). Your runs of a row count if you "
    "have one for each of these seeds; otherwise, the published ones count."
)
EXAMPLES = """
findings                                  one line per claim
findings --details                        with the comparisons
findings --published                      without your own runs
findings --claims mine.toml               decide your own claims
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--details", action="store_true", help="show the comparisons, and further analyses")
    options.add(parser, "--published", "--runs")
    parser.add_argument(
        "--claims", type=Path, metavar="FILE", help="decide the claims in this file (default: the original's claims)"
    )
    options.add(parser, "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.findings import claims, rule, verdicts
    from kerascifar.output import tables

    declared = claims.read(arguments.claims or claims.CLAIMS)
    whose, name = ("the original says", "findings") if arguments.claims is None else ("claim says", "findings-claims")
    runs = declared.deciding(selection.pools(arguments.runs, arguments.published))
    if not runs:
        raise UserError(
            f"There is no full run on CIFAR-10, in {arguments.runs} or published, so no claim can be decided.\n"
            "Train one: kerascifar run experiment1. To use runs kept elsewhere: --runs DIR."
        )
    _check_names(declared, runs, arguments.claims)
    decisions = rule.decide(runs, declared)
    table = verdicts.table(decisions)
    out = arguments.runs / "report"
    written: list[Path] = []
    with options.kept():
        written.append(tables.save(table, out / name, "Findings", [rule.RULE]))
    if arguments.json:
        print(options.as_json(table))
    console = terminal.console(stderr=arguments.json)
    shown = verdicts.by_claim(decisions)
    if arguments.details:
        parts = (shown[column] for column in ("words", "verdict", "sentence", "comparisons"))
        shown["comparisons"] = [
            f"{words}: {verdict}\n{sentence}\n{text}\n" for words, verdict, sentence, text in zip(*parts, strict=True)
        ]
        terminal.print_table(console, tables.as_rich(shown[["claim", "comparisons"]]))
    else:
        short = shown[["claim", "words", "verdict"]].rename(columns={"words": whose})
        terminal.print_table(console, tables.as_rich(short))
    counts = [f"{count} {verdict}" for verdict, count in verdicts.counts(decisions).items()]
    terminal.note(console, f"{', '.join(counts)}.")
    for note in filter(None, (declared.note, selection.described(declared.counted(runs)))):
        terminal.note(console, note)
    if arguments.details and arguments.claims is None:
        written += _beside(runs, out, console)
    details = [] if arguments.details else [f"kerascifar findings --details{_same(arguments)}"]
    if places := [*details, *map(str, written)]:
        terminal.note(console, f"In detail: {', '.join(places)}")
    return 0


def _same(arguments: argparse.Namespace) -> str:
    """The options that decide which verdicts a second command shows."""
    runs = f" --runs {shlex.quote(str(arguments.runs))}" * (arguments.runs != options.RUNS)
    claims = f" --claims {shlex.quote(str(arguments.claims))}" * (arguments.claims is not None)
    return " --published" * arguments.published + runs + claims


def _check_names(declared: "Claims", runs: "list[Record]", path: Path | None) -> None:
    """Raises a `UserError` for a row or an experiment that has no run, and that no experiment's file has."""
    pairs = {(r.experiment, r.name) for r in runs if not r.is_candidate} | options.known_rows().keys()
    rows = {name for _, name in pairs}
    for name in declared.rows:
        if name not in rows | {*map("/".join, pairs)}:
            raise UserError(f'{path}: there is no row "{name}".\n{errors.suggest(name, sorted(rows))}')
    experiments = sorted({experiment for experiment, _ in pairs})
    for name in declared.seeds:
        if name not in experiments:
            raise UserError(f'{path}, seeds: there is no experiment "{name}".\n{errors.suggest(name, experiments)}')


def _beside(runs: "list[Record]", out: Path, console: "Console") -> list[Path]:
    """Prints the analyses beside the verdicts and writes their tables; returns the tables' paths."""
    from kerascifar.findings import analyses
    from kerascifar.output import tables

    load_keras_to_count()
    results = analyses.Findings(runs).all(lambda analysis: analysis.details is not None)
    written: list[Path] = []
    for result in results:
        with options.kept():
            written.append(tables.save(result.table, out / result.name, result.title, [result.text]))
        if columns := result.analysis.details:
            terminal.print_table(console, tables.as_rich(result.table[[*columns]], result.title))
        if result.summary:
            terminal.note(console, f"{result.summary}\n")
    return written
