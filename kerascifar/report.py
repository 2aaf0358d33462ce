"""Records → tables, curves and diagrams on disk. Trains nothing; everything can be made again."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from kerascifar import files, models, plots, records, tables

TITLES = {"experiment1": "Experiment 1", "experiment2": "Experiment 2"}


def write(
    own: Sequence[records.Record],
    published: Sequence[records.Record],
    out: Path,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Writes into `out`, and returns what it wrote.

    - `<experiment>.csv` and `.md`: the result tables;
    - `curves/<experiment>-<row>-seed<seed>.png`: training statistics of each run;
    - `augmentation.png`: the report's comparison of M1 and M5, when both are there;
    - `architecture/<model>.png`: a diagram per model.
    """
    for folder in (out, out / "curves", out / "architecture"):
        files.remove_unfinished(folder, older=files.A_DAY)
    written: list[Path] = []
    shown = [*own] or [*published]
    for experiment in dict.fromkeys(r.experiment for r in shown):
        mine = [r for r in own if r.experiment == experiment]
        theirs = [r for r in published if r.experiment == experiment]
        path = out / experiment
        title = TITLES.get(experiment, experiment)
        tables.save(tables.results(mine, theirs), path, title, tables.notes(mine, theirs))
        written += [path.with_suffix(".csv"), path.with_suffix(".md")]
    for record in shown:
        path = out / "curves" / f"{record.experiment}-{record.name}-seed{record.seed}.png"
        plots.save(plots.training_statistics(record), path)
        written.append(path)
    pair = {r.name: r for r in reversed(shown) if r.experiment == "experiment1" and r.name in ("M1", "M5")}
    if len(pair) == 2:
        plots.save(plots.augmentation_comparison(pair["M1"], pair["M5"]), out / "augmentation.png")
        written.append(out / "augmentation.png")
    if missing := plots.graphviz_missing():
        say(missing)
        return written
    for name in dict.fromkeys(r.row["model"] for r in shown):
        if name in models.BUILDERS:
            options = next(r.row["model_options"] for r in shown if r.row["model"] == name)
            path = out / "architecture" / f"{name}.png"
            keras.backend.clear_session()  # layer names start anew, as in a run
            if plots.architecture(models.build(name, **options), path):
                written.append(path)
    return written
