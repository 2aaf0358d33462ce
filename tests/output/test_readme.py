"""README and its pictures show what was measured, not what somebody typed."""

import re
import shutil
from functools import partial

import pytest
from factories import HISTORY, ROOT, record, run
from matplotlib.figure import Figure
from PIL import Image

from kerascifar.common import drawing
from kerascifar.focus import measuring
from kerascifar.output import figures, readme, tables
from kerascifar.runs import records

README = (ROOT / "README.md").read_text(encoding="utf-8")


def published():
    return records.current(records.list_records(records.PUBLISHED))


def test_the_table_of_speeds_is_the_benchmarks():
    """Fails if a figure in README is not the one in benchmarks/bench.md, which `make bench` writes."""
    shown = re.search(r"<!-- bench -->\n(.*)<!-- /bench -->", README, re.S)[1]
    measured = ROOT / "benchmarks" / "bench.md"
    assert shown == (measured.read_text(encoding="utf-8") if measured.is_file() else "")


def test_the_results_are_those_of_the_records():
    shown = re.search(f"{readme.START}(.*){readme.END}", README, re.S)[1]
    assert shown == readme.results(published())


def test_it_shows_where_the_published_models_look():
    table = measuring.table(published())
    assert len(table) and tables.plain_markdown(table) in README


def test_every_published_run_can_be_read():
    """Fails if a record was changed by hand: it would silently drop out of the tables."""
    folders = [path for path in records.PUBLISHED.glob("*") if path.is_dir()]
    assert len(records.list_records(records.PUBLISHED)) == len(folders)


def test_published_tables_and_figures_are_those_of_the_records(tmp_path, monkeypatch):
    """Fails if a table, or a title, legend, line or bar in a figure, is not what the records give."""
    if not published():
        pytest.skip("nothing is published yet")
    kept, made = readme.RESULTS, tmp_path / "results"
    monkeypatch.setattr(readme, "README", shutil.copy(readme.README, tmp_path / "README.md"))  # it is written to
    monkeypatch.setattr(readme, "RESULTS", made)
    readme.write(published(), lambda run: Figure())
    # Graphviz's pictures differ from version to version; focus maps are drawn by the models, not from the records.
    compared = [p for p in made.rglob("*.*") if p.parent.name != "architecture" and not p.name.startswith("focus-")]
    assert len(compared) > 3
    for path in compared:
        there = kept / path.relative_to(made)
        if path.suffix == ".png":
            assert Image.open(there).text["Description"] == Image.open(path).text["Description"], there
        else:
            assert there.read_bytes() == path.read_bytes(), there
    stray = {p.relative_to(kept) for p in kept.rglob("*.*")} - {p.relative_to(made) for p in made.rglob("*.*")}
    assert all(path.parent.name == "architecture" for path in stray), stray


def test_the_results_hold_both_tables_and_what_a_reader_must_know():
    one = [record(seed=s, results=accuracies(0.60 + 0.01 * s), history=HISTORY) for s in (0, 1)]
    text = readme.results(one)
    line = next(line for line in text.splitlines() if "published " in line)
    assert "60.50 ± 0.71" in line and "60.00 … 61.00" in line and "nan" not in text
    assert "| C1 " in text and "Adam is better" in text
    assert "### Experiment 1" in text and "### Experiment 2" not in text and "Trained on: CPU, 2 cores" in text


def accuracies(share):
    return {split: {"loss": 1.0, "accuracy": share} for split in ("train", "validation", "test")}


def test_published_runs_reach_readme_and_pictures(tmp_path, monkeypatch):
    page, made = tmp_path / "README.md", tmp_path / "docs" / "results"
    page.write_text(f"before\n{readme.START}stale{readme.END}after\n", encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(readme, "RESULTS", made)
    runs = [run(tmp_path / f"M6-{seed}", row={"name": "M6"}, seed=seed) for seed in (1, 0)]
    drawn = []
    written = readme.write(runs, lambda record: drawn.append(record.label) or Figure())
    text = page.read_text(encoding="utf-8")
    assert drawn == ["M6 seed 0"] and "stale" not in text and text.startswith("before\n") and text.endswith("after\n")
    assert "### Experiment 1" in text and "![confusion-M6](docs/results/confusion-M6.png)" in text
    assert {made / "experiment1.csv", made / "focus-M6.png", page} <= set(written)
    assert "M6 · 2 seeds" in Image.open(made / "curves" / "experiment1-M6.png").text["Description"]
    assert page not in readme.write_tables(runs)  # nothing new, so nothing is touched


def test_a_figure_of_other_numbers_is_told_apart(tmp_path):
    """Fails if only words are compared: both have the same title and legend."""
    told = []
    for loss in (0.5, 0.6):
        history = {name: [loss, 0.3] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
        drawing.save(partial(figures.training_statistics, record(history=history)), tmp_path / "a.png")
        told.append(Image.open(tmp_path / "a.png").text["Description"])
    assert told[0].rpartition(" | ")[0] == told[1].rpartition(" | ")[0] and told[0] != told[1]
