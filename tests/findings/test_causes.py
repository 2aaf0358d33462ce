"""What stands behind the verdicts is read from the histories."""

import factories
import numpy as np
import pytest

from kerascifar.findings import causes
from kerascifar.runs import original


def run(name, losses, accuracies, kept, **changes):
    history = {"loss": losses, "accuracy": accuracies, "val_loss": losses, "val_accuracy": accuracies}
    results = {
        s: {"loss": 1.0, "accuracy": a} for s, a in (("train", 0.8), ("validation", max(accuracies)), ("test", 0.7))
    }
    row = {"name": name, "model": "model2" if name.startswith("Model") else "model1"} | changes.pop("row", {})
    return factories.record(
        history=history, row=row, results=results, epochs_trained=len(losses), epoch_kept=kept, **changes
    )


def test_a_row_is_compared_at_the_epoch_where_model2_of_the_original_stopped(monkeypatch):
    """M6 would have kept epoch 2 of the three, not its own best one."""
    assert int(original.rows()[causes.LIKE]["epochs"]) == causes.STOP
    monkeypatch.setattr(causes, "STOP", 3)
    two = run("Model2", [2.0, 1.5, 1.6], [0.3, 0.5, 0.45], 2, experiment="experiment2")
    six = run("M6", [2.0, 1.6, 1.8, 1.2, 1.0], [0.3, 0.4, 0.35, 0.6, 0.7], 5)
    other = run("M6", [2.0, 1.0, 0.9], [0.3, 0.4, 0.9], 3, seed=1)
    found = causes.table([six, other, two])
    table = found.set_index("row")
    line = table.loc["M6"]
    assert (line["stopped early"], line["kept"]) == pytest.approx((65, 80))  # means of 40 and 90, 70 and 90
    assert table.loc["Model2", "stopped early"] == pytest.approx(50)
    assert line["gap"] == pytest.approx(0) and table.loc["Model2", "gap"] == pytest.approx(30)
    assert table.loc["Model2", "parameters"] == 42_506  # the original's figure
    told = causes.summary([], found)
    assert "Model2 was trained for 3 epochs here (n = 1) and for 3 in the original." in told
    assert "would have been 50.00 % instead of 50.00 %, and M6's 65.00 % instead of 80.00 %." in told
    assert "M6 has 163,690 trainable parameters, the models with more convolutions 42,506 to 42,506." in told
    assert "momentum" not in told and causes.summary([], causes.table([six])) == ""


def test_a_run_that_watches_accuracy_is_stopped_by_it():
    six = run("M6", [1.0, 1.6, 1.8], [0.3, 0.4, 0.35], 2, row={"monitor": "val_accuracy"})
    assert causes.table([six]).set_index("row").loc["M6", "stopped early"] == pytest.approx(40)


def test_the_first_five_epochs_are_no_rise_and_the_last_ten_are_the_last_fall():
    losses = [5.0, 7.0, *np.linspace(2, 1, 11), 1.25]
    line = causes.table([run("M6", losses, [0.5] * 14, 13)]).iloc[0]
    assert line["last fall"] == pytest.approx(1.0) and line["worst rise"] == pytest.approx(0.25)


def test_a_model_that_is_gone_is_left_out():
    gone = run("Mine", [1.0, 0.9], [0.1, 0.2], 2, row={"model": "mine"})
    assert causes.table([gone]).empty


def test_candidates_are_left_out():
    assert causes.table([run("W1", [1.0, 0.9], [0.1, 0.2], 2, experiment="choices")]).empty


def test_a_users_row_of_the_same_name_is_left_out():
    mine = run("M6", [2.0], [0.1], 1, experiment="mine")
    assert causes.table([run("M6", [1.0], [0.7], 1), mine])["kept"].tolist() == pytest.approx([70])
