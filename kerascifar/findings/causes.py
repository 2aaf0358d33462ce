"""What stands behind the verdicts on C6, C11 and C14: one line per row, from the records of its runs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings import claims
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

LIKE = "Model2"  # whose early stop C6 asks about
STOP = 30  # epochs that the report's Model2 was trained (`reported.csv`)
LAST = 10  # epochs: the patience
NOTE = """\
Means over seeds. C6, is Model2's early stop an accident of a noisy validation loss? *variation* is how much the
validation loss goes up and down from epoch to epoch, around its running median of five epochs and after the first
five (nats); *stopped early* the validation accuracy (percent) that the runs would have kept, had they been stopped
after as many epochs as the report's Model2; *kept* what they kept. Compare Model2 with Model2_momentum, whose moving
statistics follow ten times as fast (0.9 against 0.99). C11, do more convolutions and parameters overfit? Trainable
*parameters*, *multiply-adds* of one image, the *gap* between training and validation accuracy at the kept epoch
(points; augmentation and dropout lower the training accuracy). C14, what does the learning rate do? *variation*,
*worst rise* of the validation loss from one epoch to the next after the first five (nats), and *last fall*: how far
the validation loss still fell over the ten epochs up to the kept one (nats)."""


def table(found: Sequence[Record]) -> "pd.DataFrame":
    """One line per row, but for candidates of choices; columns: see `NOTE`."""
    import pandas as pd

    from kerascifar.training import models

    lines: list[dict[str, Any]] = []
    for name in dict.fromkeys(r.name for r in found if r.experiment != "choices"):
        runs = [r for r in found if r.name == name and r.experiment != "choices"]
        row = runs[0].row
        if row.model not in models.BUILDERS:  # of another version, or of a user's own that is gone
            continue
        size = models.size_of(row.model, row.model_options)
        change = [np.diff(r.history["val_loss"])[5:] for r in runs]
        lines.append(
            {
                "row": name,
                "n": len(runs),
                "lr": f"{row.learning_rate:g}",
                "parameters": size.trainable,
                "multiply-adds": size.multiply_adds,
                "epochs": np.mean([r.epochs_trained for r in runs]),
                "kept": 100 * np.mean([r.results["validation"]["accuracy"] for r in runs]),
                "stopped early": 100 * np.mean([_kept_by(r, STOP) for r in runs]),
                "gap": np.mean([claims.gap(r) for r in runs]),
                "variation": np.mean([claims.variation(r) for r in runs]),
                "worst rise": np.mean([max(c.max(initial=0), 0) for c in change]),
                "last fall": np.mean([_fall(r) for r in runs]),
            }
        )
    return pd.DataFrame(lines)


def remark(table: "pd.DataFrame") -> str:
    """What the table says of C6 and C11, in a few sentences; empty where it lacks Model2 or M6."""
    of = {line["row"]: line for line in table.to_dict("records")}
    if not {LIKE, "M6"} <= of.keys():
        return ""
    mine, m6 = of[LIKE], of["M6"]
    told = (
        f"C6: {LIKE} was trained for {mine['epochs']:.0f} epochs here (n = {mine['n']}), in the report for {STOP}. "
        f"Stopped then, {LIKE} would have kept {mine['stopped early']:.2f} % on the validation images instead of "
        f"{mine['kept']:.2f}, M6 {m6['stopped early']:.2f} instead of {m6['kept']:.2f}. From epoch to epoch {LIKE}'s "
        f"validation loss goes up and down by {mine['variation']:.3f} nats, M6's by {m6['variation']:.3f}"
    )
    if fast := of.get(f"{LIKE}_momentum"):
        told += f", with BatchNormalization momentum 0.9 by {fast['variation']:.3f}, which keeps {fast['kept']:.2f} %"
        told += f" (n = {fast['n']})"
    deeper = [int(line["parameters"]) for name, line in of.items() if name.startswith("Model")]
    return (
        f"{told}. C11: M6 has {m6['parameters']:,} trainable parameters, the models with more convolutions "
        f"{min(deeper):,} to {max(deeper):,}."
    )


def _kept_by(run: Record, epochs: int) -> float:
    """The validation accuracy that early stopping would have kept after this number of epochs."""
    watched = np.array(run.history[run.row.monitor][:epochs])
    if np.isnan(watched).all():
        return math.nan
    best = np.nanargmax(watched) if run.row.monitor == "val_accuracy" else np.nanargmin(watched)
    return run.history["val_accuracy"][int(best)]


def _fall(run: Record) -> float:
    losses = run.history["val_loss"][: run.epoch_kept]
    return losses[max(0, len(losses) - 1 - LAST)] - losses[-1]
