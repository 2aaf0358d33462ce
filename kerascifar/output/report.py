"""Writes tables, curves and diagrams from records. It does not train, and everything can be made again."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
from matplotlib.figure import Figure

from kerascifar.common import drawing, files, terminal
from kerascifar.output import figures, overview, tables
from kerascifar.runs import records
from kerascifar.training import models

TITLES = {"experiment1": "Experiment 1", "experiment2": "Experiment 2"}  # as in the original


def write(
    own: Sequence[records.Record],
    published: Sequence[records.Record],
    out: Path,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Writes these files into `out` and returns their paths.

    - `<experiment>.csv` and `.md`: the result tables;
    - `curves/<experiment>-<row>.png`: training statistics of each row, over its seeds;
    - `accuracy.png`: test accuracy beside the original's, without candidates and sensitivity rows;
    - `classes.png`, `confusion-<row>.png`: accuracy by class and confusion matrices of M6 and Model4;
    - `augmentation.png`: the original's comparison of M1 and M5, if both have runs;
    - `architecture/<model>.png`: a diagram per model.
    """
    return [*write_tables(own, published, out), *write_figures([*own] or [*published], out, say)]


def write_figures(shown: Sequence[records.Record], out: Path, say: Callable[[str], None] = print) -> list[Path]:
    """Writes the figures of these runs into `out` and returns their paths; see `write`."""
    for folder in (out, out / "curves", out / "architecture"):
        files.remove_unfinished(folder, older=files.A_DAY)
    main = overview.main_rows(shown)
    rows: dict[tuple[str, str], list[records.Record]] = {}
    for record in [r for r in shown if r.experiment != records.CHOICES] or shown:  # nobody needs candidates' curves
        rows.setdefault((record.experiment, record.name), []).append(record)
    drawings: list[tuple[Path, Callable[[], Figure]]] = []
    for (experiment, name), runs in rows.items():
        over_seeds = partial(figures.training_statistics_over_seeds, runs)
        curves = over_seeds if len(runs) > 1 else partial(figures.training_statistics, runs[0])
        drawings.append((out / "curves" / f"{experiment}-{name}.png", curves))
    if len(rows) > 1:
        drawings.append((out / "accuracy.png", partial(figures.beside_original, main)))
    explained = [rows[key] for key in records.EXPLAINED if key in rows]
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
    for experiment in dict.fromkeys(r.experiment for r in [*own] or [*published]):
        if experiment == records.CHOICES:  # has its own table, without test accuracies
            continue
        own_runs = [r for r in own if r.experiment == experiment]
        published_runs = [r for r in published if r.experiment == experiment]
        path = out / experiment
        title = TITLES.get(experiment, experiment)
        table, notes = tables.results(own_runs, published_runs), tables.notes(own_runs, published_runs)
        tables.save(table, path, title, notes)
        written += [path.with_suffix(".csv"), path.with_suffix(".md")]
    return written
