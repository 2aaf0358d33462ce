"""What stands behind the verdicts on C6, C11 and C14: one line per row, from the records of its runs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar import claims
from kerascifar.records import Record

if TYPE_CHECKING:
    import pandas as pd

LIKE = "Model2"  # whose early stop C6 asks about
LAST = 10  # epochs: the patience
NOTE = """\
Means over seeds. C6, is Model2's early stop an accident of a noisy validation loss? *variation* is how much the
validation loss goes up and down from epoch to epoch, around its running median of five epochs and after the first
five (nats); *at Model2's stop* the validation accuracy (percent) that a run would have kept, had it been stopped
after as many epochs as Model2 with the same seed; *kept then* what runs of these seeds kept in the end, *kept* those
of all seeds. Compare Model2 with Model2_momentum, whose moving statistics follow ten times as fast (0.9 against
0.99). C11, do more convolutions and parameters overfit? Trainable *parameters*, *multiply-adds* of one image, the
*gap* between training and validation accuracy at the kept epoch (points; augmentation and dropout lower the training
accuracy). C14, what does the learning rate do? *variation*, *worst rise* of the validation loss from one epoch to
the next after the first five (nats), and *last fall*: how far the validation loss still fell over the ten epochs up
to the kept one (nats)."""


def table(found: Sequence[Record]) -> "pd.DataFrame":
    """One line per row, but for candidates of choices; columns: see `NOTE`."""
    import pandas as pd

    from kerascifar import models

    stops = {r.seed: r.epochs_trained for r in found if r.name == LIKE}
    lines: list[dict[str, Any]] = []
    for name in dict.fromkeys(r.name for r in found if r.experiment != "choices"):
        runs = [r for r in found if r.name == name and r.experiment != "choices"]
        row = runs[0].row
        if row["model"] not in models.BUILDERS:  # of another version, or of a user's own that is gone
            continue
        network = models.build(row["model"], **row["model_options"])
        change = [np.diff(r.history["val_loss"])[5:] for r in runs]
        same = [r for r in runs if r.seed in stops]
        stopped = [_kept_by(r, stops[r.seed]) for r in same]
        lines.append(
            {
                "row": name,
                "n": len(runs),
                "lr": f"{row['learning_rate']:g}",
                "parameters": models.parameters(network)[0],
                "multiply-adds": models.multiply_adds(network),
                "epochs": np.mean([r.epochs_trained for r in runs]),
                "kept": 100 * np.mean([r.results["validation"]["accuracy"] for r in runs]),
                f"at {LIKE}'s stop": 100 * np.mean(stopped) if same else np.nan,
                "kept then": 100 * np.mean([r.results["validation"]["accuracy"] for r in same]) if same else np.nan,
                "gap": np.mean([claims.gap(r) for r in runs]),
                "variation": np.mean([claims.variation(r) for r in runs]),
                "worst rise": np.mean([max(c.max(initial=0), 0) for c in change]),
                "last fall": np.mean([_fall(r) for r in runs]),
            }
        )
    return pd.DataFrame(lines)


def _kept_by(run: Record, epochs: int) -> float:
    """The validation accuracy that early stopping would have kept after so many epochs."""
    watched = np.array(run.history[run.row.get("monitor", "val_loss")][:epochs])
    if np.isnan(watched).all():
        return math.nan
    best = np.nanargmax(watched) if "accuracy" in run.row.get("monitor", "") else np.nanargmin(watched)
    return run.history["val_accuracy"][int(best)]


def _fall(run: Record) -> float:
    losses = run.history["val_loss"][: run.epoch_kept]
    return losses[max(0, len(losses) - 1 - LAST)] - losses[-1]
