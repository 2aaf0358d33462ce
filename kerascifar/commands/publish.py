"""`python -m kerascifar publish`: copies finished runs into experiments/results."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kerascifar.commands import options
from kerascifar.common.errors import UserError

HELP = "copy finished runs into experiments/results and update the tables and figures in README and docs/results"
EXAMPLES = """
publish runs/experiment1-M6-seed0-7eda230c
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="folders of finished runs; without any, only the tables and figures are updated",
    )
    options.add_data(parser)


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.common.load_keras import load_tensorflow
    from kerascifar.images import cifar10
    from kerascifar.runs import records

    # Check that the pictures can be drawn before copying anything.
    dataset = cifar10.load(arguments.data)
    load_tensorflow("The focus maps of published runs")
    from kerascifar.focus import pictures
    from kerascifar.output import readme
    from kerascifar.runs import publish

    for path in publish.publish(arguments.folders):
        print(path)
    published = records.current(records.list_records(records.PUBLISHED))
    if not published:
        raise UserError("Nothing has been published yet.\nName the folders of the finished runs to publish.")
    for path in readme.write(published, lambda record: pictures.class_sheet(record, dataset)):
        print(path)
    return 0
