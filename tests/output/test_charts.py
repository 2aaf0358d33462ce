"""The page's charts hold the numbers that they are given, and follow Vega-Lite's schema (Altair checks it)."""

import factories
import numpy as np
import pandas as pd

from kerascifar.output import charts


def values(chart):
    drawn = charts.specification(chart)
    assert drawn["width"] == "container"
    data = [part["data"]["values"] for part in (drawn, *drawn["layer"]) if "data" in part]
    return data[0]


def test_curves_are_medians_between_the_lowest_and_highest_seed_while_half_were_training():
    """By hand, for losses of three epochs in two runs and of one in a third: from epoch 2 on, two runs are left."""
    curves = ([3.0, 2.0, 1.0], [1.0, 1.0, 0.5], [1.5])
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    runs = [
        factories.record(history=dict.fromkeys(names, curve), seed=seed, epoch_kept=len(curve))
        for seed, curve in enumerate(curves)
    ]
    summary = charts.summarized(runs)
    assert summary["kept"] == [1, 3, 3]
    assert summary["validation loss"] == [[1.5, 1.5, 0.75], [1.0, 1.0, 0.5], [3.0, 2.0, 1.0]]
    assert summary["training accuracy"][0] == [150.0, 150.0, 75.0]
    drawn = values(charts.curves({"M1": summary}, ["M1"]))
    assert [v["median"] for v in drawn if v["split"] == "validation"] == [1.5, 1.5, 0.75]
    assert [(v["split"], v["epoch"]) for v in drawn if v["kept"]] == [("validation", 1), ("validation", 3)]


def test_a_loss_that_is_not_finite_leaves_a_gap():
    history = {key: [1.0, np.nan, 0.5, np.inf] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    summary = charts.summarized([factories.record(history=history)])
    assert summary["training loss"] == [[1.0, None, 0.5]] * 3
    assert [v["epoch"] for v in values(charts.curves({"M1": summary}, ["M1"]))] == [1, 2, 3] * 2


def test_the_axis_of_a_loss_is_fitted_to_what_follows_the_first_epochs():
    summary = {"kept": [1], "training loss": [[9.0] * 5 + [1.0]] * 3, "validation loss": [[9.0] * 5 + [2.0]] * 3}
    drawn = charts.specification(charts.curves({"M1": summary}, ["M1"]))
    assert drawn["layer"][1]["encoding"]["y"]["scale"]["domain"] == [1.0, 2.0]


def test_bars_to_the_right_are_more_faithful_whichever_way_a_measure_runs():
    table = pd.DataFrame({"row": ["M6"], "map": ["Grad-CAM"], "n": [1], "deletion": [3.0], "deletion ±": [1.0]})
    table = table.assign(road=table["deletion"], **{"road ±": 1.0})
    (deletion,), (road,) = values(charts.faithful(table, "deletion")), values(charts.faithful(table, "road"))
    assert (deletion["better"], deletion["low"], deletion["high"]) == (-3.0, -4.0, -2.0) and road["better"] == 3.0


def test_the_margin_is_shaded_on_both_sides_and_what_is_unknown_is_left_out():
    line = {"label": "M1 > M2", "title": "x", "difference": 1.0, "low": np.nan, "high": np.nan, "reported": np.nan}
    (drawn,) = values(charts.forest(pd.DataFrame([line | {"margin": 0.5, "n": 1}]), (-1, 2)))
    assert (drawn["below"], drawn["margin"], drawn["difference"]) == (-0.5, 0.5, 1.0)
    assert drawn["low"] is drawn["reported"] is None


def test_cost_is_a_dot_a_row_between_the_ends_of_its_deviation():
    table = pd.DataFrame({"row": ["Best", "Small"], "minutes": [60.0, 20.0], "n": [5, 1]})
    table = table.assign(Test_acc=[90.0, 85.0], **{"Test_acc ±": [0.5, np.nan]})
    best, small = values(charts.cost(table, "minutes", "minutes"))
    assert (best["minutes"], best["low"], best["high"]) == (60.0, 89.5, 90.5) and small["low"] is None
