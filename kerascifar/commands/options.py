"""Options that several commands share. Command modules import nothing heavy at the top, so that `--help` is fast."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

RUNS = Path("runs")


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="CIFAR-10: a folder or one of its .tar.gz files")


def add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="your runs (default: %(default)s)")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="train N runs at once on this machine; they share its cores and GPUs evenly; needs Ray (default: 1)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print the table as JSON on standard output, the rest on standard error"
    )


def as_json(table: "pd.DataFrame") -> str:
    """The table's lines as objects, at full precision; a missing value is null."""
    return str(table.to_json(orient="records", double_precision=15, force_ascii=False, indent=2))
