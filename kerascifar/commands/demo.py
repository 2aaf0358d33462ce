"""`python -m kerascifar demo`: a short tour on drawn shapes; needs no dataset or internet connection."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kerascifar.commands import cam, options, training
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.images import cifar10, drawn
from kerascifar.training.rows import Experiment, Row

HELP = "a short tour on drawn shapes; needs no dataset or internet connection"
EXAMPLES = """
demo                                      two minutes on two cores
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=options.folder,
        default=Path("demo"),
        metavar="DIR",
        help="folder for data and runs (default: %(default)s)",
    )


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    load_tensorflow("The demo's focus maps")
    out = arguments.out
    print(f"SYNTHETIC DATA: drawn shapes in CIFAR-10's format, in {out / 'data'}. Not CIFAR-10.", flush=True)
    if not (out / "data" / "cifar-10-batches-bin" / cifar10.MARKER).is_file():
        drawn.write(out / "data", train=1200)
    # Small batches give enough steps in two minutes to learn something from so few images.
    rows = (
        Row("Demo1", "model1", epochs=8, batch_size=8, augment=False),
        Row("Demo4", "model4", epochs=5, batch_size=8, augment=False),
    )
    runs = Experiment("demo", rows).runs()
    where = argparse.Namespace(runs=out / "runs", data=out / "data", json=False, wide=False)
    status = training.train_and_show(runs, where, command)
    for row in rows if status == 0 else ():
        places = ["--runs", str(out / "runs"), "--data", str(out / "data")]
        status = status or cam.main(["--all", "--row", row.name, *places])
    return status
