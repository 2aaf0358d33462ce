"""The search for the model of Experiment 3: every candidate that was trained, ranked by validation accuracy.

The candidates are the rows of `experiments/search.toml`. Their runs use no test images (`records.CANDIDATES`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings.statistics import mean_and_sd
from kerascifar.runs import model_facts, rows_in_words
from kerascifar.runs.grouping import by_row
from kerascifar.runs.records import SEARCH, Record
from kerascifar.training.rows import Row

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Accuracy on the validation images in percent at the kept epoch, mean over seeds ± standard deviation. *What "
    "differs*: for the best candidate, every setting that is not a row's default; for the others, the settings in "
    "which they differ from the best. No test image was used. The same validation images choose the kept epoch and "
    "rank the candidates, so the best of many looks better here than it is: part of its lead is luck."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per candidate, the best first; those whose training diverged come last.

    Columns: row, what differs, parameters (trainable), multiply-adds, epochs, n, minutes
    (mean), Valid_acc, "Valid_acc ±" (standard deviation over seeds; NaN for one).
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    rows = by_row(r for r in records if r.experiment == SEARCH and not r.shortened)
    accuracy = {key: mean_and_sd([r.accuracy("validation") for r in rows[key]]) for key in rows}
    ranked = sorted(rows, key=lambda key: (any(r.diverged for r in rows[key]), -accuracy[key][0]))
    for key in ranked:
        runs, (mean, sd) = rows[key], accuracy[key]
        row, best = runs[0].row, rows[ranked[0]][0].row
        like = best if row.name != best.name else Row(row.name, row.model)
        lines.append(
            {
                "row": row.name,
                "what differs": rows_in_words.differing(row, like),
                **model_facts.size(row.model, row.model_options),
                "epochs": row.epochs,
                "n": len(runs),
                "minutes": float(np.mean([r.duration / 60 for r in runs])),
                "Valid_acc": mean,
                "Valid_acc ±": sd,
            }
        )
    return pd.DataFrame(lines)


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """How many candidates were trained, for how long, and which was the best."""
    best, hours = table.iloc[0], (table["minutes"] * table["n"]).sum() / 60
    trained = f"The search trained {len(table)} candidate{'s' * (len(table) > 1)} in {hours:.1f} hours"
    return f"{trained}; {best['row']} has the highest validation accuracy, {best['Valid_acc']:.2f} %."
