"""A run that is killed at any moment and started again is the same run."""

import soak


def test_a_killed_run_is_the_same_run_to_the_bit(tmp_path):
    """Fails if anything starts anew after a kill, or if a file can be half-written.

    `make soak` does more of it.
    """
    count = soak.soak(4, tmp_path, workers=1, fork=True)
    print(count)
    assert count.kills >= 4 and count.runs >= 2 and count.while_writing > 0
    assert count.differences == [] and count.lost == []
