"""A candidate's run, from training to its record, uses no test images."""

import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console

from kerascifar.__main__ import main
from kerascifar.common.errors import UserError
from kerascifar.findings import compare, verify
from kerascifar.images import cifar10
from kerascifar.runs import experiment, records
from kerascifar.training.rows import Row, Run

SMALL = Row("Small", "residual", {"filters": [4], "blocks": [1]}, epochs=1, batch_size=100)


@pytest.fixture(scope="module")
def without_test_images(shapes):
    return dataclasses.replace(cifar10.load(shapes), _test=None)


def trained(name, dataset, folder):
    (record,) = experiment.train_runs([Run(name, SMALL, 0)], dataset, folder, Console(quiet=True))
    return record


@pytest.mark.parametrize("name", records.CANDIDATES)
def test_a_candidate_is_trained_without_test_images(name, without_test_images, tmp_path):
    record = records.read(trained(name, without_test_images, tmp_path).folder)
    assert set(record.results) == {"train", "validation"} and set(record.per_class) == {"validation"}
    assert sorted(record.predictions) == ["validation_index", "validation_label", "validation_predicted"]
    assert record.right("validation").mean() == pytest.approx(record.results["validation"]["accuracy"])
    with pytest.raises(UserError, match="is a candidate. Candidates have no test figures"):
        compare.find([str(record.folder)], tmp_path)
    assert verify.compare(record, record, [record]) == (
        True,
        ["Small seed 0: bit-identical (1 epochs, all losses and accuracies)."],
    )


def test_a_search_ends_with_its_ranking(shapes, tmp_path, monkeypatch, capsys):
    """Fails if a search prints the usual result table, which has test figures."""
    monkeypatch.chdir(tmp_path)
    Path("search.toml").write_text(
        "[defaults]\nmodel = 'residual'\nmodel_options = {filters = [4], blocks = [0]}\nepochs = 1\n"
        "[[row]]\nname = 'A'\n[[row]]\nname = 'B'\nlearning_rate = 0.01\n"
    )
    options = ["--data", str(shapes), "--runs", "runs"]
    assert main(["run", "search.toml", "--json", *options]) == 0
    ranking = json.loads(capsys.readouterr().out)
    assert {line["row"] for line in ranking} == {"A", "B"} and ranking[0]["Valid_acc"] >= ranking[1]["Valid_acc"]
    assert main(["run", "search.toml", *options]) == 0
    shown = capsys.readouterr().out
    assert "Valid_acc" in shown and "Test_acc" not in shown
    assert "part of its lead is luck" in (tmp_path / "runs" / "report" / "search-ranked.md").read_text()
    assert main(["focus", "--rows", "A", *options]) == 2
    assert "A seed 0 is a candidate. Maps are measured on test images" in capsys.readouterr().err


def test_any_other_run_needs_them(without_test_images, tmp_path):
    with pytest.raises(ValueError, match="this data set has no test images"):
        trained("experiment3", without_test_images, tmp_path)
