"""What does accuracy cost? Parameters, computation and training time of Experiment 3's rows, beside Model4's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings import ablation, metrics
from kerascifar.findings.statistics import mean_and_sd
from kerascifar.runs import model_facts
from kerascifar.runs.grouping import by_row, machines
from kerascifar.runs.records import BEST, Record
from kerascifar.training import models

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Test accuracy in percent, mean over seeds ± standard deviation. Parameters are the trainable ones; multiply-adds "
    "are for one image. Training times are comparable only between runs on the same processor and number of cores. ± "
    "after the difference from Model4 is half of its 95 % interval, over pairs of runs with the same seed."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per row of Experiment 3, and one for Model4; empty without Experiment 3.

    Columns: row, parameters, multiply-adds, epochs (the row's limit), minutes (mean), trained on, n, Test_acc,
    "Test_acc ±" (standard deviation over seeds; NaN for one).
    """
    import pandas as pd

    rows = by_row(r for r in records if r.is_full and r.row.model in models.BUILDERS)
    lines: list[dict[str, Any]] = []
    for (experiment, name), runs in rows.items():
        if (experiment, name) != ablation.FIRST and experiment != BEST[0]:
            continue
        accuracy, sd = mean_and_sd([r.accuracy() for r in runs])
        lines.append(
            {
                "row": name,
                **model_facts.size(runs[0].row.model, runs[0].row.model_options),
                "epochs": runs[0].row.epochs,
                "minutes": float(np.mean([r.duration / 60 for r in runs])),
                "trained on": machines(runs),
                "n": len(runs),
                "Test_acc": accuracy,
                "Test_acc ±": sd,
            }
        )
    return pd.DataFrame(lines) if any(key[0] == BEST[0] for key in rows) else pd.DataFrame()


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """The accuracy of Experiment 3's model, and how far it is from Model4's."""
    rows, of = by_row(r for r in records if r.is_full), table.set_index("row")
    if BEST[1] not in of.index:
        return ""
    best = of.loc[BEST[1]]
    spread = f" ± {best['Test_acc ±']:.2f}" if best["n"] > 1 else ""
    accuracy = f"{best['Test_acc']:.2f}{spread} % test accuracy (n = {best['n']})"
    text = f"With {best['parameters']:,} parameters, {BEST[1]} reaches {accuracy}"
    lead = metrics.difference(rows[BEST], rows.get(ablation.FIRST, []), "test_accuracy")
    if lead and len(lead.seeds) > 1:
        way = "more" if lead.estimate.mean > 0 else "less"
        points = f"{abs(lead.estimate.mean):.1f} ± {lead.estimate.half:.1f} points {way}"
        text += f", {points} than {ablation.FIRST[1]} in our runs"
    return f"{text}."
