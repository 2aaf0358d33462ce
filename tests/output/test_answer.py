"""README's answer says what the records say."""

import dataclasses

import numpy as np
from factories import record

from kerascifar.common.paths import EXPERIMENTS
from kerascifar.output import answer
from kerascifar.training.rows import read as read_experiment


def of_row(name, shares, training=(), experiment="experiment1"):
    """Runs of a row with its present settings, one per seed, with these shares of 2,000 test images right."""
    row = next(row for row in read_experiment(EXPERIMENTS / f"{experiment}.toml").rows if row.name == name)
    runs = []
    for seed, share in enumerate(shares):
        predictions = {
            "test_label": np.zeros(2000, "uint8"),
            "test_predicted": (np.arange(2000) >= share * 2000).astype("uint8"),
        }
        results = {split: {"loss": 1.0, "accuracy": share} for split in ("train", "validation", "test")}
        if training:
            results["train"] = {"loss": 1.0, "accuracy": training[seed]}
        made = record(seed=seed, experiment=experiment, results=results, predictions=predictions)
        runs.append(dataclasses.replace(made, row=row))
    return runs


def bullets(*runs):
    return [line.removeprefix("- ") for line in answer.findings(runs).splitlines()]


def test_nothing_published_is_no_answer():
    assert answer.findings([]) == ""


def test_a_row_agrees_if_the_originals_figure_could_be_one_more_run():
    """The original: M1 67.97 (training accuracy 78.55), M5 70.74.

    By hand: three runs with 67, 68 and 69 % have sd 1, so one more lies within 4.303 · 1 · √(4/3) = 4.97 points of
    their mean, 68: 67.97 agrees. 80, 81 and 82 % have the mean 81, and 70.74 is further away.
    """
    m1, m5 = of_row("M1", (0.67, 0.68, 0.69), (0.78, 0.79, 0.80)), of_row("M5", (0.80, 0.81, 0.82))
    first = bullets(*m1, *m5)[0]
    assert first.startswith(
        "**In 1 of 2 rows, the original's test accuracy could be that of one more run here:** it lies in the 95 % "
        "prediction interval (± 5.0 to 5.0 points, by row). Different: M5 (+10.3 points). The same holds for its "
        "training accuracy in 1 of these and its number of epochs in 0."
    )
    assert bullets(*m1, *m5[:1])[0].endswith(" Too few runs: M5.")
    assert bullets(*m1[:1])[0] == "**There are too few runs to compare M1 with the original.**"


def test_the_best_model_is_the_one_with_the_highest_validation_accuracy():
    m1, m5 = of_row("M1", (0.67, 0.68, 0.69)), of_row("M5", (0.80, 0.81, 0.82))
    best = bullets(*m1, *m5)[1]
    assert best == (
        "**The best model here is M5, not the original's Model4:** it has the highest validation accuracy, and a test "
        "accuracy of 81.00 ± 1.00 % (n = 3)."
    )
    once = bullets(*m1[:1], *m5[:1])[1]
    assert once.endswith("of 80.00 % (n = 1). It cannot be told apart from M1, with 67.00 % (n = 1).")
    three = bullets(*m1[:1], *m5[:1], *of_row("Model4", (0.6,), experiment="experiment2"))[1]
    assert three.endswith("apart from M1, with 67.00 % (n = 1) and Model4, with 60.00 % (n = 1).")
    apart = bullets(*m5, *of_row("Model4", (0.60, 0.61, 0.62), experiment="experiment2"))[1]
    assert apart.endswith(" Model4's is clearly different: 61.00 ± 1.00 % (n = 3); 79.29 % in the original.")
    same = bullets(*of_row("M1", (0.6,)), *of_row("Model4", (0.7,), experiment="experiment2"))[1]
    assert same.startswith(
        "**Model4 is the best model, as in the original:** it has the highest validation accuracy, and a test accuracy "
        "of 70.00 % (n = 1); 79.29 % in the original. It cannot be told apart from M1, with 60.00 % (n = 1)."
    )


def test_results_of_the_first_study_are_named():
    """Fails if the best model of earlier settings stands in README like one of the present plan."""
    (run,) = of_row("Model4", (0.7,), experiment="experiment2")
    assert "first study" not in bullets(run)[1]
    earlier = dataclasses.replace(run, row=dataclasses.replace(run.row, model_options={}))
    assert bullets(earlier)[1].endswith(" These runs are from the first study.")


def test_the_number_of_changes_as_in_the_original_stands_in_bold():
    m1, m5 = of_row("M1", (0.67, 0.68, 0.69)), of_row("M5", (0.80, 0.81, 0.82))
    assert bullets(*m1, *m5)[2].startswith(
        "**1 of 1 changes clearly move test accuracy in the same direction as in the original.** In points ± half of "
    )
