"""Candidates are ranked by validation accuracy alone."""

import factories
import pytest

from kerascifar.findings import search
from kerascifar.runs import model_facts, records
from kerascifar.training import models, rows

OPTIONS = {"filters": [4], "blocks": [0]}  # 3·9·4 + 2·4 + 4·10 + 10 = 166 parameters


def candidate(name, *accuracies, **changes):
    row = {"name": name, "model": "residual", "model_options": OPTIONS, "epochs": 20} | changes.pop("row", {})
    return [
        factories.record(
            experiment="search",
            seed=seed,
            row=row,
            results={split: {"loss": 1.0, "accuracy": accuracy} for split in ("train", "validation")},
            seconds=[60.0] * 20,
            **changes,
        )
        for seed, accuracy in enumerate(accuracies)
    ]


def test_the_best_on_validation_comes_first_with_what_it_changes():
    runs = [*candidate("First", 0.80), *candidate("Second", 0.81, 0.83, row={"learning_rate": 0.01})]
    table = search.table(runs)
    best, first = table.to_dict("records")
    assert (best["row"], best["n"], best["minutes"]) == ("Second", 2, 20)
    assert (
        best["what differs"] == "lr 0.01, batch 256, not augmented, filters [4], blocks [0]"
        and first["what differs"] == "lr 0.001"
    )
    assert (best["Valid_acc"], best["Valid_acc ±"]) == pytest.approx((82, 2**0.5))
    assert (first["parameters"], first["multiply-adds"]) == (166, 1024 * 108 + 40)
    assert search.summary(runs, table) == (
        "The search trained 2 candidates in 1.0 hours; Second has the highest validation accuracy, 82.00 %."
    )


def test_a_candidate_that_diverged_comes_last():
    diverged = candidate("Diverged", 0.9, stop=records.NOT_FINITE)  # accuracy of the epoch before
    table = search.table([*diverged, *candidate("First", 0.8)])
    assert table["row"].tolist() == ["First", "Diverged"]


def test_trials_are_not_ranked():
    assert search.table(candidate("First", 0.8, shortened=True)).empty


def test_runs_of_other_experiments_are_not_candidates():
    assert search.table([factories.record()]).empty


def test_no_candidate_has_more_parameters_than_model4():
    limit = model_facts.parameters(models.build("model4"))[0]
    for row in rows.read(factories.ROOT / "experiments" / "search.toml").rows:
        assert model_facts.parameters(models.build(row.model, **row.model_options))[0] <= limit == 42_314
