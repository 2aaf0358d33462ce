"""`python -m kerascifar focus`: measures the focus maps of trained models on the test images."""

import argparse
import sys
from collections.abc import Sequence

from kerascifar.commands import options
from kerascifar.common import errors, terminal
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_keras_to_count, load_tensorflow
from kerascifar.focus import methods
from kerascifar.images import cifar10
from kerascifar.runs import publish, records, selection
from kerascifar.runs.records import Record

HELP = "measure the focus maps of trained models on the test images"
NOTE = "With --published, missing measurements are added to the runs in experiments/results."
EXAMPLES = """
focus --rows M6 Model4                    measures your runs, or shows the published measurements
focus --rows Mine --methods gradcam scorecam --images 1000
"""
FEWEST = 100  # images
SHOWN = ["row", "map", "n", "road", "deletion", "insertion", "pointing", "background"]  # in a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--rows",
        nargs="+",
        metavar="ROW",
        default=("M6", "Model4"),
        help="rows, or runs such as M6-seed20 (default: M6 Model4)",
    )
    add("--seeds", nargs="+", type=int, metavar="SEED", help="only these seeds (default: all with saved weights)")
    add(
        "--methods",
        nargs="+",
        metavar="METHOD",
        default=("gradcam",),
        help="such as gradcam scorecam (default: gradcam)",
    )
    add("--images", type=int, metavar="N", help=f"only the first N test images, at least {FEWEST}")
    options.add(parser, "--published", "--data", "--runs", "--wide", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.findings import focus_means
    from kerascifar.output import tables

    for method in arguments.methods:
        methods.check_method(method)
    named = [run for name in arguments.rows for run in selection.find(name, arguments.runs, arguments.published)]
    found = list({run.folder: run for run in named}.values())
    if candidates := [r for r in found if r.is_candidate]:
        raise UserError(
            f"{candidates[0].label} is a candidate. Maps are measured on test images, which candidates never use.\n"
            f"To look at its maps: kerascifar cam --all --row {candidates[0].name}"
        )
    selected = [r for r in found if arguments.seeds is None or r.seed in arguments.seeds]
    if missing := sorted({*(arguments.seeds or ())} - {r.seed for r in found}):
        seeds = [f"{seed}" for seed in sorted({r.seed for r in found})]
        raise UserError(f"No run with seed {missing[0]} was found.\n{errors.suggest(f'{missing[0]}', seeds)}")
    mine = [r for r in selected if arguments.published or not selection.is_published(r)]
    with_weights = [r for r in mine if records.has_weights(r)]
    if not selected or (mine and not with_weights):
        raise UserError(
            f"No run of {' or '.join(arguments.rows)}{' with these seeds' * bool(arguments.seeds)} has saved weights, "
            "which measuring needs.\nTrain the row yourself: kerascifar run EXPERIMENT --rows ROW --seeds SEED"
        )
    if with_weights:
        _measure(with_weights, arguments)
    else:
        load_keras_to_count()
    table = focus_means.table(selected)
    if table.empty:
        if with_weights:
            raise UserError("None of these runs could be measured. The lines above say why.")
        raise UserError(
            "These published runs have not been measured.\n"
            "To measure those with saved weights, add --published; it takes minutes."
        )
    path = arguments.runs / "report" / "focus"
    console = options.show(table, table[SHOWN], arguments)
    used = selection.described(selected)
    terminal.note(console, used)
    if any(map(selection.is_published, selected)) and not arguments.published:
        terminal.note(
            console, "Published runs are shown with the measurements they have; --published adds missing ones."
        )
    if len(counts := table["images"].unique()) == 1 and counts[0] < 10_000:
        terminal.note(console, f"Measured on {counts[0]:,} images only.")
    with options.kept():
        tables.save(table, path, "Measurements of focus maps", [focus_means.NOTE, used])
        terminal.note(
            console,
            f"How to read the table: {path.with_suffix('.md')}. The measures are explained in docs/focus-measures.md.",
        )
    return 0


def _measure(runs: "list[Record]", arguments: argparse.Namespace) -> None:
    """Makes the missing measurements of these runs."""
    from kerascifar.focus import measuring

    dataset = cifar10.load(arguments.data)
    if other := [r for r in runs if r.fingerprint["test"] != dataset.fingerprint["test"]]:
        raise UserError(f"{other[0].folder} was tested on different images from those in {dataset.source}.")
    images, labels = cifar10.test_split(dataset)
    count = len(labels) if arguments.images is None else arguments.images
    if not FEWEST <= count <= len(labels):
        raise UserError(f"--images {count} is out of range. Expected {FEWEST} to {len(labels)}.")
    load_tensorflow("Focus maps")
    scaled = cifar10.scale(images)
    kinds = (*arguments.methods, *measuring.BASELINES)
    work = [kind for record in runs for kind in measuring.missing(record, kinds, count)]
    if arguments.published and work:
        publish.check_measuring(count, len(labels))
    with terminal.progress(len(work) * len(list(measuring.parts(count)))) as tick:
        for record in runs:
            try:
                measuring.measure(record, scaled, labels, kinds, count=count, tick=tick)
            except UserError as problem:  # one model without maps must not keep the others from being measured
                if len(runs) == 1:
                    raise
                print(f"Left out: {record.label}. {errors.printable(str(problem))}", file=sys.stderr)
