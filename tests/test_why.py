"""What stands behind the verdicts is read from the histories."""

import making
import numpy as np
import pytest

from kerascifar import why


def run(name, losses, accuracies, kept, **changes):
    history = {"loss": losses, "accuracy": accuracies, "val_loss": losses, "val_accuracy": accuracies}
    results = {
        s: {"loss": 1.0, "accuracy": a} for s, a in (("train", 0.8), ("validation", max(accuracies)), ("test", 0.7))
    }
    row = {"name": name, "model": "model2" if name.startswith("Model") else "model1"}
    return making.record(
        history=history, row=row, results=results, epochs_trained=len(losses), epoch_kept=kept, **changes
    )


def test_a_row_is_compared_at_the_epoch_where_model2_stopped():
    """M6 would have kept epoch 2 of the three that Model2 trained, not its own best one."""
    two = run("Model2", [2.0, 1.5, 1.6], [0.3, 0.5, 0.45], 2, experiment="experiment2")
    six = run("M6", [2.0, 1.6, 1.8, 1.2, 1.0], [0.3, 0.4, 0.35, 0.6, 0.7], 5)
    table = why.table([six, two]).set_index("row")
    assert table.loc["M6", "at Model2's stop"] == pytest.approx(40) and table.loc["M6", "kept"] == pytest.approx(70)
    assert table.loc["Model2", "at Model2's stop"] == pytest.approx(50)
    assert table.loc["M6", "worst rise"] == pytest.approx(0.2)
    assert table.loc["M6", "variation"] == pytest.approx(np.std([-0.4, 0.2, -0.6, -0.2]))
    assert table.loc["M6", "still falling"] == pytest.approx(1.0) and table.loc["M6", "gap"] == pytest.approx(10)
    assert table.loc["Model2", "parameters"] == 42_506  # the report's figure
    assert np.isnan(why.table([six]).iloc[0]["at Model2's stop"])


def test_only_the_last_ten_epochs_count_as_still_falling():
    losses = [5.0, *np.linspace(2, 1, 11)]
    table = why.table([run("M6", losses, [0.5] * 12, 12)])
    assert table.iloc[0]["still falling"] == pytest.approx(1.0)


def test_candidates_are_left_out():
    assert why.table([run("W1", [1.0, 0.9], [0.1, 0.2], 2, experiment="choices")]).empty
