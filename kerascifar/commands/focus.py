"""`python -m kerascifar focus`: measures the focus maps of trained models on the test images."""

import argparse
import sys
from collections.abc import Sequence

from kerascifar.commands import options
from kerascifar.common import errors
from kerascifar.common.errors import UserError

HELP = "measure the focus maps of trained models on the test images"
EXAMPLES = """
focus --published --rows M6 Model4        the published runs of two rows
focus --rows M6 --methods gradcam scorecam --images 1000
"""
FEWEST = 100  # images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", nargs="+", metavar="ROW", default=("M6", "Model4"), help="default: M6 Model4")
    add("--seeds", nargs="+", type=int, metavar="SEED", help="default: all with saved weights")
    add(
        "--methods",
        nargs="+",
        metavar="METHOD",
        default=("gradcam",),
        help="such as gradcam scorecam (default: gradcam)",
    )
    add("--images", type=int, metavar="N", help="only the first N test images")
    add("--published", action="store_true", help="measure the published runs instead of yours")
    options.add_data(parser)
    options.add_runs(parser)
    options.add_json(parser)


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.common import terminal
    from kerascifar.common.load_keras import load_tensorflow
    from kerascifar.focus import measuring, methods
    from kerascifar.images import cifar10
    from kerascifar.output import tables
    from kerascifar.runs import publish, records

    for method in arguments.methods:
        methods.check_method(method)
    place = records.PUBLISHED if arguments.published else arguments.runs
    selected = [
        r
        for r in records.current(records.list_records(place))
        if r.name in arguments.rows and (arguments.seeds is None or r.seed in arguments.seeds)
    ]
    with_weights = [r for r in selected if (r.folder / records.MODEL).is_file()]
    if not with_weights:
        raise UserError(
            f"There is no trained model of {' or '.join(arguments.rows)} in {place}.\n"
            "Train one (make experiment1 ROWS=M6), or measure the published ones: --published."
        )
    dataset = cifar10.load(arguments.data)
    if other := [r for r in with_weights if r.dataset["test"] != dataset.fingerprint["test"]]:
        raise UserError(f"{other[0].folder} was trained on different images from those in {dataset.source}.")
    images, labels = cifar10.test_split(dataset)
    count = len(labels) if arguments.images is None else arguments.images
    if not FEWEST <= count <= len(labels):
        raise UserError(f"--images {count} is out of range. Expected {FEWEST} to {len(labels)}.")
    load_tensorflow("Focus maps")
    if arguments.published:
        publish.check_measuring(count, len(labels))
    scaled = cifar10.scale(images)
    kinds = (*arguments.methods, *measuring.BASELINES)
    work = [kind for record in with_weights for kind in measuring.missing(record, kinds, count)]
    with terminal.counted(len(work) * len(list(measuring.parts(count)))) as tick:
        for record in with_weights:
            try:
                measuring.measure(record, scaled, labels, kinds, count, tick)
            except UserError as problem:  # one model without maps must not keep the others from being measured
                if len(with_weights) == 1:
                    raise
                print(f"Left out: {record.label}. {errors.printable(str(problem))}", file=sys.stderr)
    table = measuring.table(selected)
    path = arguments.runs / "report" / "focus"
    tables.save_plain(table, path, "Where models look", [measuring.NOTE])
    print(options.as_json(table) if arguments.json else f"{tables.plain_markdown(table)}\n\n{path.with_suffix('.md')}")
    return 0
