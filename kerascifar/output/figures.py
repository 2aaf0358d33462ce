"""Figures from records (training curves, comparisons, confusion matrices), and a model's architecture diagram.

Except `architecture`, the functions only draw and return a `Figure`, which `drawing.save` writes. None opens a window.
Below most figures stands a conclusion, worked out from their numbers.
"""

import errno
import importlib.util
import itertools
import math
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerascifar.common import drawing, files
from kerascifar.findings import agreement, metrics, statistics
from kerascifar.runs import rows_in_words

if TYPE_CHECKING:
    import keras

    from kerascifar.runs.records import Record

TRAINING = "#0072B2"  # blue and vermilion of Okabe and Ito's palette: distinct with any colour vision, and in grey
VALIDATION = "#D55E00"
KEPT = "#555555"
SERIES = (TRAINING, VALIDATION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # the rest of that palette
INTERVAL = "95 % prediction interval, for one more run"
PATIENCE = 30.0  # seconds that dot may take for a diagram
FEW_EPOCHS = 20  # up to this number, each epoch gets a marker
UNITS = {"loss": ("loss (cross-entropy, nats)", 1.0), "accuracy": ("accuracy (%)", 100.0)}  # a label, and a factor
LEFT_OUT = "Architecture diagrams are left out: "


def training_statistics(*runs: "Record") -> Figure:
    """Loss and accuracy of one row's runs by epoch, training and validation, with the kept epochs marked.

    Of several runs, each is faint, and their median bold while at least half of them were still training. A loss that
    is missing or not finite leaves a gap in the curve.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), UNITS, strict=True):
        _curves(axes, runs, metric)
        axes.set_xlabel("epoch")
        _settle(axes)
    figure.suptitle(_heading(runs), fontsize=13 if len(_heading(runs)) < 70 else 11)
    _conclude(figure, _kept(runs))
    _mark_synthetic(figure, runs)
    return figure


def _over_seeds(
    axes: Axes, runs: "Sequence[Record]", key: str, *, factor: float, colour: str, label: str, style: str = "-"
) -> None:
    """Draws each run's curve faint, and their median bold while at least half of them were still training."""
    values, (median, _, _) = statistics.over_seeds([run.history[key] for run in runs])
    epochs = np.arange(1, values.shape[1] + 1)
    axes.plot(epochs, factor * values.T, color=colour, alpha=0.25, linewidth=0.8)
    axes.plot(epochs[: len(median)], factor * median, color=colour, linestyle=style, linewidth=2, label=label)


def compared(groups: "Mapping[str, Sequence[Record]]") -> Figure:
    """Validation loss and accuracy by epoch, one colour per group of runs: each run faint, their median bold."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    everything = [run for runs in groups.values() for run in runs]
    for axes, (metric, (_, factor)), unit in zip(figure.subplots(1, 2), UNITS.items(), ("nats", "%"), strict=True):
        for (name, runs), colour in zip(groups.items(), itertools.cycle(SERIES), strict=False):
            _over_seeds(axes, runs, f"val_{metric}", factor=factor, colour=colour, label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"validation {metric} ({unit})")
        _epoch_axis(axes, max(run.epochs_trained for run in everything))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), fontsize=9, ncols=4, loc="outside upper center")
    for axes in figure.axes:
        _settle(axes)
    lowest = {name: np.median([_lowest(run) for run in runs]) for name, runs in groups.items()}
    order = sorted(lowest, key=lambda name: lowest[name])
    _conclude(figure, "Lowest validation loss, nats: " + ", ".join(f"{name} {lowest[name]:.3f}" for name in order))
    _mark_synthetic(figure, everything)
    return figure


def beside_original(runs: "Sequence[Record]") -> Figure:
    """Each row's test accuracy, training accuracy and epochs: the seeds, their mean, and the original's figure.

    A bar spans the 95 % prediction interval for one more run, from three seeds on. Below each row's name stand a few
    words that tell the rows apart.
    """
    compared_by = {metric: agreement.rows(runs, metric) for metric in agreement.METRICS}
    rows = compared_by[agreement.TEST_ACCURACY]
    figure = Figure(figsize=(11, 1.3 + 0.46 * len(rows)), layout="constrained")
    for axes, (metric, table) in zip(
        figure.subplots(1, len(compared_by), sharey=True), compared_by.items(), strict=True
    ):
        for place, line in enumerate(table.to_dict("records")):
            ends = (line["low"], line["high"])
            axes.plot(ends, (place, place), lw=7, color=TRAINING, alpha=0.2, label=INTERVAL)
            axes.plot(line["seeds"], [place] * line["n"], "o", ms=4, color=TRAINING, alpha=0.5, label="here, a seed")
            axes.plot(line["here"], place, "|", color=TRAINING, ms=14, mew=2, label="here, the mean")
            axes.plot(line["original"], place, "X", color=VALIDATION, ms=8, label="original")
        axes.set_xlabel(metric if metric == agreement.EPOCHS else f"{metric} (%)")
        axes.grid(alpha=0.3)
    labels = rows["row"] + "\n" + rows["settings"]
    left = figure.axes[0]
    left.set_yticks(range(len(labels)), labels, fontsize=8)
    left.set_ylim(len(labels) - 0.5, -0.5)  # the first row at the top, with space around the outer rows
    kinds = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    figure.legend(kinds.values(), kinds.keys(), fontsize=9, ncols=4, loc="outside upper right")
    _mark_synthetic(figure, runs)
    return figure


def per_class(groups: "Sequence[Sequence[Record]]") -> Figure:
    """Test accuracy by class for each group of runs (one row's seeds): a bar for the mean, a dot for each seed."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    names = [str(name) for name in groups[0][0].dataset["class_names"]]
    width, means = 0.8 / len(groups), []
    for number, (group, colour) in enumerate(zip(groups, (TRAINING, VALIDATION, KEPT), strict=False)):
        shares = np.array([[100 * run.per_class["test"][name] for name in names] for run in group])
        places = np.arange(len(names)) + (number - (len(groups) - 1) / 2) * width
        seeds = f"{len(group)} {'seeds' if len(group) > 1 else 'seed'}"
        label = f"{group[0].name} ({rows_in_words.described(group[0].row)}), {seeds}"
        means.append(shares.mean(axis=0))
        axes.bar(places, means[-1], width * 0.92, color=colour, alpha=0.55, label=label)
        if len(group) > 1:
            axes.plot(np.tile(places, len(group)), shares.ravel(), ".", color=colour, markersize=4)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("test accuracy (%)")
    axes.set_ylim(0, 100)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(fontsize=9, ncols=len(groups), loc="outside upper right")  # inside, it would hide bars
    best, worst = int(np.argmax(means[0])), int(np.argmin(means[0]))
    text = f"{groups[0][0].name} is best at {names[best]} ({means[0][best]:.0f} %), worst at {names[worst]} "
    text += f"({means[0][worst]:.0f} %)."
    if len(groups) > 1:
        gap = means[1] - means[0]
        most = int(np.argmax(abs(gap)))
        text += f" {groups[1][0].name} differs most from it at {names[most]}, by {gap[most]:+.0f} points."
    _conclude(figure, text)
    _mark_synthetic(figure, [run for group in groups for run in group])
    return figure


def confusion(runs: "Sequence[Record]") -> Figure:
    """The classes that are predicted for the test images of each class, in percent; the mean over one row's seeds."""
    names = [str(name) for name in runs[0].dataset["class_names"]]
    shares = metrics.confusion(runs)
    figure = Figure(figsize=(6.6, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=100)
    for (row, column), share in np.ndenumerate(shares):
        colour = "black" if share > 60 else "white"
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(10), names, rotation=45, ha="right")
    axes.set_yticks(range(10), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(f"{_heading(runs)}\npredicted classes, in % of the test images with each label", fontsize=11)
    mistakes = shares - np.diag(np.diag(shares))
    label, predicted = np.unravel_index(int(np.argmax(mistakes)), mistakes.shape)
    share = (
        f"{mistakes[label, predicted]:.0f} % of the images labelled {names[label]} are predicted as {names[predicted]}"
    )
    _conclude(figure, f"The most frequent mistake: {share}.")
    _mark_synthetic(figure, runs)
    return figure


def pictures(images: np.ndarray, titles: Sequence[str] = (), columns: int = 10) -> Figure:
    """Images side by side, (n, 32, 32, 3), uint8 or 0..1, each below its title, if it has one."""
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(columns, rows * (1.2 if len(titles) else 1.0)), layout="constrained")
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.axis("off")
        if place < len(images):
            axes.imshow(np.clip(images[place], 0, 255 if images.dtype == np.uint8 else 1), interpolation="nearest")
            axes.set_title(titles[place] if place < len(titles) else "", fontsize=8)
    return figure


def augmentation_comparison(without: "Record", with_: "Record") -> Figure:
    """The original's "no augmentation vs augmentation train statistics" (M1 and M5), side by side on the same scale."""
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, (record, what) in enumerate([(without, "no augmentation"), (with_, "augmentation")]):
        for axes, metric in zip(grid[:, column], UNITS, strict=True):
            _curves(axes, [record], metric)
        grid[0, column].set_title(f"{what}\n{_heading([record])}", fontsize=9)
        grid[1, column].set_xlabel("epoch")
        grid[1, column].tick_params(labelleft=column == 0)
    for axes in grid[:, 1]:
        axes.set_ylabel("")
    epochs = max(record.epochs_trained for record in (without, with_))
    _epoch_axis(grid[0, 0], epochs)
    _settle(*grid[0])
    _settle(*grid[1])
    figure.suptitle("Training statistics without and with augmentation", fontsize=13)
    kept = [f"{run.results['validation']['loss']:.3f} nats in epoch {run.epoch_kept}" for run in (without, with_)]
    _conclude(figure, f"Validation loss at the kept epoch: {kept[0]} without augmentation, {kept[1]} with it.")
    _mark_synthetic(figure, [without, with_])
    return figure


def graphviz_missing() -> str | None:
    """Why architecture diagrams cannot be drawn here, in one line; None if they can."""
    if importlib.util.find_spec("pydot") is None:
        return f"{LEFT_OUT}the Python package pydot is missing (pip install pydot)."
    try:
        made = subprocess.run(["dot", "-Tpng"], input=b"digraph { probe }", capture_output=True, timeout=PATIENCE)
    except FileNotFoundError:
        return (
            f"{LEFT_OUT}Graphviz's program dot is missing "
            "(Debian: apt install graphviz; macOS: brew install graphviz; Windows: winget install graphviz)."
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    else:
        if made.stdout.startswith(b"\x89PNG"):
            return None
        reason = made.stderr.decode(errors="replace") or f"exit status {made.returncode}, no picture"
    return f"{LEFT_OUT}Graphviz's program dot is installed, but fails ({' '.join(reason.split())[:200]})."


def architecture(model: "keras.Model", path: Path) -> str | None:
    """Draws a model's layers as PNG: names, activations, input and output shapes.

    Returns:
        None, or in one line why nothing was drawn.
    """
    if missing := graphviz_missing():
        return missing
    import keras

    options = {"show_shapes": True, "show_layer_names": True, "show_layer_activations": True, "dpi": 96}
    try:
        files.write(path, lambda temporary: keras.utils.plot_model(model, to_file=str(temporary), **options))
    except (OSError, AssertionError) as error:  # pydot asserts that dot's exit status is 0
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        return f"{LEFT_OUT}Graphviz's program dot fails ({' '.join(str(error).split())[:200]})."
    return None


def _heading(runs: "Sequence[Record]") -> str:
    """The runs' common heading, with the row's settings."""
    first = runs[0]
    seeds = f"seed {first.seed}" if len(runs) == 1 else f"{len(runs)} seeds"
    return f"{first.heading.replace(f'seed {first.seed}', seeds)} · {rows_in_words.described(first.row)}"


def _conclude(figure: Figure, text: str) -> None:
    """Writes below a figure what it shows."""
    text = textwrap.fill(text, int(13 * figure.get_figwidth()))  # Matplotlib's own wrapping reads formulas
    figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=KEPT)


def _lowest(run: "Record") -> float:
    losses = statistics.finite(run.history["val_loss"])
    return math.nan if np.isnan(losses).all() else float(np.nanmin(losses))


def _kept(runs: "Sequence[Record]") -> str:
    """When the runs were best, and what the epochs after that cost."""
    kept, trained = (np.median([getattr(run, name) for run in runs]) for name in ("epoch_kept", "epochs_trained"))
    text = f"Kept: epoch {kept:.0f} of {trained:.0f}" + (", medians over seeds" if len(runs) > 1 else "")
    rise = np.median([statistics.finite(run.history["val_loss"])[-1] - _lowest(run) for run in runs])
    if math.isnan(rise):
        return f"{text}."
    return f"{text}. In the last epoch, the validation loss was {rise:.3f} nats above its lowest value."


def _settle(*shared: Axes) -> None:
    """Fits the vertical axis that these axes share to what follows the first, steep epochs, if enough follows."""
    lines = [(line, axes) for axes in shared for line in axes.lines]
    curves = [np.asarray(line.get_xydata()) for line, axes in lines if line.get_transform() == axes.transData]
    if max(map(len, curves), default=0) <= FEW_EPOCHS:
        return
    late = np.concatenate([curve[curve[:, 0] > statistics.SETTLING, 1] for curve in curves])
    late = late[np.isfinite(late)]
    if len(late) and (room := 0.05 * np.ptp(late)):
        for axes in shared:
            axes.set_ylim(late.min() - room, late.max() + room)


def _curves(axes: Axes, runs: "Sequence[Record]", metric: str) -> None:
    """One row's training and validation curves of "loss" or "accuracy"; see `training_statistics`."""
    label, factor = UNITS[metric]
    for split, prefix, colour, style in (("training", "", TRAINING, "-"), ("validation", "val_", VALIDATION, "--")):
        if len(runs) > 1:
            _over_seeds(
                axes, runs, prefix + metric, factor=factor, colour=colour, label=f"{split}, median", style=style
            )
            continue
        values = statistics.finite(runs[0].history.get(prefix + metric, [])) * factor
        marker = "o" if len(values) <= FEW_EPOCHS or np.isnan(values).any() else None
        epochs = np.arange(1, len(values) + 1)
        axes.plot(epochs, values, color=colour, linestyle=style, marker=marker, markersize=4, label=split)
    kept = [run.epoch_kept for run in runs]
    if len(runs) > 1:
        low = [0.02] * len(kept)
        axes.plot(kept, low, "|", color=KEPT, markersize=10, transform=axes.get_xaxis_transform(), label="kept")
    elif kept[0] >= 1:
        axes.axvline(kept[0], color=KEPT, linestyle=":", linewidth=1.4, label=f"kept: epoch {kept[0]}")
    axes.set_ylabel(label)
    _epoch_axis(axes, max(run.epochs_trained for run in runs))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)


def _epoch_axis(axes: Axes, epochs: int) -> None:
    margin = 0.5 if epochs <= FEW_EPOCHS else 0.02 * epochs
    axes.set_xlim(1 - margin, max(epochs, 1) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _mark_synthetic(figure: Figure, records: "Sequence[Record]") -> None:
    """Writes SYNTHETIC DATA across a figure that does not show CIFAR-10, so that no part of it passes for a result."""
    if any(record.is_synthetic for record in records):
        drawing.mark_synthetic(figure, 0.25)  # light, so that curves stay legible
