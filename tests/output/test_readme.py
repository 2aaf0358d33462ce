"""README and its pictures show what was measured, not what somebody typed."""

import dataclasses
import re
from functools import partial

import pytest
from factories import HISTORY, ROOT, record, results, run
from matplotlib.figure import Figure
from PIL import Image

from kerascifar.common import drawing
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.findings import analyses
from kerascifar.output import figures, readme
from kerascifar.runs import grouping, original, records
from kerascifar.training.rows import read as read_experiment

README = (ROOT / "README.md").read_text(encoding="utf-8")


def published():
    return grouping.current(records.list_records(records.PUBLISHED))


def test_the_table_of_speeds_matches_the_benchmark():
    """Fails if a figure in docs/benchmarks.md is not the one in benchmarks/bench.md, which `make bench` writes."""
    text = (readme.DOCS / "benchmarks.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- bench -->\n(.*)<!-- /bench -->", text, re.S)[1]
    assert shown == (ROOT / "benchmarks" / "bench.md").read_text(encoding="utf-8")
    m6, model4 = (re.search(rf"2 runs of {row} at once.*?\| ([\d.]+) \|", shown)[1] for row in ("M6", "Model4"))
    assert f"{m6} times as many for M6 and {model4} times as many for Model4" in " ".join(text.split())


def test_the_generated_parts_match_the_records():
    """Fails if a number in README was typed or a record changed: `kerascifar report` writes these parts."""
    for path, name, text in readme.parts(analyses.Findings(published())):
        found = re.findall(f"<!-- {name} -->\n(.*?)<!-- /{name} -->", path.read_text(encoding="utf-8"), re.S)
        assert found == [text], (path, name)


def test_readme_has_at_most_150_lines():
    assert len(README.splitlines()) <= 150


def test_no_result_in_readme_is_typed():
    """Fails if a percentage or a difference stands outside the generated parts, where no record can correct it."""
    written = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", README, flags=re.S)
    assert not re.findall(r"\d+(?:\.\d+)? %(?! interval)| [+−-]\d+\.\d|\d ± \d", written)


@pytest.mark.parametrize("place", ["results", "second-study"])
def test_every_published_run_can_be_read(place):
    """Fails if a record was changed by hand: it would silently drop out of the tables."""
    folders = [path for path in (EXPERIMENTS / place).glob("*") if path.is_dir()]
    assert len(records.list_records(EXPERIMENTS / place)) == len(folders) > 0


def test_published_tables_and_figures_match_the_records(tmp_path, monkeypatch):
    """Fails if a table, or a title, legend, line or bar in a figure, is not what the records give."""
    if not published():
        pytest.skip("nothing is published yet")
    kept, made = readme.RESULTS, tmp_path / "results"
    monkeypatch.setattr(readme, "parts", lambda found: [])  # they are tested above
    monkeypatch.setattr(readme, "RESULTS", made)
    readme.write(published(), lambda run: Figure())
    # Graphviz's pictures differ from version to version; focus maps are drawn by the models, not from the records.
    compared = [p for p in made.rglob("*.*") if p.parent.name != "architecture" and not p.name.startswith("focus-")]
    assert len(compared) > 3
    for path in compared:
        there = kept / path.relative_to(made)
        assert there.is_file(), f"{there} is missing. To write it: python -m kerascifar publish"
        if path.suffix == ".png":
            assert Image.open(there).text["Description"] == Image.open(path).text["Description"], there
        else:
            assert there.read_bytes() == path.read_bytes(), there
    stray = {p.relative_to(kept) for p in kept.rglob("*.*")} - {p.relative_to(made) for p in made.rglob("*.*")}
    assert all(path.parent.name == "architecture" for path in stray), stray


def test_the_results_hold_both_tables_and_what_a_reader_must_know():
    one = [record(seed=s, results=results(0.60 + 0.01 * s), history=HISTORY) for s in (0, 1)]
    text = readme.results(analyses.Findings(one))
    line = next(line for line in text.splitlines() if "published " in line)
    assert "60.50 ± 0.71" in line and "60.00 … 61.00" in line and "nan" not in text
    assert "| C1 " in text and "Adam is better" in text
    assert "## Experiment 1" in text and "## Experiment 2" not in text and "Trained on: CPU, 2 cores" in text


def planned(name, environment=None, **changes):
    """A run of Experiment 1 with the settings that its file has now."""
    rows = read_experiment(EXPERIMENTS / "experiment1.toml").rows
    environment = record().environment | (environment or {})
    made = record(row={"name": name}, environment=environment, **changes)
    return dataclasses.replace(made, row=next(row for row in rows if row.name == name))


def test_rows_with_earlier_settings_are_named():
    """Fails if a result is shown without a word although the same command would train with other settings today."""
    now, earlier = planned("M1", history=HISTORY), record(row={"name": "M4"}, history=HISTORY)
    assert original.outdated([now, earlier]) == ["M4"]
    assert "\n\nResults of M4 are still from the first study" in readme.rows([now, earlier])
    assert "first study" not in readme.rows([now])
    for runs, shown in (([now], True), ([now, earlier], False)):
        assert bool(analyses.Findings(runs).get("causes")) == shown


def test_durations_say_how_many_cores_they_needed():
    """By hand: two seeds with 1 and 3 hours take 2 hours on average. Fails if all cores of the machine are named."""
    where = {"threads": {"intra_op": 1, "inter_op": 1}, "cores": 2, "processor": "AMD EPYC"}
    one = [planned("M1", where, seed=0, seconds=[3600.0]), planned("M1", where, seed=1, seconds=[3600.0, 7200.0])]
    assert readme.times(one) == "With one seed, Experiment 1 took 2.0 hours (1 core, AMD EPYC).\n"
    earlier = [record(environment=record().environment | {"cores": 2, "processor": "AMD EPYC"})]
    assert "(2 cores, AMD EPYC)" in readme.times(earlier)
    assert readme.times([]) == ""
    shares = [dataclasses.replace(run, results=results(share)) for run, share in zip(one, (0.68, 0.661), strict=True)]
    pair = [dataclasses.replace(run, row=planned(name).row) for name in readme.SUBSET for run in shares]
    expected = "in about 240 minutes (1 core, AMD EPYC). In our runs, the test accuracy was 66 to 68 % for M2 and 66 %"
    assert f"{expected} for M4." in readme.subset(
        [*pair[:2], dataclasses.replace(pair[2], results=results(0.66)), pair[3]]
    )
    assert "in a few minutes." in readme.subset([*pair[:2], record(row={"name": "M4"})])


def test_published_runs_reach_readme_and_pictures(tmp_path, monkeypatch):
    page, made = tmp_path / "README.md", tmp_path / "docs" / "results"
    page.write_text("before\n<!-- rows -->\nstale<!-- /rows -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(readme, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(readme, "RESULTS", made)
    runs = [run(tmp_path / f"M6-{seed}", row={"name": "M6"}, seed=seed) for seed in (1, 0)]
    drawn = []
    written = readme.write(runs, lambda record: drawn.append(record.label) or Figure())
    text = page.read_text(encoding="utf-8")
    assert drawn == ["M6 seed 0"] and "stale" not in text and text.startswith("before\n") and text.endswith("after\n")
    assert "| M6 " in text and "![confusion-M6](confusion-M6.png)" in (made / "README.md").read_text(encoding="utf-8")
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
