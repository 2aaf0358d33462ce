"""Is a published run that was trained again bit-identical, or within the published runs' range?"""

from collections.abc import Mapping, Sequence
from typing import Any

from kerascifar.runs import records

NOT_COMPARED = {"finished", "earlier", "uncommitted"}  # do not affect the result
COMPARED = (("validation", "accuracy"), ("validation", "loss"), ("test", "accuracy"), ("test", "loss"))


def compare(theirs: records.Record, mine: records.Record, spread: Sequence[records.Record]) -> tuple[bool, list[str]]:
    """Whether the run is reproduced, and why: bit-identical, or each figure within the published runs' range."""
    if mine.history == theirs.history and mine.results == theirs.results:
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
    reproduced = True
    for split, measure in COMPARED:
        values = [record.results[split][measure] for record in spread]
        value = mine.results[split][measure]
        is_within = min(values) <= value <= max(values)
        reproduced = reproduced and is_within
        lines.append(
            f"  {split} {measure} {value:.4f}: {'within' if is_within else 'outside'} the published "
            f"{min(values):.4f} … {max(values):.4f} ({len(values)} {'seeds' if len(values) > 1 else 'seed'})"
        )
    return reproduced, lines


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The values that affect a result, in one table: {"versions keras": "3.15", …}."""
    flat: dict[str, Any] = {}
    for key, value in environment.items():
        if isinstance(value, dict):
            flat |= {f"{key} {entry}": of_entry for entry, of_entry in value.items()}
        elif key not in NOT_COMPARED and value is not None:
            flat[key] = value
    return flat
