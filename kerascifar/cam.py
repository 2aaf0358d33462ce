"""Pictures of where a model looks: focus maps of a record's model. `python -m kerascifar.cam --class airplane`."""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascifar import data, errors, maps, models, quiet, records
from kerascifar.errors import UserError

if TYPE_CHECKING:
    import keras
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

RUNS = Path("runs")
COLOURS = "jet"  # the report's colour bar: 0.0 blue … 1.0 red
EXAMPLES = """examples:
  python -m kerascifar.cam --class airplane              the first validation image of an airplane, your best row
  python -m kerascifar.cam --class airplane --row M6     the same image, row M6
  python -m kerascifar.cam --all --row Model4 --seed 0   the ten classes on one sheet
  python -m kerascifar.cam --class bird --method scorecam   by another method than Grad-CAM
  python -m kerascifar.cam --index 4711                  image 4711 of the 50,000, explained for its own label
  python -m kerascifar.cam --image photo.jpg             your own picture, explained for the predicted class

Without --index, a class is shown on its first validation image in the official order: no image is chosen by how well
its map looks. Test images are never shown.
"""


@dataclass(frozen=True)
class Focus:
    """One image, and where a model finds evidence for one class in it."""

    image: np.ndarray  # uint8 (32, 32, 3)
    map: np.ndarray  # float32 (32, 32), 0..1
    explained: str  # the class whose evidence the map shows
    predicted: str
    probability: float  # of the predicted class
    source: str  # which image: "validation image 1234 (airplane)"


def explain(
    model: "keras.Sequential",
    images: np.ndarray,
    labels: Sequence[int | None],
    sources: Sequence[str],
    class_names: Sequence[str],
    layer: str | None = None,
    method: str = "gradcam",
) -> list[Focus]:
    """The focus maps of some images, with what the model predicts.

    Args:
        images: uint8 (n, 32, 32, 3).
        labels: for each image the class to explain; None: the predicted one.
        sources: for each image what it is, for the reader.
        class_names: ten.
        layer, method: see `maps.evidence`.
    """
    models.check_shapes(model)
    scaled = data.scale(images)
    probabilities = _probabilities(model, scaled)
    predicted = probabilities.argmax(axis=1)
    chosen = np.array([p if c is None else c for c, p in zip(labels, predicted, strict=True)], dtype=np.int64)
    found = maps.focus_maps(model, scaled, chosen, layer, method)
    return [
        Focus(images[i], found[i], class_names[chosen[i]], class_names[p], float(probabilities[i, p]), sources[i])
        for i, p in enumerate(predicted)
    ]


def first_validation_images(labels: np.ndarray) -> np.ndarray:
    """For each class the official index of its first validation image, int64 (10,): the images shown by default."""
    validation = np.sort(data.split(labels)[1])
    return np.array([validation[labels[validation] == c][0] for c in range(10)], dtype=np.int64)


def describe(dataset: data.Dataset, index: int) -> str:
    """What an image is, for the reader: `validation image 1234 (airplane)`."""
    part = "validation" if index in dataset.validation else "training"
    return f"{part} image {index} ({dataset.class_names[dataset.labels[index]]})"


def panel(focus: Focus, record: records.Record, made_by: str) -> "Figure":
    """The report's panel: original | heatmap with its colour bar | the image masked by the map. made_by: see `way`."""
    from matplotlib.figure import Figure

    from kerascifar import plots

    figure = Figure(figsize=(9, 3.9), layout="constrained")
    axes = figure.subplots(1, 3)
    heat = _tiles(axes, focus)
    for tile, title in zip(axes, ["original", f"focus map ({made_by})", "image × map"], strict=True):
        tile.set_title(title, fontsize=11)
    bar = figure.colorbar(heat, ax=axes[1], ticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0], fraction=0.046, pad=0.04)
    bar.ax.tick_params(labelsize=9)
    evidence = f"evidence for: {focus.explained} · predicted: {_prediction(focus)}{_nothing(focus)}"
    heading = plots.heading(record)
    gap = " · " if len(heading) + len(focus.source) <= 80 else "\n"  # 80 characters fit the width
    figure.suptitle(_plain(f"{evidence}\n{heading}{gap}{focus.source}"), fontsize=12)
    if record.is_synthetic:
        plots.mark_synthetic(figure)
    return figure


