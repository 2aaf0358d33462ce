"""`python -m kerascifar report`: makes the tables, figures and page from your runs and the published ones."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kerascifar.commands import options
from kerascifar.common import terminal
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.images import cifar10
from kerascifar.runs import selection

HELP = "make the tables, figures and page from your runs and the published ones; update README and docs/results"
EXAMPLES = """
report --out report                       the same as `make report`
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=options.folder, metavar="DIR", help="folder for the output (default: RUNS/report)"
    )
    options.add(parser, "--data", "--runs")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    own, published = selection.pools(arguments.runs)
    if all(r.is_candidate for r in (*own, *published)):
        raise UserError(
            f"There is no finished run, other than candidates, in {arguments.runs} or among the published runs.\n"
            "Train one: kerascifar run experiment1 --rows M6 --epochs 1. Without data: kerascifar demo"
        )
    dataset = None
    try:
        load_tensorflow("Focus maps")
        dataset = cifar10.load(arguments.data, download=False)
    except UserError as problem:
        if arguments.data is not None:
            raise
        reason = str(problem).partition("\nNothing was trained")[0]
        print(f"The gallery of focus maps is left out. {reason}", file=sys.stderr)
    from kerascifar.output import page, readme, report

    out = arguments.out or arguments.runs / "report"
    written = report.write(own, published, out)
    written.append(page.write(own, published, dataset, out))
    print(selection.described([*own, *published]))
    print(f"{terminal.files_written(written)}; the page: {written[-1]}")
    if published and Path("README.md").resolve() == readme.README:  # only in a checkout
        try:
            print(f"README and {terminal.files_written(readme.write_tables(published))}")
        except OSError as error:
            print(f"README's tables are not updated: {error.strerror} ({error.filename}).", file=sys.stderr)
    return 0
