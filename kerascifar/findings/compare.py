"""Any runs side by side, with paired differences from the first: what happens if I change this?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.findings import metrics
from kerascifar.runs import records
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

NOTE = (
    "Means over seeds, accuracies in percent. Differences in test accuracy are from the first line, in pairs: the same "
    "seeds, the same test images. The 95 % interval is by Student's t over seeds and images, or from the images alone "
    "with one seed."
)


def find(names: Sequence[str], runs: Path) -> dict[str, list[Record]]:
    """The records to compare, by name. A name is a run's folder, or a row, which stands for its runs with all seeds.

    Args:
        runs: the folder of the user's runs; a row that is not in it is looked up among the published runs.
    Raises:
        UserError: a name is neither a run's folder nor a row, or the runs were tested on different images.
    """
    own, published = (records.current(records.list_records(folder)) for folder in (runs, records.PUBLISHED))
    groups: dict[str, list[Record]] = {}
    for name in names:
        if records.finished(Path(name)):
            record = records.read(Path(name))
            groups[f"{record.label} ({Path(name)})" if record.label in groups else record.label] = [record]
            continue
        of_row = [r for r in own if r.name == name] or [r for r in published if r.name == name]
        if not of_row:
            known = {r.name for r in [*own, *published]}
            raise UserError(
                f'"{errors.printable(name)}" is neither the folder of a finished run '
                f"nor a row in {runs} or among the published runs.\n"
                f"{errors.suggest(name, known)}"
            )
        groups[name] = of_row
    if len({run.dataset["test"] for group in groups.values() for run in group}) > 1:
        raise UserError("These runs were tested on different images, so they cannot be compared.")
    return groups


def table(groups: dict[str, list[Record]]) -> "pd.DataFrame":
    """One line per group of runs, as `find` returns them; the others are compared with the first."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    base = next(iter(groups.values()))
    for name, runs in groups.items():
        line: dict[str, Any] = {
            "run": name,
            "n": len(runs),
            "epochs": float(np.mean([r.epochs_trained for r in runs])),
            "Valid_acc": 100 * float(np.mean([r.results["validation"]["accuracy"] for r in runs])),
            "Test_acc": 100 * float(np.mean([r.results["test"]["accuracy"] for r in runs])),
            "gap": float(np.mean([metrics.gap(r) for r in runs])),
            "shortened": any(r.shortened for r in runs),
        }
        pair = metrics.difference(*_paired(runs, base), "test_accuracy")
        if runs is not base and pair is not None:
            low, high = pair.estimate.interval
            line |= {"difference": pair.estimate.mean, "low": low, "high": high, "pairs": len(pair.seeds)}
        lines.append(line)
    return pd.DataFrame(lines)


def _paired(runs: list[Record], base: list[Record]) -> tuple[list[Record], list[Record]]:
    """The runs to pair by seed; two single runs are a pair even with different seeds, as their images are the same."""
    import dataclasses

    if len(runs) == len(base) == 1 and runs[0].seed != base[0].seed:
        return [dataclasses.replace(runs[0], seed=base[0].seed)], base
    return runs, base
