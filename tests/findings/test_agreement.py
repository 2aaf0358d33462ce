"""A reported figure agrees if it could be that of one more run like ours; each row stands beside the original."""

import dataclasses

import factories
import numpy as np
import pytest

from kerascifar.findings import agreement


def runs(*shares, **changes):
    return [factories.record(seed=seed, results=factories.results(a), **changes) for seed, a in enumerate(shares)]


@pytest.mark.parametrize(
    "shares, agrees",
    [((0.67, 0.68, 0.69), "yes"), ((0.74, 0.75, 0.76), "no"), ((0.6797, 0.6797), "unknown")],
)
def test_the_original_agrees_within_the_prediction_interval(shares, agrees):
    """The original has 67.97 for M1. Three values one apart: ± 4.303 · 1 · √(4/3) = 4.97 points."""
    line = agreement.table(runs(*shares)).iloc[0]
    assert (line["metric"], line["row"], line["original"], line["agrees"]) == ("test accuracy", "M1", 67.97, agrees)
    if len(shares) == 3:
        assert line["95 % ±"] == pytest.approx(4.968, abs=1e-3)
        assert line["difference"] == pytest.approx(100 * shares[1] - 67.97)


def test_other_settings_and_shortened_runs_are_left_out():
    """Fails if a row that a user changed is judged by the original's figure for the row of that name."""
    other = [dataclasses.replace(run, row=dataclasses.replace(run.row, learning_rate=0.1)) for run in runs(0.5)]
    assert agreement.table([*other, *runs(0.5, shortened=True)]).empty


def test_a_row_stands_beside_the_original_with_the_interval_of_one_more_run():
    """The original has 67.97 for M1. By hand for 68, 69, 70: t(2) = 4.3027, sd = 1, times the root of 1 + 1/3."""
    line = agreement.rows(runs(0.68, 0.69, 0.70)).iloc[0]
    assert (line["row"], line["n"], line["settings"]) == ("M1", 3, "Adam 0.001, batch 256")
    assert (line["original"], line["here"], line["sd"]) == pytest.approx((67.97, 69.0, 1.0))
    assert line["high"] - line["here"] == line["here"] - line["low"] == pytest.approx(4.3027 * np.sqrt(4 / 3), abs=1e-3)
    assert line["difference"] == pytest.approx(1.03) and line["agrees"] == "yes"
    assert agreement.rows(runs(0.70, 0.701, 0.702)).iloc[0]["agrees"] == "no"


@pytest.mark.parametrize("changes", [{"row": {"batch_size": 128}}, {"shortened": True}, {"row": {"name": "Mine"}}])
def test_other_settings_and_shortened_runs_are_not_judged(changes):
    line = agreement.rows(runs(0.68, 0.69, 0.70, **changes)).iloc[0]
    assert np.isnan(line["original"]) and line["agrees"] == "unknown"


def test_the_conclusion_counts_what_is_inside_and_names_the_largest_gap():
    """By hand: M1 is inside; M4, reported 64.48, is 4.48 points lower; M5 has one run only."""
    table = agreement.rows(
        runs(0.68, 0.69, 0.70)
        + runs(0.60, 0.60, 0.60, row={"name": "M4", "learning_rate": 0.01})
        + runs(0.71, row={"name": "M5", "augment": True})
    )
    assert agreement.conclusion(table) == (
        "The original's test accuracy lies inside the 95 % prediction interval in 1 of 2 rows. "
        "Of these, M4 differs most: 4.5 points lower here."
    )
    assert agreement.conclusion(agreement.rows(runs(0.6, 0.6, 0.6), agreement.EPOCHS), agreement.EPOCHS) == (
        "The original's number of epochs lies inside the 95 % prediction interval in 0 of 1 row. M1: 68 epochs "
        "fewer here."
    )
