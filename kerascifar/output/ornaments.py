"""Focus maps and diagrams of a trained model; `runs.gate` tries them before training starts."""

import errno
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_tensorflow
from kerascifar.focus import methods
from kerascifar.output import figures


def left_out(network: keras.Model, folder: Path) -> Iterator[str]:
    """Tries a focus map and an architecture diagram; yields a line for each that cannot be drawn.

    Args:
        network: the model; does not change.
        folder: for temporary files.
    """
    for what, draw in (("Focus maps", _focus_map), ("Architecture diagrams", _diagram)):
        try:
            draw(network, folder)
        except Exception as error:  # keras, tf-keras-vis and pydot raise many kinds; none is worth a training
            if getattr(error, "errno", None) == errno.ENOSPC:  # but the record would not fit, either
                raise
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            yield f"{what} of this model will be left out: {kind}{' '.join(str(error).split())[:300]}"


def _focus_map(network: keras.Model, folder: Path) -> None:
    load_tensorflow("Focus maps")
    methods.focus_maps(network, np.full((1, 32, 32, 3), 0.5, "float32"), np.zeros(1, "int64"))


def _diagram(network: keras.Model, folder: Path) -> None:
    if problem := figures.architecture(network, folder / "architecture.png"):
        raise UserError(problem.removeprefix(figures.LEFT_OUT))
