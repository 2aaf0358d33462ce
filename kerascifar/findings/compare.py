"""Any runs side by side, with paired differences from the first: what happens if I change this?"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common.errors import UserError
from kerascifar.findings import metrics
from kerascifar.findings.statistics import mean_and_sd
from kerascifar.runs import original, selection
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Means over seeds, accuracies in percent. Differences in test accuracy are from the first line, in pairs: the same "
    "seeds (two single runs are a pair even if their seeds differ), the same test images. ± is the half-width of the "
    "95 % interval by Student's t over seeds and images. One pair says nothing about the variation between "
    "seeds; its interval, which --wide shows, is from the images alone."
)


def find(names: Sequence[str], runs: Path, published_only: bool = False) -> dict[str, list[Record]]:
    """The records to compare, by name; see `selection`.

    Raises:
        UserError: a name means no run or a candidate, or the runs were tested on different images.
    """
    groups: dict[str, list[Record]] = {}
    for name in names:
        found = selection.find(name, runs, published_only)
        if found[0].is_candidate:
            raise UserError(
                f"{found[0].name} is a candidate. Candidates have no test figures, so it cannot be compared.\n"
                f"Its validation accuracy: kerascifar runs {found[0].name} --wide"
            )
        if found in groups.values():
            continue
        title = name if selection.is_meant(found[0], name) else found[0].label
        groups[f"{title} ({found[0].folder})" if title in groups else title] = found
    if len({run.dataset["test"] for group in groups.values() for run in group}) > 1:
        raise UserError("These runs were tested on different images, so they cannot be compared.")
    return groups


def table(groups: dict[str, list[Record]]) -> "pd.DataFrame":
    """One line per group of runs, as `find` returns them; the others are compared with the first.

    Columns: run, n, epochs, Valid_acc, Test_acc, "Test_acc sd", gap, shortened, and of the comparison by test accuracy:
    difference, low, high, pairs; NaN where no seed is common to both groups, and for shortened trials.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    base = next(iter(groups.values()))
    for name, runs in groups.items():
        accuracy, sd = mean_and_sd([r.accuracy() for r in runs])
        line: dict[str, Any] = {
            "run": name,
            "n": len(runs),
            "epochs": float(np.mean([r.epochs_trained for r in runs])),
            "Valid_acc": float(np.mean([r.accuracy("validation") for r in runs])),
            "Test_acc": accuracy,
            "Test_acc sd": sd,
            "gap": float(np.mean([metrics.gap(r) for r in runs])),
            "shortened": any(r.shortened for r in runs),
            **dict.fromkeys(("difference", "low", "high", "pairs"), math.nan),
        }
        is_comparable = runs is not base and not any(r.shortened for r in (*runs, *base))
        if is_comparable and (pair := metrics.difference(*_paired(runs, base), "test_accuracy")):
            low, high = pair.estimate.interval
            line |= {"difference": pair.estimate.mean, "low": low, "high": high, "pairs": len(pair.seeds)}
        lines.append(line)
    return pd.DataFrame(lines)


def unpaired(groups: dict[str, list[Record]], compared: "pd.DataFrame") -> list[str]:
    """For each group that cannot be compared with the first, by their `table`, a sentence that says what to do."""
    (base_name, base), *others = groups.items()
    sentences = [] if others else [f"Name another row or run to see how it differs from {base_name}."]
    trials = compared.loc[compared["shortened"], "run"].tolist()
    for (name, runs), pairs in zip(others, compared["pairs"].iloc[1:], strict=True):
        if math.isnan(pairs):
            if short := [each for each in (name, base_name) if each in trials]:
                what, them = ("is a shortened trial", "it") if len(short) == 1 else ("are shortened trials", "them")
                are_published = all(original.find(groups[each][0].name) for each in short)
                todo = "For the published runs, add --published." if are_published else f"Train {them} to the end."
                sentences.append(f"No difference is shown for {name}: {' and '.join(short)} {what}. {todo}")
                continue
            mine, theirs = (", ".join(str(run.seed) for run in group) for group in (runs, base))
            sentences.append(
                f"No difference is shown for {name}: its seeds ({mine}) are not among those of {base_name} ({theirs}). "
                "Train one of them with the other's seeds: kerascifar run EXPERIMENT --rows ROW --seeds SEED"
            )
    return sentences


def _paired(runs: list[Record], base: list[Record]) -> tuple[list[Record], list[Record]]:
    """The runs to pair by seed; two single runs are a pair even with different seeds, as their images are the same."""
    import dataclasses

    if len(runs) == len(base) == 1 and runs[0].seed != base[0].seed:
        return [dataclasses.replace(runs[0], seed=base[0].seed)], base
    return runs, base
