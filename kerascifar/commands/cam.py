"""`python -m kerascifar cam`, also `python -m kerascifar.cam`: draws focus maps of a trained model."""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.commands import options
from kerascifar.common import errors
from kerascifar.common.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from kerascifar.images import cifar10
    from kerascifar.runs import records

HELP = "draw where a trained model finds its evidence: image, focus map, and both"
EXAMPLES = """
cam --class airplane                      its first validation image, with the row of the best validation accuracy
cam --class airplane --row M6             the same image, with row M6
cam --all --row Model4-seed0              the ten classes on one sheet
cam --class bird --method scorecam        with a method other than Grad-CAM
cam --class cat --against dog             why a cat, and not a dog?
cam --index 4711                          image 4711 of the 50,000, explained for its label
cam --image photo.jpg                     your own photo, explained for the predicted class
"""
NOTE = (
    "Without --index, a class is shown on its first validation image in the official order, so that images are not "
    "selected by how good their maps look. Test images are never shown."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m kerascifar.cam`."""
    parser = argparse.ArgumentParser(prog="python -m kerascifar.cam", description=f"{HELP.capitalize()}. {NOTE}")
    add_arguments(parser)
    return run(parser.parse_args(argv), [])


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    from kerascifar.common import drawing
    from kerascifar.common.load_keras import load_tensorflow
    from kerascifar.focus import pictures
    from kerascifar.images import cifar10
    from kerascifar.runs import records

    _check_arguments(arguments)
    image = None
    if arguments.image is not None:
        from kerascifar.images import photo

        image = photo.read(arguments.image)
    # A photo does not need CIFAR-10, but --data still selects the models that were trained on it.
    dataset = cifar10.load(arguments.data) if image is None or arguments.data is not None else None
    if dataset is not None:
        _class_number(arguments.class_, dataset.class_names)
        _class_number(arguments.against, dataset.class_names, "--against")
        _check_index(arguments.index, dataset)
    pools = _pools(arguments.runs, dataset, arguments.published)
    record, why = choose(pools, *_row_and_seed(arguments.row, arguments.seed))
    class_names = tuple(record.dataset["class_names"])
    wanted = _class_number(arguments.class_, class_names)
    against = _class_number(arguments.against, class_names, "--against")
    out = arguments.out or arguments.runs / "report" / "cam" / _file_name(arguments, record, dataset)

    print(why, flush=True)
    load_tensorflow("Focus maps")
    model = records.load_model(record)
    made_by = pictures.way(model, arguments.layer, arguments.method)
    pixels, labels, sources = _what_to_explain(arguments, image, dataset, wanted)
    focuses = pictures.explain(model, pixels, labels, sources, class_names, arguments.layer, arguments.method, against)

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
    parser.add_argument("--index", type=int, metavar="K", help="the image with official index K (0 … 49999)")
    parser.add_argument("--image", type=Path, metavar="FILE", help="your own photo, of any size")
    parser.add_argument(
        "--row",
        metavar="ROW",
        help="a row, such as Model4, or one of its runs, such as Model4-seed0 (default: the best)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the run with this seed (default: the row's lowest)")
    parser.add_argument("--method", metavar="METHOD", default="gradcam", help="such as scorecam (default: %(default)s)")
    parser.add_argument("--against", metavar="NAME", help="another class: why not this one? (contrastive Grad-CAM)")
    parser.add_argument("--layer", metavar="LAYER", help="the Conv2D layer to use (default: the last)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the picture to write (default: a file in RUNS/report/cam)"
    )
    options.add_published(parser)
    options.add_runs(parser)
    options.add_data(parser)


def _row_and_seed(row: str | None, seed: int | None) -> tuple[str | None, int | None]:
    """`--row M6-seed0` names a seed as `--seed 0` does."""
    from kerascifar.runs import selection

    if row is None:
        return None, seed
    name, of_row = selection.parse(row)
    if None not in (seed, of_row) and seed != of_row:
        raise UserError(f"--row {row} and --seed {seed} name different seeds.\nUse only one of them.")
    return name, of_row if seed is None else seed


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Rejects wrong arguments before anything is loaded."""
    from kerascifar.common import drawing
    from kerascifar.focus import methods

    if arguments.all and arguments.class_ is not None:
        raise UserError("--all draws every class, but --class only one.\nUse only one of them.")
    if arguments.against is not None:
        if arguments.method not in ("gradcam", "contrast"):
            raise UserError(f"--against needs contrastive Grad-CAM, not --method {arguments.method}.\nLeave out one.")
        arguments.method = "contrast"
    methods.check_method(arguments.method, arguments.layer)
    if arguments.image is not None and arguments.index is not None:
        raise UserError("--image names a photo, --index an image of CIFAR-10.\nUse only one of them.")
    if not arguments.all and arguments.class_ is None and arguments.image is None and arguments.index is None:
        raise UserError(
            "Choose what to draw.\nExpected one of: --class NAME (such as airplane), --all, --index K, --image "
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


def _pools(runs: Path, dataset: cifar10.Dataset | None, published_only: bool) -> list[tuple[str, list[records.Record]]]:
    """The user's records unless `published_only`, then the published ones. With a `dataset`, only those trained on it.

    Without one, runs on CIFAR-10 come first, then the user's runs on synthetic data.
    """
    from kerascifar.runs import records

    own = [] if published_only else records.list_records(runs)
    published = records.list_records(records.PUBLISHED)
    if dataset is not None:
        own, published = (
            [r for r in pool if all(r.dataset[part] == dataset.fingerprint[part] for part in ("train", "test"))]
            for pool in (own, published)
        )
        return [("your runs", own), ("the published runs", published)]
    return [
        ("your runs", [r for r in own if not r.is_synthetic]),
        ("the published runs", [r for r in published if not r.is_synthetic]),
        ("your runs on synthetic data", [r for r in own if r.is_synthetic]),
    ]


def _what_to_explain(
    arguments: argparse.Namespace, image: np.ndarray | None, dataset: cifar10.Dataset | None, wanted: int | None
) -> tuple[np.ndarray, list[int | None], list[str]]:
    """Images, uint8 (n, 32, 32, 3), the class to explain for each (None: the predicted one), and their descriptions."""
    import numpy as np

    from kerascifar.focus import pictures

    classes: list[int | None] = list(range(10)) if arguments.all else [wanted]
    if image is not None:
        name = arguments.image.name
        source = f"{name if len(name) <= 40 else name[:39] + '…'}, reduced to 32×32 pixels"
        return np.stack([image] * len(classes)), classes, [source] * len(classes)
    assert dataset is not None
    if arguments.index is not None:
        indices = [arguments.index] * len(classes)
        if classes == [None]:
            classes = [int(dataset.labels[arguments.index])]
    else:
        first = pictures.first_validation_images(dataset.labels)
        indices = [int(first[c]) for c in classes]
    return np.stack([dataset.images[i] for i in indices]), classes, [pictures.describe(dataset, i) for i in indices]


def _file_name(arguments: argparse.Namespace, record: records.Record, dataset: cifar10.Dataset | None) -> str:
    """`M6-seed0-airplane.png`, `M6-seed0-all.png`, `M6-seed0-index4711.png`, `M6-seed0-photo.png`."""
    parts = [record.name, f"seed{record.seed}"]
    if arguments.image is not None:
        parts.append(arguments.image.stem)
    if arguments.index is not None:
        parts.append(f"index{arguments.index}")
    if arguments.class_ is not None:
        parts.append(arguments.class_)
    if arguments.all:
        parts.append("all")
    if arguments.against is not None:
        parts.append(f"not-{arguments.against}")
    if arguments.method != "gradcam":
        parts.append(arguments.method.replace("+", "p"))
    if arguments.layer is not None:
        parts.append(arguments.layer)
    name = re.sub(r"[^\w.-]", "_", "-".join(parts))
    return name.encode()[:200].decode(errors="ignore") + ".png"  # a name may have 255 bytes


def choose(
    candidates: Sequence[tuple[str, Sequence[records.Record]]], row: str | None, seed: int | None
) -> tuple[records.Record, str]:
    """The record to explain, and a sentence that says why it was chosen.

    Args:
        candidates: pools in order of preference, each with its name ("your runs", "the published runs"). The first pool
            with a matching record is used.
        row: only this row. By default the row with the best mean validation accuracy, over all its seeds, even those
            whose weights were not kept.
        seed: only this seed. By default the row's lowest.
    Raises:
        UserError: no record matches; the text lists the rows and seeds that exist.
    """
    usable = [(name, _usable(pool)) for name, pool in candidates]
    for name, pool in usable:
        fitting = [r for r in pool if row in (None, r.name) and seed in (None, r.seed)]
        if fitting:
            everything = [r for other, all_ in candidates if other == name for r in all_ if not r.diverged]
            groups = {key: [r for r in everything if r.group == key] for key in {r.group for r in fitting}}
            best = min(groups.values(), key=_rank)
            record = min((r for r in fitting if r.group == best[0].group), key=lambda r: r.seed)
            rows = {r.name for r in fitting}
            why = f"of {name}" if row or len(rows) == 1 else f"best validation accuracy of {name}"
            epochs = f"{record.epochs_trained} epoch{'s' * (record.epochs_trained > 1)}"
            trial = f"; a shortened trial of {epochs}, not a result" * record.shortened
            return record, f"{record.name}, seed {record.seed} ({why}: {_mean_accuracy(best):.2%}{trial})"
    available = [r for _, pool in usable for r in pool]
    if not available:
        raise UserError(
            "There is no trained model yet to draw focus maps for.\n"
            "Train one: `make experiment1` (all rows), or `make experiment1 ROWS=M6 EPOCHS=1` (one row, minutes). Runs "
            "kept elsewhere: --runs DIR.\nNothing was written."
        )
    names = {r.name for r in available}
    if row is not None and row not in names:
        raise UserError(
            f"--row {row}: no trained model of this row was found.\nRows that have one: {', '.join(sorted(names))}. "
            f"{_did_you_mean(row, names)}To train another: `make experiment1 ROWS={row}` or `make experiment2 "
            f"ROWS={row}`.\nNothing was written."
        )
    seeds = sorted({r.seed for r in available if row in (None, r.name)})
    what = f"--row {row} --seed {seed}" if row else f"--seed {seed}"
    raise UserError(
        f"{what}: no trained model with this seed was found.\nSeeds that have one: {', '.join(map(str, seeds))}. "
        f"To train another: `make experiment1 SEEDS={seed}`.\nNothing was written."
    )


def _usable(pool: Sequence[records.Record]) -> list[records.Record]:
    """The runs that did not diverge and whose weights were kept."""
    from kerascifar.runs import records

    return [r for r in pool if not r.diverged and records.has_weights(r)]


def _mean_accuracy(group: Sequence[records.Record]) -> float:
    return statistics.fmean(r.results["validation"]["accuracy"] for r in group)


def _rank(group: Sequence[records.Record]) -> tuple[object, ...]:
    """A sort key: full runs first, then by validation accuracy. Name and folder break ties, so the order is stable."""
    first = group[0]
    return (first.shortened, -_mean_accuracy(group), first.name, str(first.folder))


def _did_you_mean(wrong: str, known: set[str]) -> str:
    _, _, hint = errors.suggest(wrong, known).partition(" Did you mean ")
    return f"Did you mean {hint} " if hint else ""
