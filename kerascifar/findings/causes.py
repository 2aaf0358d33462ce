"""The numbers behind the verdicts on C6, C11a, C11b, C14a and C14b: one line per row, from the records of its runs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings import metrics, sensitivity
from kerascifar.findings.statistics import SETTLING
from kerascifar.runs import model_facts
from kerascifar.runs.grouping import by_row
from kerascifar.runs.records import ORIGINALS, Record

if TYPE_CHECKING:
    import pandas as pd

LIKE = "Model2"  # C6 asks about its early stop
STOP = 30  # epochs for which the original trained Model2 (`reported.csv`)
LAST = 10  # epochs: the patience
NOTE = """\
Means over seeds.

C6: did the original's Model2 stop early only because its validation loss was noisy? *variation* is how much the
validation loss fluctuates from epoch to epoch: around its running median over five epochs, after the first five (nats).
*kept* is the validation accuracy (percent) that the runs kept, *stopped early* the one that they would have kept if
they had been stopped after as many epochs as the original's Model2. Compare Model2 with Model2_keras_norm, whose moving
statistics follow ten times as slowly (momentum 0.99 instead of 0.9).

C11a, C11b: do more convolutions and parameters overfit? See the trainable *parameters*, the *multiply-adds* for one
image, and the *gap* between training and validation accuracy at the kept epoch (points; augmentation and dropout lower
the training accuracy).

C14a, C14b: what effect does the learning rate have? See *variation*, *worst rise* (of the validation loss from one
epoch to the next, after the first five; nats), and *last fall* (how far the validation loss still fell over the ten
epochs up to the kept one; nats)."""


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per row of the original and per row with one assumption changed; `NOTE` explains the columns."""
    import pandas as pd

    from kerascifar.training import models

    lines: list[dict[str, Any]] = []
    counted = (r for r in records if r.experiment in (*ORIGINALS, sensitivity.EXPERIMENT) and not r.shortened)
    for (_, name), runs in by_row(counted).items():
        row = runs[0].row
        if row.model not in models.BUILDERS:  # from another version, or a user's model that is gone
            continue
        change = [np.diff(r.history["val_loss"])[SETTLING:] for r in runs]
        lines.append(
            {
                "row": name,
                "n": len(runs),
                "lr": f"{row.learning_rate:g}",
                **model_facts.size(row.model, row.model_options),
                "epochs": np.mean([r.epochs_trained for r in runs]),
                "kept": np.mean([r.accuracy("validation") for r in runs]),
                "stopped early": 100 * np.mean([_kept_by(r, STOP) for r in runs]),
                "gap": np.mean([metrics.gap(r) for r in runs]),
                "variation": np.mean([metrics.variation(r) for r in runs]),
                "worst rise": np.mean([c.max(initial=0) for c in change]),
                "last fall": np.mean([_fall(r) for r in runs]),
            }
        )
    return pd.DataFrame(lines)


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """What the table says about C6, C11a and C11b, in a few sentences; empty if it lacks Model2 or M6."""
    of = {line["row"]: line for line in table.to_dict("records")}
    if not {LIKE, "M6"} <= of.keys():
        return ""
    model2, m6 = of[LIKE], of["M6"]
    text = (
        f"C6: {LIKE} was trained for {model2['epochs']:.0f} epochs here (n = {model2['n']}) and for {STOP} in the "
        f"original. After {STOP} epochs, {LIKE}'s validation accuracy would have been {model2['stopped early']:.2f} % "
        f"instead of {model2['kept']:.2f} %, and M6's {m6['stopped early']:.2f} % instead of {m6['kept']:.2f} %. "
        f"{LIKE}'s validation loss fluctuates by {model2['variation']:.3f} nats from epoch to epoch, and M6's by "
        f"{m6['variation']:.3f}"
    )
    if slow := of.get(f"{LIKE}_keras_norm"):
        text += f"; with a BatchNormalization momentum of 0.99, {LIKE}'s fluctuates by {slow['variation']:.3f}, and it "
        text += f"keeps {slow['kept']:.2f} % (n = {slow['n']})"
    deeper = [int(line["parameters"]) for name, line in of.items() if name.startswith("Model")]
    return (
        f"{text}. C11a and C11b: M6 has {m6['parameters']:,} trainable parameters, the models with more convolutions "
        f"{min(deeper):,} to {max(deeper):,}."
    )


def _kept_by(run: Record, epochs: int) -> float:
    """The validation accuracy that early stopping would have kept after this number of epochs."""
    monitored = np.array(run.history[run.row.monitor][:epochs])
    if np.isnan(monitored).all():
        return math.nan
    best = np.nanargmax(monitored) if run.row.monitor == "val_accuracy" else np.nanargmin(monitored)
    return run.history["val_accuracy"][int(best)]


def _fall(run: Record) -> float:
    losses = run.history["val_loss"][: run.epoch_kept]
    return losses[max(0, len(losses) - 1 - LAST)] - losses[-1]
