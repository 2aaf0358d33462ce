"""Each sensitivity row changes one assumption of the row that its name begins with."""

import pytest
from making import ROOT

from kerascifar import config

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


def rows(name):
    return {row.name: row for row in config.read(ROOT / "experiments" / f"{name}.toml").rows}


@pytest.mark.parametrize("name", CHANGED)
def test_a_row_changes_one_assumption_alone(name):
    """Fails if a sensitivity row drifts from its row of the report, or if the report's rows change without it."""
    mine = rows("sensitivity")
    assert set(mine) == set(CHANGED)
    base = (rows("experiment1") | rows("experiment2"))[name.partition("_")[0]]
    changed = {key for key, value in vars(mine[name]).items() if value != getattr(base, key)} - {"name"}
    assert changed == CHANGED[name]
    if "pytorch" in name:
        options = {key: value for key, value in mine[name].model_options.items() if key != "initialization"}
        assert options == dict(base.model_options)
