"""Each step is compared with the previous one, and Experiment 3's cost with Model4's."""

import dataclasses

import factories
import pytest

from kerascifar.findings import ablation, cost

FIRST, *STEPS = factories.STEPS
ALL = factories.steps()


def test_each_step_is_compared_with_the_one_before():
    table = ablation.table(ALL)
    assert table[["row", "like", "changed", "n"]].to_numpy().tolist() == [
        ["Step1_batch", "Model4", "batch 128", 3],
        ["Step2_rate", "Step1_batch", "lr 0.01", 3],
        ["Best", "Step2_rate", "augmented", 3],
    ]
    # In the better row, the swapped images are less often correct, so the gain is slightly smaller.
    assert table["test_accuracy"].tolist() == pytest.approx([5, 0, 5], abs=0.3)
    assert table["test_accuracy clear"].tolist() == ["yes", "no", "yes"]
    assert table["Test_acc"].tolist() == pytest.approx([73.9, 73.9, 78.733], abs=0.01)  # 40 images swapped per seed
    text = ablation.summary(ALL, table)
    assert text.startswith("Clear effects on test accuracy, in points: ") and "lr 0.01" not in text
    assert text.endswith(" Steps without a clear effect: 1 of 3.")
    one_seed = [r for r in ALL if r.name != "Best" or r.seed == 0]
    assert ablation.summary(one_seed, ablation.table(one_seed)).endswith(
        ": 1 of 3. Steps with a single pair of runs: 1."
    )


def test_steps_are_in_the_order_of_their_numbers():
    """Fails if Step10 comes before Step2, or a step is compared with any step but the previous one."""
    renamed = {"Step1_batch": "Step2_a", "Step2_rate": "Step10_a"}
    runs = [
        dataclasses.replace(r, row=dataclasses.replace(r.row, name=renamed.get(r.name, r.name)))
        for r in sorted(ALL, key=lambda r: renamed.get(r.name, r.name))
    ]
    assert ablation.table(runs)["like"].tolist() == ["Model4", "Step2_a", "Step10_a"]


def test_a_step_that_has_not_been_trained_is_skipped():
    without = [r for r in ALL if r.name != "Step2_rate"]
    assert ablation.table(without)["changed"].tolist() == ["batch 128", "lr 0.01, augmented"]
    other_seeds = [r if r.name != "Best" else dataclasses.replace(r, seed=r.seed + 7) for r in ALL]
    assert ablation.table(other_seeds)["row"].tolist() == ["Step1_batch", "Step2_rate"]
    assert ablation.table([r for r in ALL if r.experiment != "ablation"]).empty


def test_cost_stands_beside_model4():
    table = cost.table(ALL)
    assert table[["row", "parameters", "multiply-adds", "minutes", "n"]].to_numpy().tolist() == [
        ["Model4", 42_314, 31_349_376, 3, 3],
        ["Best", 42_314, 31_349_376, 3, 3],
    ]
    assert table["Test_acc"].diff().iloc[1] == pytest.approx(9.633, abs=0.001)
    assert cost.summary(ALL, table) == (
        "With 42,314 parameters, Best reaches 78.73 ± 0.35 % test accuracy (n = 3), 9.6 ± 1.3 points more than "
        "Model4 in our runs."
    )


def test_without_experiment_3_there_is_no_cost_to_show():
    assert cost.table(factories.step(FIRST, 0.7)).empty
    assert cost.table(factories.step(STEPS[2], 0.8, shortened=True)).empty
    alone = factories.step(STEPS[2], 0.8, seeds=(0,))
    assert cost.summary(alone, cost.table(alone)) == (
        f"With 42,314 parameters, Best reaches {100 * alone[0].results['test']['accuracy']:.2f} % test "
        "accuracy (n = 1)."
    )
