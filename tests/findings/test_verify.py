"""A published run trained again: the same to the bit, as near as one more seed, or neither."""

import factories

from kerascifar.findings import verify


def results(validation, test):
    return {
        split: {"loss": 1.0, "accuracy": share}
        for split, share in (("train", 0.8), ("validation", validation), ("test", test))
    }


HISTORY = {name: [1.0, 0.5] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}


def run(validation=0.7, test=0.7, last=0.5, **changes):
    history = {**HISTORY, "loss": [1.0, last]}
    return factories.record(history=history, results=results(validation, test), **changes)


def test_the_same_figures_and_history_are_bit_identical():
    same, lines = verify.compare(run(), run(), [run()])
    assert same and lines == ["M1 seed 0: bit-identical (2 epochs, all losses and accuracies)."]


def test_a_loss_that_is_not_a_number_is_bit_identical_to_itself():
    made = [run(last=float(nan)) for nan in ("nan", "nan")]
    assert verify.compare(made[0], made[1], made[:1])[0]


def test_another_last_bit_is_not_identical_but_within_the_spread():
    """Fails if only the accuracies are compared."""
    spread = [run(), run(0.72, 0.71, seed=1), run(0.71, 0.71, seed=2)]
    reproduced, lines = verify.compare(run(), run(0.71, 0.70, last=0.5000000001), spread)
    assert reproduced and lines[0] == "M1 seed 0: not bit-identical."


def test_two_published_seeds_do_not_judge_a_third():
    """Fails if they are the limits: of three equal runs, the third lies between the others in a third of all cases."""
    reproduced, lines = verify.compare(run(), run(0.9, last=0.4), [run(), run(0.72, 0.71, seed=1)])
    assert not reproduced and "  validation accuracy 0.9000; published: 0.7000, 0.7200" in lines
    assert lines[-1] == "Not judged: that takes at least 3 published runs of the row; it has 2."


def test_a_run_may_be_a_little_outside_the_range_of_three_seeds():
    """By hand: 70, 71 and 72 % have sd 1, so one more lies in 71 ± 8.860 · 1 · √(4/3) = 71 ± 10.23.

    8.860 is Student's t with two degrees of freedom for 98.75 %: four figures share the 5 %.

    Fails if the lowest and highest seed are the limits: of four equal runs, one is the lowest or highest in half of all
    cases.
    """
    spread = [run(0.70, 0.70), run(0.71, 0.71, seed=1), run(0.72, 0.72, seed=2)]
    reproduced, lines = verify.compare(spread[0], run(0.74, 0.67, last=0.4), spread)
    assert reproduced and "  test accuracy 0.6700: within 0.6077 … 0.8123" in lines
    likely = "One more seed would lie within all 4 in at least 95 % of cases."
    assert lines[-1] == f"Reproduced: all figures lie within their intervals. {likely}"
    reproduced, lines = verify.compare(spread[0], run(0.82, 0.67, last=0.4), spread)
    assert not reproduced
    assert lines[-1] == f"Not reproduced: not all figures lie within their intervals. {likely}"


def test_a_published_loss_that_is_not_a_number_reproduces_nothing():
    """Fails if the figure is left out: the others alone would say that any loss is reproduced."""
    spread = [run(), run(seed=1), run(seed=2)]
    spread[1].results["test"]["loss"] = float("nan")
    assert verify.compare(spread[0], run(last=0.4), spread)[0] is False


def test_outside_the_spread_is_not_reproduced_and_what_differs_is_named():
    theirs = run(environment={"commit": "a", "processor": "x"})
    here = {"commit": "b", "processor": "x", "instructions": "AVX2"}
    spread = [theirs, run(seed=1), run(seed=2)]
    reproduced, lines = verify.compare(theirs, run(0.6, environment=here, basis="z"), spread)
    assert reproduced is False
    assert "  instructions: published not recorded; here AVX2" in lines
    assert "  commit: published a; here b" in lines and not any("processor" in line for line in lines)
    assert "  the images or the model's layers differ" in lines
    assert "  validation accuracy 0.6000: outside 0.7000 … 0.7000" in lines


def test_each_version_and_variable_that_differs_is_named():
    """Fails if a table is compared as a whole, or only the keys that one side has."""
    theirs = run(environment={"versions": {"keras": "3.14", "numpy": "2.4"}, "variables": {"OMP_NUM_THREADS": "1"}})
    here = {"versions": {"keras": "3.15", "numpy": "2.4", "opencv-python-headless": "5.0"}, "variables": {}}
    _, lines = verify.compare(theirs, run(last=0.4, environment=here), [theirs])
    assert lines[1:4] == [
        "  variables OMP_NUM_THREADS: published 1; here not recorded",
        "  versions keras: published 3.14; here 3.15",
        "  versions opencv-python-headless: published not recorded; here 5.0",
    ]
