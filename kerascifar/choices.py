"""The rule for what the report leaves open and a number can decide: Model1's widths, then SGD's momentum.

Each candidate is a row of `experiments/choices.toml`, trained like a row of the report. The one whose training and
validation accuracy at the kept epoch lie closest to the report's is taken. No test figure enters, and only one row of
the report decides each choice, so the other rows stay an independent check.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerascifar import tables
from kerascifar.config import Run
from kerascifar.records import Record

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "choices"
NOTE = (
    "Accuracies in percent at the kept epoch, one seed. Distance: the differences from the report's figures, added. "
    "No test figure enters."
)


@dataclass(frozen=True)
class Choice:
    """One open choice.

    Attributes:
        what: what is chosen.
        option: the key of a row that the candidates differ in.
        candidates: their rows in `experiments/choices.toml`.
        like: the row of the report that they are trained like and compared with.
        splits: whose accuracy is compared; the distances are added.
    """

    what: str
    option: str
    candidates: tuple[str, ...]
    like: str
    splits: tuple[str, ...]


WIDTHS = Choice("Model1's widths", "model_options", ("W1", "W2", "W3", "W4", "W5", "W6"), "M6", ("train", "validation"))
MOMENTUM = Choice("SGD's momentum", "optimizer_options", ("S0", "S9"), "M8", ("validation",))
_REPORTED = {"train": "train_acc", "validation": "valid_acc"}


def distance(choice: Choice, record: Record) -> float:
    """The candidate's distance from the report, in percentage points; what is not finite is infinitely far."""
    line = tables.reported()[choice.like]
    far = sum(abs(100 * record.results[split]["accuracy"] - float(line[_REPORTED[split]])) for split in choice.splits)
    return far if record.stop != "loss not finite" and far == far else float("inf")


def taken(choice: Choice, found: Iterable[Record]) -> Record | None:
    """The closest candidate, or None while one is missing or shortened. A tie goes to the first in the file."""
    by_name = {record.name: record for record in found if record.experiment == EXPERIMENT and not record.shortened}
    if not all(name in by_name for name in choice.candidates):
        return None
    return min((by_name[name] for name in choice.candidates), key=lambda record: distance(choice, record))


def with_widths(runs: Sequence[Run], widths: Record) -> list[Run]:
    """The runs of the momentum's candidates, with the widths that were taken."""
    options: dict[str, Any] = widths.row["model_options"]
    return [
        dataclasses.replace(run, row=dataclasses.replace(run.row, model_options=options))
        for run in runs
        if run.row.name in MOMENTUM.candidates
    ]


def table(found: Sequence[Record]) -> "pd.DataFrame":
    """One line per candidate: what it has, its accuracies at the kept epoch (percent), its distance, the one taken."""
    import pandas as pd

    lines = []
    for choice in (WIDTHS, MOMENTUM):
        best = taken(choice, found)
        for record in found:
            if record.experiment == EXPERIMENT and record.name in choice.candidates:
                line = tables.reported()[choice.like]
                lines.append(
                    {
                        "choice": choice.what,
                        "row": record.name,
                        "like": choice.like,
                        "candidate": str(record.row[choice.option]).strip("{}").replace("'", ""),
                        "epochs": record.epochs_trained,
                        "Train_acc": round(100 * record.results["train"]["accuracy"], 2),
                        "Valid_acc": round(100 * record.results["validation"]["accuracy"], 2),
                        "reported Train_acc": float(line["train_acc"]) if "train" in choice.splits else None,
                        "reported Valid_acc": float(line["valid_acc"]),
                        "distance": round(distance(choice, record), 2),
                        "": "◀ taken" if best is record else "",
                    }
                )
    return pd.DataFrame(lines)
