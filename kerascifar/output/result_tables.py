"""Result tables: the original's reported values, published runs and the user's runs, side by side."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings.statistics import mean_and_sd
from kerascifar.runs import grouping, original, records, rows_in_words
from kerascifar.training.rows import Row

if TYPE_CHECKING:
    import pandas as pd

BEST = "◀ best Valid_acc"  # of an experiment's rows
# The original's columns, in its order.
SETTINGS = ["aug", "loss", "opt", "bs", "lr"]
FIGURES = {  # by their names in `reported.csv`
    "use epoch": "epochs",
    "Train_loss": "train_loss",
    "Train_acc": "train_acc",
    "Valid_loss": "valid_loss",
    "Valid_acc": "valid_acc",
    "Test_acc": "test_acc",
}


def results(own: Sequence[records.Record], published: Sequence[records.Record]) -> "pd.DataFrame":
    """One line per row and source ("reported", "published", "yours"), and of full runs their difference; unrounded.

    Columns: experiment, row, model, source, n (runs), the original's settings and metrics, "<metric> sd", "min" and
    "max" over runs, seconds (of training, mean), device, epoch kept, shortened, dataset, best. A row's runs (seeds) are
    averaged. The table is about the rows of `own`, or of `published` if `own` is empty; other rows are left out. A
    reported or published line is shown only if its settings are the same.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    owns, others = grouping.by_row(own), grouping.by_row(published)
    for experiment, name in owns or others:
        own_runs, published_runs = owns.get((experiment, name), []), others.get((experiment, name), [])
        first = (own_runs or published_runs)[0]
        published_runs = [r for r in published_runs if _configuration(r) == _configuration(first)]
        published_runs = [r for r in published_runs if r.is_synthetic == first.is_synthetic]
        head = {
            "experiment": experiment,
            "row": name,
            "model": first.row.model,
            **dict(zip(SETTINGS, original.settings_of(first.row), strict=True)),
        }
        averages = {}
        if line := original.comparable(first):
            averages["reported"] = pd.Series({title: float(line[key]) for title, key in FIGURES.items()})
            lines.append({**head, "source": "reported", "n": 1, **averages["reported"]})
        for source, group in (("published", published_runs), ("yours", own_runs)):
            if group:
                averages[source], rest = _averaged(group)
                lines.append({**head, "source": source, "n": len(group), **averages[source], **rest})
        source = "yours" if own_runs else "published"
        if "reported" in averages and not any(r.shortened for r in own_runs or published_runs):
            difference = averages[source] - averages["reported"]
            lines.append({**head, "source": f"{source} - reported", **difference})
    table = pd.DataFrame(lines)
    table["best"] = ""
    for _, group in table[table["source"].isin(["reported", "published", "yours"])].groupby(["experiment", "source"]):
        if len(group) > 1 and group["Valid_acc"].notna().any():
            table.loc[group["Valid_acc"].idxmax(), "best"] = BEST
    return table


def _averaged(group: Sequence[records.Record]) -> "tuple[pd.Series, dict[str, Any]]":
    """The means of `FIGURES` over a row's runs, and the other columns of their line."""
    import pandas as pd

    values = pd.DataFrame([original.figures(r) for r in group])[[*FIGURES.values()]]
    values.columns = [*FIGURES]
    return values.mean(skipna=False), {
        **values.std(skipna=False).add_suffix(" sd"),
        **values.min(skipna=False).add_suffix(" min"),
        **values.max(skipna=False).add_suffix(" max"),
        "seconds": float(np.mean([r.duration for r in group])),
        "device": "; ".join(sorted({str(r.environment.get("device", "")) for r in group})),
        "epoch kept": float(np.mean([r.epoch_kept for r in group])),
        "shortened": any(r.shortened for r in group),
        "dataset": group[0].dataset["name"],
    }


def _configuration(record: records.Record) -> dict[str, Any]:
    """The values that runs must share to be shown side by side; shortened and full runs may be."""
    return {key: value for key, value in dataclasses.asdict(record.row).items() if key != "epochs"}


def _cell(title: str, value: Any, deviation: Any, signed: bool) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    digits = {"use epoch": 0, "Train_loss": 3, "Valid_loss": 3}.get(title, 2)
    text = f"{value:+z.{digits}f}" if signed else f"{value:.{digits}f}"
    spread = isinstance(deviation, float) and not math.isnan(deviation)
    return f"{text} ± {deviation:.{digits}f}" if spread else text


def readable(table: "pd.DataFrame", whole: bool = False) -> "pd.DataFrame":
    """The table rounded for reading: all cells are text, settings appear once per row, and n > 1 gives mean ± sd.

    `whole` adds columns that do not fit a terminal: the range of the test accuracy, the kept epoch, and minutes.
    """
    import pandas as pd

    lines, before = [], None
    for line in table.to_dict("records"):
        fresh = (line["experiment"], line["row"]) != before
        before = (line["experiment"], line["row"])
        cells = {"row": line["row"] if fresh else ""}
        for key in SETTINGS:
            cells[key] = (f"{line[key]:g}" if key == "lr" else str(line[key])) if fresh else ""
        source = str(line["source"])
        cells["source"] = source + (" (shortened)" if line.get("shortened") is True else "")
        cells["n"] = "" if " - " in source else str(int(line["n"]))
        for key in FIGURES:
            cells[key] = _cell(key, line[key], line.get(f"{key} sd"), " - " in source)
        if whole:
            several = not math.isnan(line.get("Test_acc sd", math.nan))
            cells["Test_acc range"] = f"{line['Test_acc min']:.2f} … {line['Test_acc max']:.2f}" if several else ""
            cells["epoch kept"] = _cell("use epoch", line.get("epoch kept"), None, False)
            minutes = line.get("seconds", math.nan) / 60
            cells["minutes"] = "" if math.isnan(minutes) else f"{minutes:.1f}"
        cells["best"] = line["best"]
        lines.append(cells)
    return pd.DataFrame(lines).rename(columns={"best": ""})


