"""Each change is the difference of two rows of the original, in pairs of one seed, beside the original's."""

import dataclasses
import math

import factories
import pytest

from kerascifar.common.paths import EXPERIMENTS
from kerascifar.findings import changes
from kerascifar.training.rows import read


def of_row(name, share, seeds=(0, 1, 2), **values):
    """Runs with the row's present settings."""
    row = next(row for row in read(EXPERIMENTS / "experiment1.toml").rows if row.name == name)
    return [dataclasses.replace(factories.answering(name, seed, share), row=row, **values) for seed in seeds]


def test_a_change_is_the_row_with_it_minus_the_row_without_it():
    """The original: M1 67.97, M5 70.74. The same images are swapped in both rows, so the gain is slightly smaller."""
    made = [*of_row("M1", 0.60), *of_row("M5", 0.70)]
    (line,) = changes.table(made).to_dict("records")
    assert (line["change"], line["with"], line["without"], line["n"]) == ("augmentation", "M5", "M1", 3)
    assert line["difference"] == pytest.approx(10, abs=0.5) and line["low"] < line["difference"] < line["high"]
    assert line["original"] == pytest.approx(70.74 - 67.97) and line["effect"] == "as in the original"
    assert changes.summary(made, changes.table(made)) == (
        "1 of 1 changes clearly move test accuracy in the same direction as in the original. For 0 of 1, the "
        "original's difference lies in the 95 % prediction interval for one more pair of runs here. In points ± half "
        "the width of the 95 % interval, with the original's difference in brackets: augmentation: "
        f"{line['difference']:+.1f} ± {line['high'] - line['difference']:.1f} (+2.8). Not judged yet, for lack of "
        "runs: a batch size of 512 instead of 256; a learning rate of 0.001 instead of 0.01."
    )


@pytest.mark.parametrize(
    ("shares", "effect", "heading"),
    [
        ((0.70, 0.60), "the opposite", "Clearly in the opposite direction: augmentation: −"),
        ((0.70, 0.70), "not clear", "Not clear: augmentation: +0.0 ± "),
    ],
)
def test_a_change_without_the_originals_effect_says_so(shares, effect, heading):
    made = [*of_row("M1", shares[0]), *of_row("M5", shares[1])]
    table = changes.table(made)
    assert table["effect"].tolist() == [effect]
    text = changes.summary(made, table)
    assert text.startswith("0 of 1 changes clearly move") and heading in text


def test_one_pair_judges_nothing():
    made = [*of_row("M1", 0.60, (0,)), *of_row("M5", 0.70, (0,))]
    (line,) = changes.table(made).to_dict("records")
    assert line["effect"] == "unknown" and math.isnan(line["low"])
    text = changes.summary(made, changes.table(made))
    assert text.startswith("Not judged yet, for lack of runs: augmentation; ")


@pytest.mark.parametrize(
    "values",
    [{"shortened": True}, {"dataset": factories.record().dataset | {"train": "0"}}, {"experiment": "own"}],
)
def test_trials_drawn_shapes_and_other_experiments_do_not_count(values):
    assert changes.table([*of_row("M1", 0.60), *of_row("M5", 0.70, **values)]).empty


def test_other_seeds_and_other_settings_do_not_count():
    m1 = of_row("M1", 0.60)
    assert changes.table([*m1, *of_row("M5", 0.70, seeds=(7, 8, 9))]).empty
    earlier = [
        dataclasses.replace(run, row=dataclasses.replace(run.row, model_options={})) for run in of_row("M5", 0.70)
    ]
    assert changes.table([*m1, *earlier]).empty


def test_each_change_names_two_rows_of_the_original():
    names = {row.name for n in (1, 2) for row in read(EXPERIMENTS / f"experiment{n}.toml").rows}
    assert {row for *rows, _ in changes.CHANGES for row in rows} <= names