def sheet(focuses: Sequence[Focus], record: records.Record, made_by: str) -> "Figure":
    """One page for the ten classes (or any number): two groups a row, each original | heatmap | masked image."""
    from matplotlib.figure import Figure

    from kerascifar import plots

    rows = math.ceil(len(focuses) / 2)
    figure = Figure(figsize=(11, 2.05 * rows + 1.0), layout="constrained")
    # Five columns of tiles would touch: an empty one in the middle parts the two groups.
    grid = figure.add_gridspec(rows, 7, width_ratios=[1, 1, 1, 0.12, 1, 1, 1])
    tiles: list[Axes] = []
    for i, focus in enumerate(focuses):
        row, side = divmod(i, 2)
        axes = [figure.add_subplot(grid[row, 4 * side + k]) for k in range(3)]
        heat = _tiles(axes, focus)
        text = f"{focus.explained} — predicted: {_prediction(focus)}{_nothing(focus)}\n{focus.source}"
        axes[1].set_title(_plain(text), fontsize=9)
        tiles += axes
    bar = figure.colorbar(heat, ax=tiles, fraction=0.025, pad=0.02, aspect=40, ticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
    bar.ax.tick_params(labelsize=9)
    title = f"{plots.heading(record)} · {made_by}\nfor each class: original | focus map | image × map"
    figure.suptitle(_plain(title), fontsize=12)
    if record.is_synthetic:
        plots.mark_synthetic(figure)
    return figure


def class_sheet(record: records.Record, dataset: data.Dataset) -> "Figure":
    """The ten classes of a run on one page, each on its first validation image."""
    model = records.load_model(record)
    indices = first_validation_images(dataset.labels)
    sources = [describe(dataset, int(i)) for i in indices]
    focuses = explain(model, dataset.images[indices], range(10), sources, dataset.class_names)
    return sheet(focuses, record, way(model, None, "gradcam"))


def way(model: "keras.Sequential", layer: str | None, method: str) -> str:
    """How a map was made, for the reader: "Grad-CAM, layer conv2d_2"."""
    looked_at = "pixels" if method in maps.OF_PIXELS else f"layer {maps.chosen_layer(model, layer)}"
    return f"{maps.title(method)}, {looked_at}"


def choose(
    candidates: Sequence[tuple[str, Sequence[records.Record]]], row: str | None, seed: int | None
) -> tuple[records.Record, str]:
    """The record to explain, and in words why this one.

    Args:
        candidates: pools in order of preference, each with its name ("your runs", "the published runs"); the first
            that has a fitting record decides.
        row: only this row; by default the one with the best validation accuracy: its mean over all seeds, also over
            those whose weights were not kept.
        seed: only this seed; by default the row's lowest.
    Raises:
        UserError: no record fits; the text says which rows and seeds there are.
    """
    usable = [(name, _usable(pool)) for name, pool in candidates]
    for name, pool in usable:
        fitting = [r for r in pool if row in (None, r.name) and seed in (None, r.seed)]
        if fitting:
            everything = [r for other, all_ in candidates if other == name for r in all_ if not _diverged(r)]
            groups = {key: [r for r in everything if r.group == key] for key in {r.group for r in fitting}}
            best = min(groups.values(), key=_rank)
            record = min((r for r in fitting if r.group == best[0].group), key=lambda r: r.seed)
            rows = {r.name for r in fitting}
            why = f"of {name}" if row or len(rows) == 1 else f"best validation accuracy of {name}"
            return record, f"{record.name}, seed {record.seed} ({why}: {_mean_accuracy(best):.2%})"
    available = [r for _, pool in usable for r in pool]
    if not available:
        raise UserError(
            "There is no trained model yet whose focus could be drawn.\n"
            "Train one: `make experiment1` (all rows), or `make experiment1 ROWS=M6 EPOCHS=1` (one row, minutes). Runs "
            "kept elsewhere: --runs DIR.\nNothing was written."
        )
    names = {r.name for r in available}
    if row is not None and row not in names:
        raise UserError(
            f"--row {row}: no trained model of that row was found.\nRows that have one: {', '.join(sorted(names))}. "
            f"{_did_you_mean(row, names)}To train another: `make experiment1 ROWS={row}` or `make experiment2 "
            f"ROWS={row}`.\nNothing was written."
        )
    seeds = sorted({r.seed for r in available if row in (None, r.name)})
    what = f"--row {row} --seed {seed}" if row else f"--seed {seed}"
    raise UserError(
        f"{what}: no trained model with that seed was found.\nSeeds that have one: {', '.join(map(str, seeds))}. "
        f"To train another: `make experiment1 SEEDS={seed}`.\nNothing was written."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m kerascifar.cam`."""
    arguments = _parser().parse_args(argv)
    _check_arguments(arguments)
    image = None
    if arguments.image is not None:
        from kerascifar import images

        image = images.read(arguments.image)
    # A user's own picture needs no data set; --data then still says whose models are meant.
    dataset = data.load(arguments.data) if image is None or arguments.data is not None else None
    if dataset is not None:
        _class_number(arguments.class_, dataset.class_names)
        _check_index(arguments.index, dataset)
    record, why = choose(_pools(arguments.runs, dataset), arguments.row, arguments.seed)
    class_names = tuple(record.dataset["class_names"])
    wanted = _class_number(arguments.class_, class_names)
    out = arguments.out or arguments.runs / "report" / "cam" / _file_name(arguments, record, dataset)

    print(why, flush=True)
    quiet.load_keras()
    model = records.load_model(record)
    made_by = way(model, arguments.layer, arguments.method)
    pixels, labels, sources = _what_to_explain(arguments, image, dataset, wanted)
    focuses = explain(model, pixels, labels, sources, class_names, arguments.layer, arguments.method)

    from kerascifar import plots

    plots.save(sheet(focuses, record, made_by) if arguments.all else panel(focuses[0], record, made_by), out)
    for focus in focuses:
        if not focus.map.any():
            print(f"{focus.source}: no place speaks for {focus.explained}; its map is empty.")
    print(errors.printable(str(out)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kerascifar.cam",
        description="Draws where a trained model finds its evidence (Grad-CAM): original | heatmap | masked image.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--class", dest="class_", metavar="NAME", help="the class to explain, such as airplane")
    parser.add_argument("--all", action="store_true", help="all ten classes on one sheet")
    parser.add_argument("--index", type=int, metavar="K", help="the image with official index K (0 … 49999)")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a picture of your own, of any size")
    parser.add_argument("--row", metavar="ROW", help="the row, such as Model4 (default: best validation accuracy)")
    parser.add_argument("--seed", type=int, metavar="N", help="the run with this seed (default: the row's lowest)")
    parser.add_argument(
        "--method", metavar="METHOD", default="gradcam", help=f"{', '.join(maps.METHODS)} (default: %(default)s)"
    )
    parser.add_argument("--layer", metavar="LAYER", help="the Conv2D layer to look at (default: the last)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the picture to write (default: a name in RUNS/report/cam)"
    )
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="your runs (default: %(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder that holds CIFAR-10")
    return parser


def _check_arguments(arguments: argparse.Namespace) -> None:
    """What can be refused before anything is loaded."""
    if arguments.all and arguments.class_ is not None:
        raise UserError("--all draws every class, --class one.\nGive only one of them.")
    maps.check_method(arguments.method, arguments.layer)
    if arguments.image is not None and arguments.index is not None:
        raise UserError("--image names a picture of your own, --index one of CIFAR-10.\nGive only one of them.")
    if not arguments.all and arguments.class_ is None and arguments.image is None and arguments.index is None:
        raise UserError(
            "Nothing to draw was named.\nExpected one of: --class NAME (such as airplane), --all, --index K, --image "
            "FILE. `python -m kerascifar.cam --help` shows examples."
        )
    if arguments.out is not None:
        from kerascifar import plots

        if arguments.out.is_dir():
            raise UserError(f"--out {arguments.out}: is a folder.\nName a file, such as {arguments.out / 'focus.png'}.")
        plots.check_suffix(arguments.out)


def _class_number(name: str | None, class_names: Sequence[str]) -> int | None:
    if name is None:
        return None
    if name not in class_names:
        raise UserError(f'--class "{name}" is not known.\n{errors.suggest(name, class_names)}\nNothing was written.')
    return list(class_names).index(name)


def _check_index(index: int | None, dataset: data.Dataset) -> None:
    if index is not None and not 0 <= index < len(dataset.labels):
        raise UserError(
            f"--index {index}: there is no such image.\nExpected 0 … {len(dataset.labels) - 1}, the official index in "
            "the training files; test images are never shown.\nNothing was written."
        )


def _pools(runs: Path, dataset: data.Dataset | None) -> list[tuple[str, list[records.Record]]]:
    """The user's records, then the published ones: of `dataset` only; without one of CIFAR-10, else of drawn images."""
    own, published = records.list_records(runs), records.list_records(records.PUBLISHED)
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
    arguments: argparse.Namespace, image: np.ndarray | None, dataset: data.Dataset | None, wanted: int | None
) -> tuple[np.ndarray, list[int | None], list[str]]:
    """Pixels uint8 (n, 32, 32, 3), the class to explain in each (None: the predicted one), and what each is."""
    classes: list[int | None] = list(range(10)) if arguments.all else [wanted]
    if image is not None:
        name = arguments.image.name
        source = f"{name if len(name) <= 40 else name[:39] + '…'}, 32×32 pixels of it"
        return np.stack([image] * len(classes)), classes, [source] * len(classes)
    assert dataset is not None
    if arguments.index is not None:
        indices = [arguments.index] * len(classes)
        if classes == [None]:
            classes = [int(dataset.labels[arguments.index])]
    else:
        first = first_validation_images(dataset.labels)
        indices = [int(first[c]) for c in classes]
    return np.stack([dataset.images[i] for i in indices]), classes, [describe(dataset, i) for i in indices]


def _file_name(arguments: argparse.Namespace, record: records.Record, dataset: data.Dataset | None) -> str:
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
    if arguments.method != "gradcam":
        parts.append(arguments.method.replace("+", "p"))
    if arguments.layer is not None:
        parts.append(arguments.layer)
    return re.sub(r"[^\w.-]", "_", "-".join(parts))[:200] + ".png"


def _usable(pool: Sequence[records.Record]) -> list[records.Record]:
    """The runs that did not diverge and whose weights were kept (of published runs, only those of seed 0 are)."""
    return [r for r in pool if not _diverged(r) and (r.folder / records.MODEL).is_file()]


def _diverged(record: records.Record) -> bool:
    return record.stop == "loss not finite" or not math.isfinite(record.results["validation"]["accuracy"])


def _mean_accuracy(group: Sequence[records.Record]) -> float:
    return float(np.mean([r.results["validation"]["accuracy"] for r in group]))


def _rank(group: Sequence[records.Record]) -> tuple[object, ...]:
    """Full runs first, then by validation accuracy; a tie goes by name and folder, so that it is always the same."""
    first = group[0]
    return (first.shortened, -_mean_accuracy(group), first.name, str(first.folder))


def _did_you_mean(wrong: str, known: set[str]) -> str:
    _, _, hint = errors.suggest(wrong, known).partition(" Did you mean ")
    return f"Did you mean {hint} " if hint else ""


def _probabilities(model: "keras.Sequential", images: np.ndarray) -> np.ndarray:
    """Softmax of the logits, float64 (n, 10)."""
    logits = [np.asarray(model(images[i : i + maps.BATCH], training=False)) for i in range(0, len(images), maps.BATCH)]
    scores = np.concatenate(logits).astype(np.float64)
    if not np.isfinite(scores).all():
        raise UserError(maps.not_finite(model))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _tiles(axes: "Sequence[Axes]", focus: Focus) -> "AxesImage":
    original, heat, masked = axes
    original.imshow(focus.image, interpolation="nearest")
    drawn = heat.imshow(focus.map, cmap=COLOURS, vmin=0, vmax=1, interpolation="bilinear")
    masked.imshow(focus.image / 255 * focus.map[..., np.newaxis], interpolation="nearest")
    for tile in axes:
        tile.set_xticks([])
        tile.set_yticks([])
    return drawn


def _prediction(focus: Focus) -> str:
    return f"{focus.predicted} ({focus.probability:.1%})"


def _nothing(focus: Focus) -> str:
    return "" if focus.map.any() else " · no place speaks for it"


def _plain(text: str) -> str:
    """`text` as it stands: Matplotlib reads a formula between two dollar signs, and file names may hold them."""
    return errors.printable(text).replace("$", r"\$")


if __name__ == "__main__":
    sys.exit(errors.run(main))
