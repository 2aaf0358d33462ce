"""`python -m kerascifar publish`: copies finished runs into experiments/results."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kerascifar.commands import options
from kerascifar.common import terminal
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.common.paths import in_checkout
from kerascifar.images import cifar10
from kerascifar.runs import publish, selection

HELP = "copy finished runs into experiments/results and update the tables and figures in README and docs/results"
EXAMPLES = """
publish M6-seed20                         your run of this row and seed
publish runs/experiment1-M6-seed20-39b8361e
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="RUN",
        help="your runs (M6-seed20), rows (M6: all seeds) or folders; without any, only tables and figures are updated",
    )
    options.add(parser, "--runs", "--data")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    if not in_checkout():
        raise UserError("Publishing needs a checkout of the source; this is an installed package.")
    folders = [folder for name in arguments.names for folder in _folders(name, arguments.runs)]
    # Check that the pictures can be drawn before copying anything.
    dataset = cifar10.load(arguments.data)
    if dataset.is_synthetic:
        raise UserError(
            f"{dataset.source} holds drawn shapes.\nName CIFAR-10 with --data: focus maps are drawn on its images.\n"
            "Nothing was published."
        )
    load_tensorflow("The focus maps of published runs")
    from kerascifar.focus import pictures
    from kerascifar.output import readme

    for path in publish.publish(folders):
        print(path)
    (published,) = selection.pools(arguments.runs, published_only=True)
    if not published:
        raise UserError("Nothing has been published yet.\nName the folders of the finished runs to publish.")
    written = readme.write(published, lambda record: pictures.class_sheet(record, dataset))
    print(terminal.files_written(written))
    return 0


def _folders(name: str, runs: Path) -> list[Path]:
    """The folders of the user's runs with this name; a folder's path stays as it is, and `publish` checks it."""
    row, seed = selection.parse(name)
    yours = selection.pools(runs)[0]
    own = [r for r in yours if selection.is_meant(r, row, seed)]
    selection.check_unambiguous(row, own)
    if not own and not Path(name).exists():
        raise UserError(f"{selection.unknown(name, yours, str(runs))}\nNothing was published.")
    return [r.folder for r in own] or [Path(name)]
