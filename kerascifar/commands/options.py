"""Options that several commands share. Commands import slow modules only when they run, so that `--help` is fast."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

RUNS = Path("runs")


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="CIFAR-10: a folder or a .tar.gz file")


def add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="your runs (default: %(default)s)")


def add_published(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--published",
        action="store_true",
        help="use the published runs (default: your runs of a row, or the published ones if you have none)",
    )


def add_wide(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wide", action="store_true", help="print all columns")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="train N runs at once, which share this machine's cores and GPUs evenly; needs Ray (default: 1)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the table as JSON on standard output, and everything else on standard error",
    )


def as_json(table: "pd.DataFrame") -> str:
    """The table's rows as JSON objects, at full precision. Missing values are null."""
    return str(table.to_json(orient="records", double_precision=15, force_ascii=False, indent=2))
