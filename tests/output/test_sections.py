"""The sections' charts and conclusions hold the records' numbers."""

import factories

from kerascifar.findings import analyses
from kerascifar.output import sections
from kerascifar.runs import grouping


def test_what_next_has_a_dot_for_each_network_and_each_step():
    found = analyses.Findings(factories.steps())
    drawn = sections.Charts()
    shown = sections.what_next(found, drawn)
    assert list(drawn) == ["cost-minutes", "cost-parameters", "ablation-steps"]
    assert [value["row"] for value in drawn["cost-minutes"]["data"]["values"]] == ["Model4", "Best"]
    steps = drawn["ablation-steps"]["data"]["values"]
    assert [value["label"] for value in steps] == ["Step1_batch\tbatch 128", "Step2_rate\tlr 0.01", "Best\taugmented"]
    assert shown["conclusion"].startswith("With 42,314 parameters, Best reaches 78.73")
    assert sections.what_next(analyses.Findings([]), drawn) is None


def test_rows_of_two_experiments_with_one_name_stay_apart():
    """Fails if the curves of a program's row replace those of the original's row with the same name."""
    runs = [
        factories.record(experiment=name, row={"name": "M6"}, epochs_trained=n)
        for name, n in (("own", 9), ("experiment1", 5))
    ]
    assert list(grouping.by_name(runs)) == ["own/M6", "experiment1/M6"]
    assert sections.lengths(runs).startswith("own/M6 trains longest, for 9 epochs")
    once = [factories.record(row={"name": name}, epochs_trained=1) for name in ("M1", "M6")]
    assert sections.lengths(once) == "M1 and M6 train for 1 epoch."
