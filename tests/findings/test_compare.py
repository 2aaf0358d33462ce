"""Runs are compared with the first one named, paired by seed; names that mean no run are reported."""

import re

import factories
import numpy as np
import pytest

from kerascifar.__main__ import main
from kerascifar.common.errors import UserError
from kerascifar.findings import compare
from kerascifar.runs import records


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Rows A and B, seeds 0 and 1: of 400 images B has 20 more right than A with seed 0, and 40 with seed 1."""
    folder = tmp_path_factory.mktemp("runs")
    for name, right in (("A", (200, 200)), ("B", (220, 240))):
        for seed, count in enumerate(right):
            predicted = np.where(np.arange(400) < count, 3, 4).astype("uint8")
            made = {"test_label": np.full(400, 3, "uint8"), "test_predicted": predicted}
            shares = factories.results(count / 400)
            factories.run(folder / f"{name}{seed}", row={"name": name}, seed=seed, results=shares, predictions=made)
    return folder


def test_a_row_named_with_its_experiment_is_a_row(runs):
    """Fails if all of its seeds are labelled as the first one."""
    assert list(compare.find(["experiment1/A", "B-seed1"], runs)) == ["experiment1/A", "B seed 1"]


def test_a_row_is_compared_with_the_first_by_seed(runs):
    table = compare.table(compare.find(["A", "B"], runs))
    first, second = table.to_dict("records")
    assert (first["run"], first["n"], first["Test_acc"]) == ("A", 2, 50.0) and np.isnan(first["difference"])
    assert (
        second["Test_acc"] == pytest.approx(57.5)
        and second["difference"] == pytest.approx(7.5)
        and second["pairs"] == 2
    )
    assert second["low"] < 7.5 < second["high"]


def test_rows_without_a_common_seed_have_no_difference(runs):
    """Fails if a column is missing then: README could not be written while the seeds of a row are being replaced."""
    seeds = {seed: records.read(runs / f"{name}{seed}") for name, seed in (("A", 0), ("B", 1))}
    groups = {"A": [seeds[0]] * 2, "B": [seeds[1]]}
    table = compare.table(groups)
    assert np.isnan(table["difference"]).all() and np.isnan(table["high"]).all()
    (told,) = compare.unpaired(groups, table)
    assert told.startswith("No difference is shown for B: its seeds (1) are not among those of A (0, 0).")
    both = compare.find(["A", "B"], runs)
    assert compare.unpaired(both, compare.table(both)) == []
    alone = compare.find(["A"], runs)
    assert compare.unpaired(alone, compare.table(alone)) == ["Name another row or run to see how it differs from A."]


def test_a_folder_names_one_run_and_two_seeds_make_a_pair(runs):
    found = compare.find([str(runs / "A0"), str(runs / "B1")], runs)
    assert list(found) == ["A seed 0", "B seed 1"]
    assert compare.table(found).iloc[1]["difference"] == pytest.approx(10)
    assert len(compare.find([str(runs / "A0"), str(runs / "A0")], runs)) == 1


def test_a_name_that_means_no_run_is_reported(runs, tmp_path):
    told = '"AA" is neither the folder of a finished run nor a row in .*\n.*Did you mean "A"'
    with pytest.raises(UserError, match=told):
        compare.find(["A", "AA"], runs)
    other = factories.run(tmp_path / "other", dataset=factories.SHAPES)
    with pytest.raises(UserError, match="tested on different images"):
        compare.find(["A", str(other.folder)], runs)


def test_the_command_writes_a_table_and_a_figure(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "B", "A", "--runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ B +model1: .* 57\.50 ± 3\.54 \(2\) +$", printed, re.M), printed
    assert re.search(r"^ A +nothing +50\.00 ± 0\.00 \(2\) +-7\.50 ± [\d.]+ $", printed, re.M), printed
    assert "Runs used: B, A (yours)." in printed
    assert main(["compare", str(runs / "A0"), str(runs / "B1"), "--runs", str(runs)]) == 0
    assert re.search(r"^ B seed 1 +nothing .* [+]10\.00 \(1 pair\) $", capsys.readouterr().out, re.M)
    assert (runs / "report" / "compare.csv").is_file() and (runs / "report" / "compare.png").is_file()


def test_a_name_given_twice_is_one_group(runs):
    assert list(compare.find(["A", "B", "A"], runs)) == ["A", "B"]


def test_a_shortened_trial_is_not_compared(tmp_path):
    for name, shortened in (("A", False), ("B", True)):
        factories.run(tmp_path / name, row={"name": name}, shortened=shortened)
    groups = compare.find(["A", "B"], tmp_path)
    compared = compare.table(groups)
    assert compared["pairs"].isna().all()
    (told,) = compare.unpaired(groups, compared)
    assert told == "No difference is shown for B: B is a shortened trial. Train it to the end."
    (told,) = compare.unpaired(groups, compared.assign(shortened=True))
    assert told == "No difference is shown for B: B and A are shortened trials. Train them to the end."
