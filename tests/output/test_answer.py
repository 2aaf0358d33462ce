"""README's answer says what the records say."""

import dataclasses

import factories
import numpy as np
from factories import HISTORY, record

from kerascifar.common.paths import EXPERIMENTS
from kerascifar.findings import analyses, faithfulness
from kerascifar.findings.claims import Claim
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
        results = factories.results(share)
        if training:
            results["train"] = {"loss": 1.0, "accuracy": training[seed]}
        made = record(seed=seed, experiment=experiment, results=results, predictions=predictions, history=HISTORY)
        runs.append(dataclasses.replace(made, row=row))
    return runs


def bullets(*runs):
    return [line.removeprefix("- ") for line in answer.findings(analyses.Findings(runs)).splitlines()]


def test_nothing_published_is_no_answer():
    assert answer.findings(analyses.Findings([])) == ""


def test_a_row_agrees_if_the_originals_figure_could_be_one_more_run():
    """The original: M1 67.97 (training accuracy 78.55), M5 70.74.

    By hand: three runs with 67, 68 and 69 % have sd 1, so one more lies within 4.303 · 1 · √(4/3) = 4.97 points of
    their mean, 68: 67.97 agrees. 80, 81 and 82 % have the mean 81, and 70.74 is further away.
    """
    m1, m5 = of_row("M1", (0.67, 0.68, 0.69), (0.78, 0.79, 0.80)), of_row("M5", (0.80, 0.81, 0.82))
    first = bullets(*m1, *m5)[0]
    assert first.startswith(
        "**In 1 of the 2 rows, the original's test accuracy fits ours:** it lies in the 95 % prediction "
        "interval for one more run (± 5.0 points). Different: M5 (+10.3 points). Of the original's 4 other "
        "figures (training accuracies and numbers of epochs), 3 do not fit; chance alone would explain about 0."
    )
    assert bullets(*m1, *m5[:1])[0].startswith("**In the only row judged so far") and bullets(*m1, *m5[:1])[0].endswith(
        " Not judged yet: M5."
    )
    assert bullets(*m1[:1])[0] == "**There are too few runs to compare M1 with the original.**"


def test_the_best_model_is_the_one_with_the_highest_validation_accuracy():
    m1, m5 = of_row("M1", (0.67, 0.68, 0.69)), of_row("M5", (0.80, 0.81, 0.82))
    end = " After ±: the standard deviation over n runs."
    highest = " has the highest validation accuracy; in the original, Model4 (test accuracy 79.29 %)."
    ours, theirs = "M5 (test accuracy 81.00 ± 1.00 %, n = 3)", "M1 (test accuracy 68.00 ± 1.00 %, n = 3)"
    open_still = "**Which model is best is still open.**"
    assert bullets(*m1, *m5)[1] == f"{open_still} {ours}{highest} Clearly different: {theirs}.{end}"  # without Model4
    model4 = of_row("Model4", (0.80, 0.81, 0.83), experiment="experiment2")
    best = "Model4 (test accuracy 81.33 ± 1.53 %, n = 3)"
    highest_too = " has the highest validation accuracy, as in the original (test accuracy 79.29 %)."
    alike = f" It cannot be told apart from {ours}."
    assert bullets(*m5, *model4)[1] == f"**No model is clearly the best.** {best}{highest_too}{alike}{end}"
    alone = f"**Model4 is the best model, as in the original.** {best}{highest_too} Clearly different: {theirs}.{end}"
    assert bullets(*m1, *model4)[1] == alone
    model4 = of_row("Model4", (0.60, 0.61, 0.62), experiment="experiment2")
    assert bullets(*m5, *model4)[1].startswith("**The best model here is M5, not the original's Model4.**")
    model4 = of_row("Model4", (0.60,), experiment="experiment2")
    assert bullets(*m1, *m5, *model4)[1] == (
        f"{open_still} {ours}{highest} There are too few runs with the same seeds to tell it apart from Model4 "
        f"(test accuracy 60.00 %, n = 1). Clearly different: {theirs}.{end}"
    )


def test_results_of_the_first_study_are_named():
    """Fails if the best model of earlier settings stands in README like one of the present plan."""
    (run,) = of_row("Model4", (0.7,), experiment="experiment2")
    assert "first study" not in bullets(run)[1]
    earlier = dataclasses.replace(run, row=dataclasses.replace(run.row, model_options={}))
    assert "Model4 (test accuracy 70.00 %, n = 1, first study)" in bullets(earlier)[1]


def test_the_number_of_changes_as_in_the_original_stands_in_bold():
    m1, m5 = of_row("M1", (0.67, 0.68, 0.69)), of_row("M5", (0.80, 0.81, 0.82))
    assert bullets(*m1, *m5)[2].startswith(
        "**1 of 1 changes clearly move test accuracy in the same direction as in the original.** For 0 of 1"
    )


def test_one_measured_run_leaves_the_question_of_the_maps_open(tmp_path):
    """ROAD of the maps is 0.1 above the spot's in every image; the other measures are as the spot's."""
    made = []
    for run in of_row("M6", (0.7, 0.71)):
        spot = np.random.default_rng(run.seed).random(400)
        values = {f"{kind}/{name}": spot for kind in ("gradcam", "centred") for name in faithfulness.FAITHFUL}
        values["gradcam/road"] = spot + 0.1
        made.append(factories.measured(tmp_path, run, values))

    def answered(runs):
        (bullet,) = (line for line in bullets(*runs) if "spot in the middle" in line)
        return bullet

    assert "**For M6, yes: better on 1, worse on 0 (2 runs).**" in answered(made)
    assert "**For M6, still open: better on 1, worse on 0 (1 run).**" in answered(made[:1])


def test_a_claim_comes_with_the_first_sentence_of_its_note():
    assert (
        answer._reserved(Claim("C1", "a is better", (), note="At a rate of 0.1. Rest."))
        == "a is better (C1: at a rate of 0.1)"
    )
    assert answer._reserved(Claim("C1", "a is better", (), note="M6's is.")) == "a is better (C1: M6's is)"
    assert answer._reserved(Claim("C1", "a is better", (), note="")) == "a is better (C1)"


def test_the_effort_counts_each_run_once():
    m1, added = of_row("M1", (0.67, 0.68)), of_row("M1_slower", (0.6,))
    (candidate,) = [dataclasses.replace(run, experiment="choices") for run in of_row("M2", (0.6,))]
    hours = [dataclasses.replace(run, seconds=[3600.0]) for run in (*m1, *added, candidate)]
    assert bullets(*hours)[-1] == (
        "*The original trained each of its thirteen rows once. Here, training took 4 hours, added over runs: 2 runs of "
        "these rows, 1 of rows that we added and 1 to choose settings that the original leaves open.*"
    )
