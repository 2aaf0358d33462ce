"""The appendix says what the runs were computed with, and how to repeat them."""

from pathlib import Path

import factories

from kerascifar.output import appendix
from kerascifar.training import rows


def test_only_rows_with_their_files_settings_have_a_command():
    """Fails if the page offers a command that trains another row than the published one of this name."""
    planned = rows.read(rows.find(Path("experiment1"))).rows[0]
    found = dict(appendix.commands([factories.record(row=vars(planned)), factories.record(row={"name": "M6"})]))
    assert found["M1"] == "python -m kerascifar run experiment1 --rows M1 --seeds 0"
    assert "M6" not in found


def test_the_environment_names_the_precision_and_each_value_once():
    runs = [factories.record(seed=s, row={"precision": p}) for s, p in enumerate(("float32", "mixed_bfloat16") * 2)]
    found = dict(appendix.environment(runs))
    assert (found["precision"], found["device"]) == ("float32; mixed_bfloat16", "CPU, 2 cores")
