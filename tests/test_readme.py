"""README and its pictures show what was measured, not what somebody typed."""

import re

import pytest
from making import ROOT, record, run
from PIL import Image

from kerascifar import readme, records

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


def test_published_tables_and_captions_are_those_of_the_records(tmp_path, monkeypatch):
    """Fails if a table, or a title, legend or number in a figure, is not what the records give."""
    kept, made = readme.RESULTS, tmp_path / "results"
    if not published():
        pytest.skip("nothing is published yet")
    monkeypatch.setattr(readme, "RESULTS", made)
    readme.write_results(published(), lambda row, path: None)
    compared = [path for path in made.rglob("*.*") if path.suffix in (".csv", ".md", ".png")]
    assert len(compared) > 3
    for path in compared:
        there = kept / path.relative_to(made)
        if path.suffix == ".png" and path.parent.name != "architecture":  # those are Graphviz's, without a caption
            assert Image.open(there).text["Description"] == Image.open(path).text["Description"], there
        else:
            assert path.suffix == ".png" or there.read_bytes() == path.read_bytes(), there
    stray = {path.relative_to(kept) for path in kept.rglob("*.*")} - {
        path.relative_to(made) for path in made.rglob("*.*")
    }
    assert all(path.name.startswith("focus-") for path in stray), stray


def test_the_results_hold_both_tables_and_what_a_reader_must_know(tmp_path):
    one = [record(seed=s, results=accuracies(0.60 + 0.01 * s)) for s in (0, 1)]
    text = readme.results(one, tmp_path)
    line = next(line for line in text.splitlines() if "published " in line)
    assert "60.50 ± 0.71" in line and "60.00 … 61.00" in line
    assert "### Experiment 1" in text and "### Experiment 2" not in text and "Trained on: CPU, 2 cores" in text


def accuracies(share):
    return {split: {"loss": 1.0, "accuracy": share} for split in ("train", "validation", "test")}


def test_a_published_run_reaches_readme_and_pictures(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{readme.START}old{readme.END}after\n", encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(readme, "RESULTS", tmp_path / "docs" / "results")
    runs = [run(tmp_path / "M6", row={"name": "M6"})]
    drawn = []
    written = readme.write_results(runs, lambda row, path: drawn.append(row))
    readme.update(runs)
    text = page.read_text(encoding="utf-8")
    assert drawn == ["M6"] and "old" not in text and text.startswith("before\n") and text.endswith("after\n")
    assert "### Experiment 1" in text and tmp_path / "docs" / "results" / "experiment1.csv" in written
    curves = tmp_path / "docs" / "results" / "curves" / "experiment1-M6.png"
    assert "M6 · seed 0 · CIFAR-10" in Image.open(curves).text["Description"]
