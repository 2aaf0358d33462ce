"""The page's appendix: what the models confuse, what the runs were computed with, and how to repeat them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerascifar.findings import ablation, metrics
from kerascifar.focus import methods
from kerascifar.output import report
from kerascifar.runs import grouping, measurements, original, selection
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd


def confusions(shown: Sequence[Record]) -> list[tuple[str, "pd.DataFrame"]]:
    """The confusion matrix of each explained row."""
    import pandas as pd

    matrices = []
    for runs in grouping.explained(shown):
        names = runs[0].dataset["class_names"]
        table = pd.DataFrame(metrics.confusion(runs).round(1), index=names, columns=names)
        matrices.append((runs[0].name, table.rename_axis("label \\ predicted").reset_index()))
    return matrices


def environment(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """The hardware, software and data of the runs."""
    environment: dict[str, list[str]] = {}
    for run in shown:
        recorded = run.environment
        keys = ("device", "processor", "instructions", "backend", "commit")
        values = {key: str(recorded.get(key) or "") for key in keys}
        values["versions"] = ", ".join(f"{k} {v}" for k, v in (recorded.get("versions") or {}).items())
        values["precision"] = run.row.precision
        values["images"] = (
            f"{run.dataset['name']}, SHA-256 {run.dataset['train'][:16]}… and {run.dataset['test'][:16]}…"
        )
        for key, value in values.items():
            if value and value not in environment.setdefault(key, []):
                environment[key].append(value)
    return [(key, "; ".join(values)) for key, values in environment.items() if values]


def _measure(run: Record) -> str:
    """The command that repeats a run's measurements."""
    values = measurements.read(run)
    measured = " ".join(kind for kind in methods.METHODS if f"{kind}/road" in values)
    published = " --published" * selection.is_published(run)
    return f"python -m kerascifar focus{published} --rows {run.name} --seeds {run.seed} --methods {measured}"


def commands(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """For each row, the command that trains it; then the commands that measure, judge and draw."""
    commands, outdated = [], original.outdated(shown)  # the files have other settings now than the latter's
    for name, runs in grouping.by_name(shown).items():
        first = runs[0]
        if first.experiment not in report.TITLES or first.name in outdated:
            continue
        seeds = " ".join(str(r.seed) for r in runs)
        options = "" if first.row.precision == "float32" else f" --precision {first.row.precision}"
        command = f"python -m kerascifar run {first.experiment} --rows {first.name} --seeds {seeds}{options}"
        again = f"\npython -m kerascifar verify {name} --seed {first.seed}"
        commands.append((name, command + again * selection.is_published(first)))
    return [
        *commands,
        ("open choices", "make choices"),
        ("sensitivity", "python -m kerascifar run sensitivity"),
        ("search", "python -m kerascifar run search"),
        *[("ablation", "python -m kerascifar run ablation")] * any(r.experiment == ablation.EXPERIMENT for r in shown),
        *(("where the models look: " + r.label, _measure(r)) for r in shown if measurements.read(r)),
        ("claims and verdicts", "python -m kerascifar findings"),
        ("this page", "make report"),
    ]
