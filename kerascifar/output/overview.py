"""Each row beside the original, and a few words that tell the rows apart."""

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from kerascifar.findings import agreement, sensitivity
from kerascifar.runs import original
from kerascifar.runs.records import CHOICES, Record
from kerascifar.training import models
from kerascifar.training.rows import Row

if TYPE_CHECKING:
    import pandas as pd

TRAINING_ONLY = {"BatchNormalization": "BatchNorm", "Dropout": "Dropout"}  # layers, and their short names


def main_rows(shown: Sequence[Record]) -> list[Record]:
    """The runs without candidates and sensitivity rows, which would crowd out the rest; all, if there are no others."""
    return [r for r in shown if r.experiment not in (CHOICES, sensitivity.EXPERIMENT)] or list(shown)


def described(row: Row) -> str:
    """What tells a row apart: "4 BatchNorm, 2 Dropout" if its model has such layers, or "Adam 0.001, batch 256"."""
    if layers := _layers(row.model, json.dumps(row.model_options, sort_keys=True)):
        return layers
    words = f"{original.OPTIMIZERS[row.optimizer]} {row.learning_rate:g}, batch {row.batch_size}"
    return words + (", augmented" if row.augment else "")


@cache
def _layers(model: str, options: str) -> str:
    if model not in models.BUILDERS:
        return ""
    kinds = [type(layer).__name__ for layer in models.build(model, **json.loads(options)).layers]
    return ", ".join(f"{kinds.count(kind)} {short}" for kind, short in TRAINING_ONLY.items() if kind in kinds)


def table(shown: Sequence[Record], metric: str = agreement.TEST_ACCURACY) -> "pd.DataFrame":
    """One line per row, by a metric of `agreement.METRICS`.

    Columns: experiment, row, settings (in words), the keys of `agreement.beside_original`, low and high (the 95 %
    prediction interval of one more run), and seeds (the single runs).
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    value = agreement.METRICS[metric][1]
    for experiment, name in dict.fromkeys((r.experiment, r.name) for r in shown):
        runs = [r for r in shown if (r.experiment, r.name) == (experiment, name)]
        line = agreement.beside_original(runs, metric)
        lines.append(
            {"experiment": experiment, "row": name, "settings": described(runs[0].row)}
            | line
            | {"low": line["here"] - line["95 % ±"], "high": line["here"] + line["95 % ±"]}
            | {"seeds": [value(run) for run in runs]}
        )
    return pd.DataFrame(lines)


def conclusion(table: "pd.DataFrame") -> str:
    """What the table of test accuracy shows, in one or two sentences."""
    compared, known = table[table["original"].notna()], table[table["agrees"] != agreement.UNKNOWN]
    if not len(compared):
        return "The original reports no figure for these rows with these settings."
    far = compared.loc[compared["difference"].abs().idxmax()]
    way = "higher" if far["difference"] > 0 else "lower"
    gap = f"The largest gap is {far['row']}'s, {abs(far['difference']):.1f} points {way} here."
    if not len(known):
        return f"{gap} No row has the three runs that an interval needs."
    inside = int((known["agrees"] == agreement.AGREES).sum())
    few = len(compared) - len(known)
    rest = f" {few} {'has' if few == 1 else 'have'} fewer than three runs, so no interval." if few else ""
    return f"The original's figure lies inside the interval in {inside} of {len(known)} rows.{rest} {gap}"
