"""The search for the network of Experiment 3: every candidate that was tried, ranked by validation accuracy.

The candidates are the rows of `experiments/search.toml`. Their runs use no test images (`records.CANDIDATES`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.runs import rows_in_words
from kerascifar.runs.records import SEARCH, Record, by_row
from kerascifar.training import models

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Accuracy on the validation images in percent, mean over seeds ± standard deviation. Minutes of training. No test "
    "image was used. The best of many candidates looks better here than it is, because it is also the luckiest."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per candidate, the best first.

    Columns: row, what differs (from the search's first row), parameters (trainable), multiply-adds, epochs, n, minutes
    (mean), Valid_acc, "Valid_acc ±" (standard deviation over seeds; NaN for one).
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    rows = by_row(r for r in records if r.experiment == SEARCH and not r.shortened and not r.is_synthetic)
    base = next(iter(rows.values()))[0].row if rows else None
    for (_, name), runs in rows.items():
        row = runs[0].row
        network = models.built(row.model, row.model_options) if row.model in models.BUILDERS else None
        accuracies = [100 * r.results["validation"]["accuracy"] for r in runs]
        lines.append(
            {
                "row": name,
                "what differs": rows_in_words.differing(row, base or row),
                "parameters": models.parameters(network)[0] if network else None,
                "multiply-adds": models.multiply_adds(network) if network else None,
                "epochs": row.epochs,
                "n": len(runs),
                "minutes": float(np.mean([sum(r.seconds) / 60 for r in runs])),
                "Valid_acc": float(np.mean(accuracies)),
                "Valid_acc ±": float(np.std(accuracies, ddof=1)) if len(runs) > 1 else float("nan"),
            }
        )
    return pd.DataFrame(lines).sort_values("Valid_acc", ascending=False, ignore_index=True) if lines else pd.DataFrame()


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """How many candidates were tried, for how long, and which was the best."""
    best, hours = table.iloc[0], (table["minutes"] * table["n"]).sum() / 60
    return (
        f"The search tried {len(table)} candidates in {table['n'].sum()} runs, which took {hours:.1f} hours. On "
        f"validation images, {best['row']} was the best, with {best['Valid_acc']:.2f} %."
    )
