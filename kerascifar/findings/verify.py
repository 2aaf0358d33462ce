"""Is a published run that was trained again bit-identical, or as close to the published runs as one more seed?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerascifar.findings.statistics import FEWEST_TO_PREDICT, LEVEL, prediction_interval
from kerascifar.runs import records

NOT_COMPARED = {"finished", "earlier", "uncommitted"}  # do not affect the result
COMPARED = (("validation", "accuracy"), ("validation", "loss"), ("test", "accuracy"), ("test", "loss"))


def compare(theirs: records.Record, mine: records.Record, spread: Sequence[records.Record]) -> tuple[bool, list[str]]:
    """Whether the run is known to be reproduced, and why.

    It is if it is bit-identical, or if each figure lies in the prediction interval of the published runs of its row.
    The intervals are so wide that one more seed would lie in all of them with a probability of at least 95 %. With
    fewer than three published runs, only a bit-identical one is known to be reproduced.
    """
    common = set.intersection(*(set(record.results) for record in (theirs, mine, *spread)))  # candidates lack "test"

    def text(run: records.Record) -> str:
        """The figures to compare. In a text, a loss that is not a number equals itself."""
        return json.dumps([run.history, {split: run.results[split] for split in common}], sort_keys=True)

    if text(mine) == text(theirs):
        return True, [f"{theirs.label}: bit-identical ({len(theirs.seconds)} epochs, all losses and accuracies)."]
    lines = [f"{theirs.label}: not bit-identical."]
    there, here = _flat(theirs.environment), _flat(mine.environment)
    lines += [
        f"  {key}: published {there.get(key, 'not recorded')}; here {here.get(key, 'not recorded')}"
        for key in sorted(there | here)
        if there.get(key) != here.get(key)
    ]
    if mine.basis != theirs.basis:
        lines.append("  the images or the model's layers differ")
    reproduced = is_judged = len(spread) >= FEWEST_TO_PREDICT
    compared = [pair for pair in COMPARED if pair[0] in common]
    for split, measure in compared:
        values = [record.results[split][measure] for record in spread]
        value = mine.results[split][measure]
        if not is_judged:
            lines.append(f"  {split} {measure} {value:.4f}; published: {', '.join(f'{v:.4f}' for v in values)}")
            continue
        half, mean = prediction_interval(values, LEVEL / len(compared)), float(np.mean(values))
        is_within = abs(value - mean) <= half  # not if one of them is not a number
        reproduced = reproduced and is_within
        where = "within" if is_within else "outside"
        lines.append(f"  {split} {measure} {value:.4f}: {where} {mean - half:.4f} … {mean + half:.4f}")
    if not is_judged:
        needed = f"at least {FEWEST_TO_PREDICT} published runs of the row; it has {len(spread)}"
        return False, [*lines, f"Not judged: that takes {needed}."]
    verdict = "Reproduced: all figures lie within" if reproduced else "Not reproduced: not all figures lie within"
    expected = f"One more seed would lie within all {len(compared)} in at least 95 % of cases."
    return reproduced, [*lines, f"{verdict} their intervals. {expected}"]


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The values that affect a result, in one table: {"versions keras": "3.15", …}."""
    flat: dict[str, Any] = {}
    for key, value in environment.items():
        if isinstance(value, dict):
            flat |= {f"{key} {entry}": of_entry for entry, of_entry in value.items()}
        elif key not in NOT_COMPARED and value is not None:
            flat[key] = value
    return flat
