"""Writes tables, curves and diagrams from records. It does not train, and everything can be made again."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import keras
from matplotlib.figure import Figure

from kerascifar.common import drawing, files, terminal
from kerascifar.findings import ablation, sensitivity
from kerascifar.output import figures, result_tables, tables
from kerascifar.runs import grouping, records
from kerascifar.training import models

if TYPE_CHECKING:
    import pandas as pd

# The first two as in the original.
TITLES = {"experiment1": "Experiment 1", "experiment2": "Experiment 2", "experiment3": "Experiment 3"}


def pool(own: Sequence[records.Record], published: Sequence[records.Record]) -> list[records.Record]:
    """The runs that the output is about: the user's, or the published ones if the user has none but candidates."""
    return list(published if all(r.is_candidate for r in own) else own)


def shown(own: Sequence[records.Record], published: Sequence[records.Record]) -> list[records.Record]:
    """The runs of `pool` without candidates."""
    return [r for r in pool(own, published) if not r.is_candidate]


def main_rows(shown: Sequence[records.Record]) -> list[records.Record]:
    """The runs without sensitivity and ablation rows, which would crowd out the rest; all, if there are no others."""
    return [r for r in shown if r.experiment not in (sensitivity.EXPERIMENT, ablation.EXPERIMENT)] or list(shown)


def write(
    own: Sequence[records.Record],
    published: Sequence[records.Record],
    out: Path,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Writes these files into `out` and returns their paths.

    - `<experiment>.csv` and `.md`: the result tables;
    - `curves/<experiment>-<row>.png`: training statistics of each row, over its seeds;
    - `accuracy.png`: accuracies and epochs beside the original's, without sensitivity and ablation rows;
    - `classes.png`, `confusion-<row>.png`: accuracy by class and confusion matrices of the explained rows;
    - `augmentation.png`: the original's comparison of M1 and M5, if both have runs;
    - `architecture/<model>.png`: a diagram per model.
    """
    return [*write_tables(own, published, out), *write_figures(shown(own, published), out, say)]


def write_figures(shown: Sequence[records.Record], out: Path, say: Callable[[str], None] = print) -> list[Path]:
    """Writes the figures of these runs, none of them a candidate, into `out` and returns their paths; see `write`."""
    for folder in (out, out / "curves", out / "architecture"):
        files.remove_unfinished(folder, older=files.A_DAY)
    main = main_rows(shown)
    rows = grouping.by_row(shown)
    drawings: list[tuple[Path, Callable[[], Figure]]] = []
    for (experiment, name), runs in rows.items():
        drawings.append((out / "curves" / f"{experiment}-{name}.png", partial(figures.training_statistics, *runs)))
    if len(rows) > 1:
        drawings.append((out / "accuracy.png", partial(figures.beside_original, main)))
    explained = grouping.explained(shown)
    drawings += [(out / f"confusion-{runs[0].name}.png", partial(figures.confusion, runs)) for runs in explained]
    if explained:
        drawings.append((out / "classes.png", partial(figures.per_class, explained)))
    pair = {r.name: r for r in reversed(shown) if r.experiment == "experiment1" and r.name in ("M1", "M5")}
    if len(pair) == 2:
        drawings.append((out / "augmentation.png", partial(figures.augmentation_comparison, pair["M1"], pair["M5"])))
    for path, draw in terminal.track(drawings, "Figures"):
        drawing.save(draw, path)
    written = [path for path, _ in drawings]
    for name in dict.fromkeys(r.row.model for r in shown):
        if name in models.BUILDERS:
            options = next(r.row.model_options for r in [*main, *shown] if r.row.model == name)
            path = out / "architecture" / f"{name}.png"
            keras.backend.clear_session()  # restarts the numbers in layer names, as in a run
            if missing := figures.architecture(models.build(name, **options), path):
                say(missing)
                break
            written.append(path)
    return written


def write_tables(own: Sequence[records.Record], published: Sequence[records.Record], out: Path) -> list[Path]:
    """Writes `<experiment>.csv` and `.md` into `out` and returns their paths."""
    written: list[Path] = []
    for experiment, table, notes in results(own, published):
        tables.save(
            table, out / experiment, entitled(experiment), notes, shown=result_tables.readable(table, whole=True)
        )
        written += [out / f"{experiment}.csv", out / f"{experiment}.md"]
    return written


def results(
    own: Sequence[records.Record], published: Sequence[records.Record]
) -> "Iterator[tuple[str, pd.DataFrame, list[str]]]":
    """The name, result table and notes of each experiment, except for candidates, whose table has no test figures."""
    for experiment in dict.fromkeys(r.experiment for r in shown(own, published)):
        runs = [[r for r in pool if r.experiment == experiment] for pool in (own, published)]
        yield experiment, result_tables.results(*runs), result_tables.notes(*runs)


def entitled(experiment: str) -> str:
    """An experiment's title."""
    return TITLES.get(experiment, experiment)
