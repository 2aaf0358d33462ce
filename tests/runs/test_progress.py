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
