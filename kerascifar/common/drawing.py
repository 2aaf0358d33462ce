"""Saves Matplotlib figures, atomically and with the same bytes each time, and marks synthetic data."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from kerascifar.common import files
from kerascifar.common.errors import UserError

DPI = 150
# Dates and library versions are left out, so that the same figure gives the same file.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def check_suffix(path: Path) -> None:
    """Raises a `UserError` unless `save` can write the format that the suffix of `path` names."""
    if path.suffix.lower() not in METADATA:
        raise UserError(
            f"{path}: cannot write a picture with {f'the suffix {path.suffix}' if path.suffix else 'no suffix'}.\n"
            f"Expected a name that ends in one of: {', '.join(METADATA)}.\nNothing was written."
        )


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Writes the figure that `draw` returns as PNG, SVG or PDF, according to the suffix.

    The write is atomic. The bytes are always the same, because the user's matplotlibrc is ignored.

    Raises:
        UserError: the suffix is not one of these.
    """
    check_suffix(path)
    metadata = METADATA[path.suffix.lower()]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Text is shown literally: file names may contain dollar signs, which would otherwise enclose a formula.
        matplotlib.rcParams.update({"svg.hashsalt": "kerascifar", "text.parse_math": False})
        figure = draw()
        if path.suffix.lower() == ".png":
            metadata = metadata | {"Description": f"{caption(figure)} | data {_fingerprint(figure)}"}
        files.write(path, lambda temporary: figure.savefig(temporary, dpi=DPI, metadata=metadata))


def caption(figure: Figure) -> str:
    """The text in a figure, except on its axes: titles, conclusion, legends and numbers."""
    texts = [figure.get_suptitle(), figure.get_supxlabel()]
    for axes in figure.axes:
        texts += [axes.get_title(), *(text.get_text() for text in axes.texts)]
    for legend in [*filter(None, (axes.get_legend() for axes in figure.axes)), *figure.legends]:
        texts += [text.get_text() for text in legend.get_texts()]
    return " | ".join(filter(None, texts))


def _fingerprint(figure: Figure) -> str:
    """A hash of the lines, bars, images and tick labels, which tells a stale figure from a new one."""
    drawn = hashlib.sha256()
    for axes in figure.axes:
        numbers: list[Any] = [line.get_xydata() for line in axes.lines] + [i.get_array() for i in axes.images]
        numbers += [[patch.get_height(), patch.get_x()] for patch in axes.patches if isinstance(patch, Rectangle)]
        for values in numbers:
            drawn.update((np.round(np.asarray(values, "float64"), 4) + 0.0).tobytes())
        drawn.update(" ".join(t.get_text() for t in [*axes.get_xticklabels(), *axes.get_yticklabels()]).encode())
    return drawn.hexdigest()[:16]


def mark_synthetic(figure: Figure, alpha: float = 0.6) -> None:
    """Writes SYNTHETIC DATA across a figure, with a light outline so that it stands out on any background."""
    text = figure.text(0.5, 0.5, "SYNTHETIC DATA", fontsize=44, color="#555555", rotation=20, ha="center", va="center")
    text.set(alpha=alpha, path_effects=[withStroke(linewidth=4, foreground="white", alpha=alpha)], in_layout=False)
