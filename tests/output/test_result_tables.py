"""Reported, published and own figures side by side."""

import math

import factories
import pandas as pd
import pytest

from kerascifar.output import result_tables, tables


def results(train, validation, test):
    return {
        "train": {"loss": 0.9, "accuracy": train},
        "validation": {"loss": 0.95, "accuracy": validation},
        "test": {"loss": 1.0, "accuracy": test},
    }


@pytest.fixture
def runs(tmp_path):
    m1 = factories.run(tmp_path / "m1", results=results(0.80, 0.70, 0.69), epochs_trained=70)
    seed1 = factories.run(tmp_path / "m1s1", seed=1, results=results(0.80, 0.72, 0.71), epochs_trained=74)
    row = {"name": "M2", "learning_rate": 0.003}
    m2 = factories.run(tmp_path / "m2", row=row, results=results(0.7, 0.69, 0.75))
    return m1, seed1, m2


def test_means_deviations_and_differences(runs):
    """By hand: 69 and 71 % have mean 70 and standard deviation √2; the original says 67.97 for M1."""
    table = result_tables.results(runs, [runs[0]]).set_index(["row", "source"])
    yours = table.loc["M1", "yours"]
    assert (yours["n"], yours["use epoch"]) == (2, 72)
    assert yours["Test_acc"] == pytest.approx(70) and yours["Test_acc sd"] == pytest.approx(math.sqrt(2))
    assert (yours["Test_acc min"], yours["Test_acc max"]) == pytest.approx((69, 71))
    assert (yours["seconds"], yours["device"]) == (3.0, "CPU, 2 cores")
    assert table.loc["M1", "reported"]["Test_acc"] == 67.97
    assert table.loc["M1", "published"]["Test_acc"] == pytest.approx(69)
    assert table.loc["M1", "yours - reported"]["Test_acc"] == pytest.approx(2.03)
    assert table.loc["M2", "reported"]["Test_acc"] == 68.12


def test_the_best_row_is_marked_by_validation_not_by_test(runs):
    """M2 has the better test accuracy, M1 the better validation accuracy."""
    table = result_tables.results(runs, [])
    assert table[(table["source"] == "yours") & (table["best"] != "")]["row"].tolist() == ["M1"]
    assert table[(table["source"] == "reported") & (table["best"] != "")]["row"].tolist() == ["M1"]


def test_the_readable_table_has_the_columns_of_the_original_in_its_order(runs):
    text = result_tables.readable(result_tables.results(runs, []))
    assert list(text.columns) == ["row", *result_tables.SETTINGS, "source", "n", *result_tables.FIGURES, ""]
    assert text.iloc[1].tolist()[6:14] == ["yours", "2", "72 ± 3", "0.900 ± 0.000", "80.00 ± 0.00"] + [
        "0.950 ± 0.000",
        "71.00 ± 1.41",
        "70.00 ± 1.41",
    ]


def test_other_settings_are_not_compared(tmp_path):
    """Fails if a row that a user changed stands beside the original's row of that name, or beside the published one."""
    published = [factories.run(tmp_path / "p")]
    mine = [factories.run(tmp_path / "m", row={"learning_rate": 0.02})]
    assert result_tables.results(mine, published)["source"].tolist() == ["yours"]
    assert any("because their settings differ: M1." in note for note in result_tables.notes(mine, published))
    wider = [factories.run(tmp_path / "w", row={"model_options": {"filters": [1, 2, 3]}})]
    assert result_tables.results(wider, published)["source"].tolist() == ["reported", "yours", "yours - reported"]
    short = [factories.run(tmp_path / "s", row={"epochs": 1}, shortened=True)]
    assert result_tables.results(short, published)["source"].tolist() == ["reported", "published", "yours"]
    assert not any("Not compared" in note for note in result_tables.notes(short, published))


def test_synthetic_runs_are_not_compared_with_the_report(tmp_path):
    other = {"name": "synthetic shapes", "class_names": ["x"] * 10, "train": "0", "test": "0"}
    run = factories.run(tmp_path / "a", dataset=other)
    assert result_tables.results([run], [factories.run(tmp_path / "p")])["source"].tolist() == ["yours"]
    assert result_tables.notes([run], [])[0].startswith("SYNTHETIC DATA")


def test_saved_tables_have_the_same_figures(runs, tmp_path):

    table = result_tables.results(runs, [])
    tables.save(table, tmp_path / "t", "Experiment 1", ["A note."], shown=result_tables.readable(table, whole=True))
    assert pd.read_csv(tmp_path / "t.csv")["Test_acc"].tolist() == pytest.approx(table["Test_acc"].tolist())
    assert "| 70.00 ± 1.41 |" in (tmp_path / "t.md").read_text(encoding="utf-8")


def test_the_narrow_table_has_the_row_what_differs_and_the_difference(runs):
    """By hand, as above. The second row is named by its one change, the first by its settings."""
    first, second = result_tables.narrow(runs, []).to_dict("records")
    assert first["what differs"].endswith("Adam, lr 0.001, batch 256, not augmented")
    assert (second["row"], second["what differs"]) == ("M2", "lr 0.003")
    assert list(first.values())[2:] == ["67.97", "70.00 ± 1.41 (2)", "+2.03"]
    assert list(second.values())[2:] == ["68.12", "75.00 (1)", "+6.88"]
