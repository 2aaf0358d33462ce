"""A reported figure agrees if it could be that of one more run like ours."""

import dataclasses

import factories
import pytest

from kerascifar.findings import agreement


def runs(*shares, **changes):
    results = [{s: {"loss": 1.0, "accuracy": a} for s in ("train", "validation", "test")} for a in shares]
    return [factories.record(seed=seed, results=r, **changes) for seed, r in enumerate(results)]


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
