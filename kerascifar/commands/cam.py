"""`python -m kerascifar cam`, also `python -m kerascifar.cam`: draws focus maps of a trained model."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.commands import options
from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.focus import methods
from kerascifar.images import cifar10, photo
from kerascifar.runs import records, selection

if TYPE_CHECKING:
    import numpy as np


HELP = "show where a trained model finds evidence: image, focus map, and both overlaid"
EXAMPLES = """
cam --class airplane                      the class's first validation image, explained by the best row
cam --class airplane --row M6             the same image, with row M6
cam --all --row Model4-seed0              the ten classes on one sheet
cam --class bird --method scorecam        with a method other than Grad-CAM
cam --class cat --against dog             why a cat, and not a dog?
cam --index 4711                          image 4711 of the 50,000, explained for its label
cam --image photo.jpg                     your own photo, explained for the predicted class
"""
NOTE = (
    "Without --index, a class's first validation image in the official order is shown, so that no image is chosen for "
    "its good-looking map. Test images are never shown."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m kerascifar.cam`."""
    parser = argparse.ArgumentParser(prog="python -m kerascifar.cam", **options.described(HELP, NOTE, EXAMPLES))
    add_arguments(parser)
    return run(parser.parse_args(argv), [])


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.common import drawing
    from kerascifar.focus import pictures

    _check_arguments(arguments)
    image = None
    if arguments.image is not None:
        image = photo.read(arguments.image)
    # A photo does not need CIFAR-10, but --data still selects the models that were trained on it.
    dataset = cifar10.load(arguments.data) if image is None or arguments.data is not None else None
    if dataset is not None:
        _check_index(arguments.index, dataset)
    row, seed = arguments.row, arguments.seed
    if row is not None:
        row, seed = selection.row_and_seed(row, seed)
    record, why = selection.to_explain(arguments.runs, arguments.published, dataset=dataset, row=row, seed=seed)
    class_names = tuple(record.dataset["class_names"])
    wanted = _class_number(arguments.class_, class_names)
    against = _class_number(arguments.against, class_names, "--against")
    out = arguments.out or arguments.runs / "report" / "cam" / _file_name(arguments, record)

    print(why, flush=True)
    load_tensorflow("Focus maps")
    model = records.load_model(record)
    made_by = pictures.way(model, arguments.layer, arguments.method)
    pixels, labels, sources, truths = _what_to_explain(arguments, image, dataset, wanted)
    focuses = pictures.explain(
        model,
        pixels,
        labels,
        sources,
        class_names=class_names,
        truths=truths,
        layer=arguments.layer,
        method=arguments.method,
        against=against,
    )

    drawing.save(
        lambda: (
            pictures.sheet(focuses, record, made_by) if arguments.all else pictures.panel(focuses[0], record, made_by)
        ),
        out,
    )
    for focus in focuses:
        if not focus.map.any():
            print(f'{focus.source}: no positive evidence for "{focus.explained}"; its map is empty.')
    print(errors.printable(str(out)))
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--class", dest="class_", metavar="NAME", help="the class to explain, such as airplane")
    parser.add_argument("--all", action="store_true", help="all ten classes on one sheet")
    parser.add_argument("--index", type=int, metavar="K", help="image K of the training files, counted from 0 to 49999")
    parser.add_argument("--image", type=Path, metavar="FILE", help="your own photo, of any size")
    parser.add_argument(
        "--row",
        metavar="ROW",
        help="a row, such as Model4, or one of its runs, such as Model4-seed0 (default: the best fully trained one)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the run with this seed (default: the row's lowest)")
    parser.add_argument("--method", metavar="METHOD", default="gradcam", help="such as scorecam (default: %(default)s)")
    parser.add_argument("--against", metavar="NAME", help="another class: why not this one? (contrastive Grad-CAM)")
    parser.add_argument("--layer", metavar="LAYER", help="the Conv2D or Add layer to use (default: the last)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the picture to write (default: a file in RUNS/report/cam)"
    )
    options.add(parser, "--published", "--runs", "--data")


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Rejects wrong arguments before anything is loaded."""
    from kerascifar.common import drawing

    if arguments.all and arguments.class_ is not None:
        raise UserError("--all draws every class, but --class only one.\nUse only one of them.")
    if arguments.against is not None:
        if arguments.all:
            raise UserError("--all draws every class, so none is left for --against.\nUse only one of them.")
        if arguments.method not in ("gradcam", "contrast"):
            raise UserError(f"--against needs contrastive Grad-CAM, not --method {arguments.method}.\nLeave out one.")
        arguments.method = "contrast"
    methods.check_method(arguments.method, arguments.layer)
    if arguments.image is not None and arguments.index is not None:
        raise UserError("--image names a photo, --index an image of CIFAR-10.\nUse only one of them.")
    if not arguments.all and arguments.class_ is None and arguments.image is None and arguments.index is None:
        raise UserError(
            "Choose what to draw with one of: --class NAME (such as airplane), --all, --index K, --image "
            "FILE. `kerascifar cam --help` shows examples."
        )
    if arguments.out is not None:
        if arguments.out.is_dir():
            raise UserError(f"--out {arguments.out} is a folder.\nName a file, such as {arguments.out / 'focus.png'}.")
        drawing.check_suffix(arguments.out)


def _class_number(name: str | None, class_names: Sequence[str], option: str = "--class") -> int | None:
    if name is None:
        return None
    if name not in class_names:
        raise UserError(f'{option} "{name}" is not known.\n{errors.suggest(name, class_names)}\nNothing was written.')
    return list(class_names).index(name)


def _check_index(index: int | None, dataset: cifar10.Dataset) -> None:
    if index is not None and not 0 <= index < len(dataset.labels):
        raise UserError(
            f"--index {index} is out of range.\nExpected 0 … {len(dataset.labels) - 1}, the official index in the "
            "training files; test images are never shown.\nNothing was written."
        )


def _what_to_explain(
    arguments: argparse.Namespace, image: np.ndarray | None, dataset: cifar10.Dataset | None, wanted: int | None
) -> tuple[np.ndarray, list[int | None], list[str], np.ndarray | None]:
    """Images, uint8 (n, 32, 32, 3), the class to explain for each (None: the predicted one), and their descriptions.

    Last, their true classes, int64 (n,); None for a photo.
    """
    import numpy as np

    from kerascifar.focus import pictures

    classes: list[int | None] = list(range(10)) if arguments.all else [wanted]
    if image is not None:
        name = arguments.image.name
        source = f"{name if len(name) <= 40 else name[:39] + '…'}, resized to 32×32 pixels"
        return np.stack([image] * len(classes)), classes, [source] * len(classes), None
    assert dataset is not None
    if arguments.index is not None:
        indices = [arguments.index] * len(classes)
        if classes == [None]:
            classes = [int(dataset.labels[arguments.index])]
    else:
        first = pictures.first_validation_images(dataset.labels)
        indices = [int(first[c]) for c in classes]
    sources = [pictures.describe(dataset, i) for i in indices]
    return dataset.images[indices], classes, sources, dataset.labels[indices]


def _file_name(arguments: argparse.Namespace, record: records.Record) -> str:
    """`M6-seed0-airplane.png`, `M6-seed0-all.png`, `M6-seed0-index4711.png`, `M6-seed0-photo.png`."""
    parts = [
        selection.short_name(record),
        arguments.image and arguments.image.stem,
        None if arguments.index is None else f"index{arguments.index}",
        arguments.class_,
        "all" if arguments.all else None,
        arguments.against and f"not-{arguments.against}",
        None if arguments.method == "gradcam" else arguments.method.replace("+", "p"),
        arguments.layer,
    ]
    name = re.sub(r"[^\w.-]", "_", "-".join(filter(None, parts)))
    return name.encode()[:200].decode(errors="ignore") + ".png"  # a name may have 255 bytes
