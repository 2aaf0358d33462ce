"""The time left, worked out by hand."""

from kerascifar.runs import progress
from kerascifar.training import rows


def test_the_time_left_counts_the_epochs_before_an_interruption():
    """Four epochs were trained before; the fifth of six took 2 s."""
    run = rows.Run("own", rows.Row("Mine", "model1", epochs=6), 0)
    clock = progress.Clock({run.id: 1.0}, [run])
    assert clock.left(run, [2.0], epoch=5, wait=0) == (2.0, 2.0)


def test_a_run_that_never_stops_early_needs_all_its_epochs():
    """Fails if 60 epochs are guessed for it as for other rows."""
    run = rows.Run("own", rows.Row("Mine", "model1", epochs=90, patience=1000), 0)
    assert progress.Clock({run.id: 1.0}, [run]).left(run, [2.0], epoch=1, wait=0) == (178.0, 178.0)


def test_the_time_left_for_all_runs_is_scaled_by_their_multiply_adds():
    """The first run has four of six epochs of 2 s to go; the second has five, each of which takes three times as long.

    Fails if a run that is still to come is taken to be as slow as the present one.
    """
    first, second = (rows.Run("own", rows.Row(name, "model1", epochs=n), 0) for name, n in (("A", 6), ("B", 5)))
    clock = progress.Clock({first.id: 10.0, second.id: 30.0}, [first, second])
    assert clock.left(first, [9.0, 2.0], epoch=2, wait=0) == (8.0, 8.0 + 5 * 6.0)  # the first epoch was compiled
    assert (clock.expected(first), clock.expected(second)) == (60.0, 150.0)