def notes(own: Iterable[records.Record], published: Iterable[records.Record]) -> list[str]:
    """Notes that a reader needs to understand the table."""
    own = list(own)
    names = {r.name for r in own}
    shown = [*own, *(r for r in published if not own or r.name in names)]
    lines = [
        "Accuracies in percent, losses in nats, at the kept epoch. Train figures are means over the epoch, with "
        "augmentation and dropout on. n runs, one per seed: mean ± their standard deviation. Differences: percentage "
        "points, nats, epochs."
    ]
    if shown and not shown[0].is_synthetic:
        share, images = shown[0].results["test"]["accuracy"], 10_000
        if not math.isnan(share):
            error = 100 * math.sqrt(share * (1 - share) / images)
            lines.append(
                f"Because there are only {images:,} test images, one run's test accuracy has a standard error of about "
                f"{error:.2f} points; differences between seeds come on top."
            )
    if shown:
        machines = {r.machine for r in shown}
        minutes = sum(r.duration for r in shown) / 60
        took = f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{minutes:.1f} minutes"
        lines.append(f"Trained on: {'; '.join(sorted(machines))}; {took}, added over runs.")
    other = {r.name for r in shown if original.row_of(r) and not original.comparable(r)}
    if other:
        lines.append(f"Not compared with the original, because their settings differ: {', '.join(sorted(other))}.")
    if any(r.shortened for r in shown):
        lines.append("Shortened runs (--epochs) ended before early stopping: they are not results.")
    if precisions := sorted({r.row.precision for r in shown} - {"float32"}):
        trained = ", ".join(r.label for r in shown if r.row.precision != "float32")
        lines.append(f"Not in float32 but in {' and '.join(precisions)}: {trained}.")
    if failed := ", ".join(r.label for r in shown if r.diverged):
        lines.append(
            f"Training stopped because the loss became NaN or infinite: {failed}. A smaller learning_rate may prevent "
            "it."
        )
    if any(r.is_synthetic for r in shown):
        lines.insert(0, "SYNTHETIC DATA: drawn shapes. No figure below says anything about CIFAR-10.")
    return lines


def spread(runs: Sequence[records.Record]) -> str:
    """`73.57 ± 0.89 (6)`: the mean test accuracy of some runs, in percent, and their standard deviation if several."""
    accuracy, sd = mean_and_sd([run.accuracy() for run in runs])
    plus_minus = f" ± {sd:.2f}" if len(runs) > 1 else ""
    return f"{accuracy:.2f}{plus_minus} ({len(runs)})"


def narrow(own: Sequence[records.Record], published: Sequence[records.Record]) -> "pd.DataFrame":
    """The result table for 80 columns: test accuracy of each row, original and here, as text.

    Columns: row, what differs (from the experiment's first row), original, here ± sd (n), difference. *Here* are the
    runs of `own`, or of `published` if `own` is empty.
    """
    import pandas as pd

    lines, base = [], dict[str, Row]()
    for (experiment, name), runs in grouping.by_row(own or published).items():
        line = _narrow(name, runs, base.setdefault(experiment, runs[0].row))
        if line["original"] and not any(run.shortened for run in runs):
            line["difference"] = f"{np.mean([r.accuracy() for r in runs]) - float(line['original']):+z.2f}"
        lines.append(line)
    return pd.DataFrame(lines)


def narrow_comparison(groups: "Mapping[str, Sequence[records.Record]]", compared: "pd.DataFrame") -> "pd.DataFrame":
    """The table of `compare`, for 80 columns, as text: like `narrow`, with differences from the first line."""
    import pandas as pd

    base = next(iter(groups.values()))[0].row
    lines = [_narrow(name, runs, base) for name, runs in groups.items()]
    for line, pair in zip(lines, compared.to_dict("records"), strict=True):
        difference, several = pair["difference"], pair["pairs"] > 1
        spread = f" ± {pair['high'] - difference:.2f}" if several else " (1 pair)"  # which says nothing about seeds
        line["difference"] = "" if math.isnan(difference) else f"{difference:+z.2f}{spread}"
    return pd.DataFrame(lines).rename(columns={"difference": f"from {next(iter(groups))}"})


def _narrow(name: str, runs: Sequence[records.Record], base: Row) -> dict[str, str]:
    """A line of `narrow` without its difference."""
    reported = original.comparable(runs[0])
    return {
        "row": name,
        "what differs": rows_in_words.differing(runs[0].row, base),
        "original": f"{float(reported['test_acc']):.2f}" if reported else "",
        "here ± sd (n)": spread(runs) + " shortened" * any(run.shortened for run in runs),
        "difference": "",
    }
