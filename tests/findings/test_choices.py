"""Candidates are scored by the original's training and validation figures alone, and by nothing else."""

import dataclasses
import math

import factories
import numpy as np
import pytest
from scipy import stats

from kerascifar.findings import candidates, choices

# Validation loss is best at epoch 3, accuracy at epoch 12; patience 10 stops at epochs 13 and 22.
LOSS = [3.0, 2.0, 1.0, *[1.5] * 20]
HISTORY = {
    "loss": [10.0 - epoch for epoch in range(23)],
    "accuracy": [epoch / 100 for epoch in range(23)],
    "val_loss": LOSS,
    "val_accuracy": [*[0.4 + epoch / 100 for epoch in range(11)], 0.9, *[0.6] * 11],
}


@pytest.mark.parametrize(
    ("monitor", "epoch", "expected"),
    [
        ("val_loss", "kept", [13, 8.0, 2.0, 1.0, 42.0]),
        ("val_loss", "last", [13, -2.0, 12.0, 1.5, 60.0]),
        ("val_accuracy", "kept", [22, -1.0, 11.0, 1.5, 90.0]),
        ("val_accuracy", "last", [22, -11.0, 21.0, 1.5, 60.0]),
    ],
)
def test_a_reading_stops_and_reads_where_the_original_would_have(monitor, epoch, expected):
    """By hand. Fails if the patience is the run's own, an epoch off, or the other figure is watched."""
    found = choices.figures(HISTORY, monitor, epoch)
    assert [math.exp(found[0]), *found[1:]] == pytest.approx(expected)


def test_a_history_that_ends_first_is_read_where_it_ends():
    short = {name: values[:20] for name, values in HISTORY.items()}
    found = choices.figures(short, "val_accuracy", "last")
    assert [math.exp(found[0]), *found[1:]] == pytest.approx([20, -9.0, 19.0, 1.5, 60.0])


def test_the_likelihood_is_students_with_the_scale_of_n_seeds():
    """Of one figure vector at the centre, by the density's formula; three seeds are narrower than one."""
    centre = np.array([4.0, 0.6, 78.0, 1.0, 68.0])
    for n in (1, 3):
        scale = choices.scale() * (1 + 1 / n)
        v, d = choices.DEGREES, 5
        top = math.lgamma((v + d) / 2) - math.lgamma(v / 2) - d / 2 * math.log(v * math.pi)
        expected = top - np.linalg.slogdet(scale)[1] / 2
        assert choices.log_likelihood(np.tile(centre, (n, 1)), centre) == pytest.approx(expected)
    off = centre + [0, 0, 0, 0.1, 0]
    distance = off - centre
    expected = stats.multivariate_t.logpdf(distance, np.zeros(5), choices.scale() * 2, df=40)
    assert choices.log_likelihood(centre[None], off) == pytest.approx(expected)


def test_the_scale_is_that_of_the_first_studys_seeds_and_the_floor():
    """By hand, from `SPREAD`, `CORRELATION` and `FLOOR`."""
    assert choices.scale()[0, 1] == pytest.approx(-0.843 * 0.1717 * 0.0754)
    assert choices.scale()[2, 2] == pytest.approx(2.6579**2 + 0.7**2)


def test_a_wider_floor_adds_to_the_variances_alone():
    added = choices.scale(2.0) - choices.scale()
    assert added == pytest.approx(np.diag(3 * choices.FLOOR**2))


def question(*names, seeds=(100, 101, 102)):
    row = candidates.read()[0].rows["W1"][0]
    rows = {name: (dataclasses.replace(row, name=f"M1_{name}", model_options={"dense": [n, n]}),) for n, name in names}
    return candidates.Question("q", ("M1",), rows, seeds)


def run(asked, name, shift, seed=100, test=0.5, **changes):
    """A run that stops at epoch 70 with the original's figures of M1, `shift` points off in validation accuracy."""
    row = asked.rows[name][0]
    validation = [*np.linspace(0.3, 0.4, 59), *[0.6808 + shift / 100] * 11]  # both are best at epoch 60
    history = {"loss": [0.602] * 70, "accuracy": [0.7855] * 70, "val_loss": [1.1] * 59 + [1.0] * 11}
    return factories.record(
        experiment="choices",
        row=dataclasses.asdict(row),
        seed=seed,
        history=history | {"val_accuracy": validation},
        results=factories.results(test),
        **changes,
    )


def test_the_closest_in_training_and_validation_ranks_first_whatever_the_test_figures_say():
    """Fails if a test figure enters: the worst candidate has the original's test accuracy to the digit."""
    asked = question((1, "far"), (2, "near"), (3, "exact"))
    shifts = {"far": 3.0, "near": 1.0, "exact": 0.0}
    plain = choices.score(asked, [run(asked, name, shift) for name, shift in shifts.items()])
    assert list(plain["candidate"]) == ["exact", "near", "far"]
    assert plain["weight"].sum() == pytest.approx(1) and plain["weight"].is_monotonic_decreasing
    assert plain.loc[0, ["epochs", "train_acc", "valid_acc"]].tolist() == pytest.approx([70, 78.55, 68.08])
    tests = {"far": 0.6797, "near": 0.1, "exact": math.nan}
    other = choices.score(asked, [run(asked, name, shift, test=tests[name]) for name, shift in shifts.items()])
    assert other.equals(plain)


def test_a_reading_is_the_likelier_the_closer_its_figures():
    """The original's figures are those of the kept epoch by accuracy. The last epoch has another training accuracy, and
    by validation loss, training would have stopped early."""
    asked = question((1, "exact"))
    made = run(asked, "exact", 0.0)
    later = made.history | {"accuracy": [0.7855] * 60 + [0.85] * 10}
    table = choices.readings([dataclasses.replace(made, history=later)], [asked]).set_index("reading")["q"]
    assert table.sum() == pytest.approx(1)
    assert table["kept epoch, watching val_accuracy"] > 0.99


def test_questions_share_a_candidate_under_two_names():
    """Fails if it is trained twice, or if the second question does not know the first one's run."""
    first, again = question((1, "a"), (2, "b")), question((1, "c"))
    both = [*first.runs(first.rows, [100]), *again.runs(again.rows, [100])]
    assert [run.row.name for run in candidates.without_repeats(both)] == ["M1_a", "M1_b"]
    assert list(choices.score(again, [run(first, "a", 0.0)])["candidate"]) == ["c"]
    other_seed = again.runs(again.rows, [101])
    assert len(candidates.without_repeats([*both, *other_seed])) == 3


def test_the_best_quarter_is_trained_again_when_all_have_been_trained_once():
    asked = question((1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"))
    shifts = dict(zip("abcde", (4, 0, 3, 1, 2), strict=True))
    found = [run(asked, name, shift) for name, shift in shifts.items()]
    assert choices.best_quarter(asked, found) == ["b", "d"]
    assert choices.best_quarter(asked, found[1:]) == []
    # A further seed doesn't change who gets one.
    assert choices.best_quarter(asked, [*found, run(asked, "a", 0, seed=101)]) == ["b", "d"]
    # Fails if one that diverged counts as not trained: the search would never go on.
    diverged = run(asked, "a", 4, stop="loss not finite")
    assert choices.best_quarter(asked, [diverged, *found[1:]]) == ["b", "d"]


def test_shortened_and_diverged_runs_are_not_scored():
    asked = question((1, "a"), (2, "b"))
    runs = [run(asked, "a", 0, shortened=True), run(asked, "b", 1, stop="loss not finite")]
    assert choices.score(asked, runs).empty
