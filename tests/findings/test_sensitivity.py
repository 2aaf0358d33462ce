"""Each sensitivity row changes one assumption of the row that its name begins with."""

import math

import pytest
from factories import ROOT, record

from kerascifar.findings import sensitivity
from kerascifar.training import rows

CHANGED = {
    "M6_rotation10": {"augmentation"},
    "M6_rotation20": {"augmentation"},
    "M6_rotation30": {"augmentation"},
    "M6_val_accuracy": {"monitor"},
    "M6_pytorch": {"model_options", "optimizer_options"},
    "M7_pytorch": {"model_options", "optimizer_options"},
    "Model2_momentum": {"model_options"},
    "Model4_momentum": {"model_options"},
}


def rows_of(name):
    return {row.name: row for row in rows.read(ROOT / "experiments" / f"{name}.toml").rows}


@pytest.mark.parametrize("name", CHANGED)
def test_a_row_changes_one_assumption_alone(name):
    """Fails if a sensitivity row drifts from its row of the report, or if the report's rows change without it."""
    mine = rows_of("sensitivity")
    assert set(mine) == set(CHANGED)
    base = (rows_of("experiment1") | rows_of("experiment2"))[name.partition("_")[0]]
    changed = {key for key, value in vars(mine[name]).items() if value != getattr(base, key)} - {"name"}
    assert changed == CHANGED[name]
    if "pytorch" in name:
        options = {key: value for key, value in mine[name].model_options.items() if key != "initialization"}
        assert options == dict(base.model_options)


def accuracy(value):
    return {split: {"loss": 1.0, "accuracy": value / 100} for split in ("train", "validation", "test")}


def runs(*values, **changes):
    return [record(seed=s, row={"name": "M6"}, results=accuracy(v), **changes) for s, v in enumerate(values)]


def varied(value):
    row = {"name": "M6_rotation10", "augmentation": {"rotation_range": 10.0}}
    return record(experiment="sensitivity", row=row, results=accuracy(value), basis="1" * 64)


@pytest.mark.parametrize("value, outside", [(71 + 4.9, "no"), (71 + 5.0, "yes"), (71 - 5.0, "yes")])
def test_what_moves_more_than_the_seeds_lies_outside_their_prediction_interval(value, outside):
    """Three seeds, 70, 71 and 72 %: t = 4.3027 with two degrees of freedom, so the half-width is 4.97 points."""
    table = sensitivity.table([*runs(70, 71, 72), varied(value)])
    (line,) = table.to_dict("records")
    assert (line["like"], line["n"], line["Valid_acc 95 % ±"]) == ("M6", 3, 4.97)
    assert line["changed"] == "augmentation.rotation_range = 10.0"
    assert line["Valid_acc difference"] == pytest.approx(value - 71) and line["Test_acc mean"] == 71.0
    assert line["Valid_acc outside"] == line["Test_acc outside"] == outside


@pytest.mark.parametrize("values", [(70,), (70, 70)])
def test_one_or_two_seeds_tell_nothing_about_seeds(values):
    (line,) = sensitivity.table([*runs(*values), varied(50)]).to_dict("records")
    assert math.isnan(line["Valid_acc 95 % ±"]) and line["Valid_acc outside"] == "unknown"


def test_nothing_to_compare_with_is_left_out():
    assert len(sensitivity.table([varied(70)])) == 0
