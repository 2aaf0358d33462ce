"""Each sensitivity row changes one assumption of the row that its name begins with."""

import dataclasses
import math

import numpy as np
import pytest
from factories import ROOT, record

from kerascifar.findings import sensitivity
from kerascifar.training import rows

CHANGED = {
    "M6_rotation30": {"augmentation"},
    "M6_torchvision_edge": {"augmentation"},
    "M6_edge": {"augmentation"},
    "M6_val_accuracy": {"monitor"},
    "M6_keras": {"model_options", "optimizer_options"},
    "M7_keras": {"model_options", "optimizer_options"},
    "Model2_keras_norm": {"model_options"},
    "Model4_keras_norm": {"model_options"},
    "Model4_dropout10": {"model_options"},
}


def rows_of(name):
    return {row.name: row for row in rows.read(ROOT / "experiments" / f"{name}.toml").rows}


@pytest.mark.parametrize("name", CHANGED)
def test_a_row_changes_one_assumption_alone(name):
    """Fails if a sensitivity row drifts from its row of the original, or if the original's rows change without it."""
    mine = rows_of("sensitivity")
    assert set(mine) == set(CHANGED)
    base = (rows_of("experiment1") | rows_of("experiment2"))[name.partition("_")[0]]
    changed = {key for key, value in vars(mine[name]).items() if value != getattr(base, key)} - {"name"}
    assert changed == CHANGED[name]
    free = {"initialization"} if name.endswith("_keras") else {"momentum", "epsilon"}
    if "keras" in name:
        assert mine[name].model_options == {k: v for k, v in base.model_options.items() if k not in free}


def runs(shares, epochs=(), **changes):
    """A run for each seed from 0: of its 100 images, as many are classified correctly as `shares` says."""
    made = []
    for seed, share in enumerate(shares):
        wrong = (np.arange(100) >= share).astype("uint8")
        predictions = {"test_label": wrong * 0, "test_predicted": wrong}
        predictions |= {"validation_label": wrong * 0, "validation_predicted": wrong}
        more = {"epochs_trained": epochs[seed]} if epochs else {}
        made.append(record(seed=seed, predictions=predictions, **more, **changes))
    return made


BASE = {"name": "M6", "augment": True, "augmentation": {"rotation_range": 15.0}}
CHANGE = {"name": "M6_rotation10", "augment": True, "augmentation": {"rotation_range": 10.0}}


def varied(shares, **changes):
    return runs(shares, experiment="sensitivity", row=CHANGE, basis="1" * 64, **changes)


def test_an_assumption_is_judged_in_pairs_of_one_seed():
    """Epochs by hand: +9, +10 and +11, so 10 ± 4.3027 · 1 / √3. The fourth seed has no counterpart."""
    same = runs((70, 71, 72, 50), epochs=(20, 30, 40, 99), row=BASE)
    (line,) = sensitivity.table([*same, *varied((70, 71, 72), epochs=(29, 40, 51))]).to_dict("records")
    assert (line["like"], line["n"], line["changed"]) == ("M6", 3, "rotation range 10.0")
    assert (line["epochs"], line["epochs clear"]) == (10, "yes")
    assert line["epochs high"] == pytest.approx(10 + 4.3027 / math.sqrt(3), abs=1e-3)
    assert (line["test_accuracy"], line["test_accuracy clear"]) == (0, "no")


def test_a_shortened_trial_is_no_effect():
    assert sensitivity.table([*runs((60, 70), row=BASE), *varied((10, 11), shortened=True)]).empty


def test_a_run_identical_to_its_counterpart_makes_no_difference():
    """Fails if a run is compared with the mean of all seeds instead of its own."""
    (line,) = sensitivity.table([*runs((60, 70, 80), row=BASE), *varied((60,))]).to_dict("records")
    assert line["n"] == 1 and line["test_accuracy"] == line["validation_accuracy"] == line["epochs"] == 0
    assert line["test_accuracy clear"] == "unknown" and math.isnan(line["test_accuracy low"])


def test_the_summary_counts_what_clearly_changed():
    """One assumption with three pairs loses 20 points; another has a single pair."""
    base, other = runs((70, 71, 72), row=BASE), varied((50,))
    once = [dataclasses.replace(run, row=dataclasses.replace(run.row, name="M6_once")) for run in other]
    table = sensitivity.table([*base, *varied((50, 51, 52)), *once])
    assert sensitivity.summary([], table) == (
        "Test accuracy clearly changed for 1 of 1 assumption that we varied. 1 of 2 varied assumptions was tested with "
        "only one seed, which cannot tell an effect from chance."
    )


def test_only_a_row_of_the_original_is_compared_with():
    """Fails if a program's row, or a candidate, with the name of an original's row joins its runs."""
    for experiment in ("own", "search"):
        other = runs((90, 91, 92), row=BASE, experiment=experiment)
        (line,) = sensitivity.table([*runs((70, 71, 72), row=BASE), *other, *varied((70, 71, 72))]).to_dict("records")
        assert line["test_accuracy"] == 0


def test_nothing_to_compare_with_is_left_out():
    assert len(sensitivity.table(varied((70,)))) == 0
    other_seed = [dataclasses.replace(run, seed=5) for run in runs((70,), row=BASE)]
    assert len(sensitivity.table([*other_seed, *varied((70,))])) == 0
