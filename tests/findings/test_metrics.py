"""Rows are compared by a metric in pairs of runs, on the images that count."""

import math

import factories
import numpy as np
import pytest

from kerascifar.findings import metrics
from kerascifar.findings.metrics import OTHERS
from kerascifar.runs import measurements


def runs(row, count=6, **options):
    return [factories.answering(row, seed, **options) for seed in range(count)]


def test_a_difference_has_its_levels_and_an_interval():
    first, second = runs("A", share=0.75), runs("B", share=0.70)
    d = metrics.difference(first, second, "test_accuracy")
    assert d.seeds == tuple(range(6)) and d.estimate.mean == pytest.approx(5, abs=0.3) == np.mean(d.by_seed)
    low, high = d.estimate.interval
    assert 3.5 < low < d.estimate.mean < high < 6.2
    assert d.levels == pytest.approx([100 * np.mean([r.right() for r in side]) for side in (first, second)])


def test_only_seeds_that_both_have_are_paired():
    first = [factories.answering("A", seed) for seed in (0, 1, 2)]
    second = [factories.answering("B", seed) for seed in (2, 1, 5)]
    assert metrics.difference(first, second, "test_accuracy").seeds == (1, 2)
    assert metrics.difference(first[:1], second, "test_accuracy") is None


def test_a_metric_with_one_number_per_run_is_compared_over_seeds():
    first, second = ([factories.answering(n, s, epochs=e + s) for s in range(6)] for n, e in (("A", 60), ("B", 50)))
    d = metrics.difference(first, second, "epochs")
    assert d.by_seed == (10.0,) * 6 and d.estimate.error == 0 and d.levels == (62.5, 52.5)


def test_a_run_without_a_value_makes_the_difference_unknown():
    """Fails if the other seeds decide alone: that a run has no value, as it never gets there, is no accident."""
    first, second = runs("A", 3), runs("B", 3)
    first[1].results["train"]["accuracy"] = math.nan
    d = metrics.difference(first, second, "gap")
    assert d.seeds == (0, 1, 2) and math.isnan(d.estimate.error)
    assert d.flaw == "A has no gap between training and validation accuracy with seed 1"


def test_variation_is_the_fluctuation_without_the_fall():
    fall = [3.0, 2.5, 2.0, 1.5, 1.2, *np.linspace(1.1, 0.8, 15)]
    smooth, rough = (
        factories.record(history={"val_loss": losses}) for losses in (fall, fall + 0.1 * np.tile([1, -1], 10))
    )
    assert metrics.variation(smooth) < 0.005 and metrics.variation(rough) > 0.07
    assert math.isnan(metrics.variation(factories.record(history={"val_loss": fall[:9]})))


def test_epochs_to_65_counts_from_one():
    assert metrics.epochs_to_65(factories.record(history={"val_accuracy": [0.6, 0.65, 0.64]})) == 2
    assert math.isnan(metrics.epochs_to_65(factories.record(history={"val_accuracy": [0.6, 0.649]})))


def test_the_originals_own_difference():
    assert metrics.reported("M5", "M1", "epochs") == 65 - 70
    assert metrics.reported("Model2", "M6", "gap") == pytest.approx((75.43 - 73.93) - (72.57 - 72.74))
    assert metrics.reported("M6", "M7", "test_accuracy") == pytest.approx(72.56 - 67.45)
    assert math.isnan(metrics.reported("M4", "M1", "variation")) and math.isnan(metrics.reported("M4", "X", "gap"))


def test_measures_are_compared_on_images_that_both_predict_correctly(tmp_path):
    """Fails if wrongly predicted images count (their 900 %), or those of other classes."""
    first, second = ([factories.looking(tmp_path, n, s, b) for s in range(6)] for n, b in (("A", 0.4), ("B", 0.3)))
    d = metrics.difference(first, second, "border", of="bird")
    low, high = d.estimate.interval
    assert d.estimate.mean == pytest.approx(10, abs=0.5) and low < d.estimate.mean < high
    not_measured = [factories.answering("A", 7)], [factories.answering("B", 7)]
    d = metrics.difference([first[0], *not_measured[0]], [second[0], *not_measured[1]], "border", of="bird")
    assert d.seeds == (0,) and d.estimate.interval[1] - d.estimate.interval[0] < 1.5


def test_a_class_is_compared_with_all_others_of_the_same_runs(tmp_path):
    made = [factories.looking(tmp_path, "A", seed, 0.3) for seed in range(6)]
    d = metrics.difference(made, made, "border", of="airplane", second_of=OTHERS)
    assert d.estimate.mean == pytest.approx(10, abs=0.5) and 9 < d.estimate.interval[0] < d.estimate.interval[1] < 11
    d = metrics.difference(made, made, "border", of="truck", second_of=OTHERS)
    assert d.estimate.mean == pytest.approx(-10 / 9, abs=0.5)


def test_runs_measured_on_fewer_images_are_compared_on_those(tmp_path):
    """Fails with arrays of two lengths."""
    first, second = ([factories.looking(tmp_path, n, s, b) for s in range(2)] for n, b in (("A", 0.4), ("B", 0.3)))
    border = measurements.read(second[0])["gradcam/border"][:200]
    factories.measured(tmp_path, second[0], {"gradcam/border": border})
    d = metrics.difference(first, second, "border", of="bird")
    assert d.seeds == (0, 1) and d.estimate.mean == pytest.approx(10, abs=0.5)
    factories.measured(tmp_path, second[0], {"scorecam/border": border})
    assert metrics.difference(first, second, "border").seeds == (1,)


def test_a_measure_that_no_map_can_have_tells_nothing(tmp_path):
    """Model1's last convolution has no cells at the image's edges, so its maps have nothing there in any image."""
    first, second = ([factories.looking(tmp_path, n, s, 0.3) for s in range(3)] for n in ("A", "B"))
    assert not metrics.difference(first, second, "border").flaw
    for run in [*first, *second]:
        factories.measured(tmp_path, run, {"gradcam/border": np.zeros(300, "float16")})
    nothing = metrics.difference(first, second, "border")
    assert nothing.flaw == "A's share of the evidence at the border is 0 in every image"
    assert np.isnan(nothing.estimate.error)
    assert not metrics.difference(first, second, "test_accuracy").flaw
    factories.measured(tmp_path, second[0], {"gradcam/border": np.full(300, 0.1, "float16")})
    assert not metrics.difference(first, second, "border").flaw
