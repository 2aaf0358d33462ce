"""An unfinished run's state on disk."""

import numpy as np
import pytest

from kerascifar import checkpoint


def state(epochs):
    return checkpoint.Checkpoint(
        history={"loss": [1 / (e + 1) for e in range(epochs)]},
        seconds=[0.1] * epochs,
        weights=[np.full((2, 3), epochs, "float32")],
        optimizer=[np.array(epochs), np.arange(12.0) + epochs],
        best_weights=[np.zeros((2, 3), "float32")],
        environments=[{"commit": "a"}],
    )


def test_a_checkpoint_comes_back_to_the_bit_and_two_are_kept(tmp_path):
    for epochs in (1, 2, 3):
        checkpoint.save(tmp_path, state(epochs))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-000002.npz", "checkpoint-000003.npz"]
    back = checkpoint.load(tmp_path, pytest.fail)
    assert back.epoch == 3 and back.history == state(3).history
    assert back.environments == [{"commit": "a"}]
    for name in ("weights", "optimizer", "best_weights"):
        for got, expected in zip(getattr(back, name), getattr(state(3), name), strict=True):
            assert got.dtype == expected.dtype and (got == expected).all()


@pytest.mark.parametrize("damage", ["truncate", "empty", "flip"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    """Fails if damage is not noticed (wrong weights) or ends in a traceback."""
    for epochs in (1, 2):
        checkpoint.save(tmp_path, state(epochs))
    path = tmp_path / "checkpoint-000002.npz"
    content = bytearray(path.read_bytes())
    at = content.index(np.full((2, 3), 2, "float32").tobytes())
    content[at] ^= 1
    path.write_bytes({"truncate": content[:-40], "empty": b"", "flip": content}[damage])
    said = []
    back = checkpoint.load(tmp_path, said.append)
    assert back.epoch == 1
    assert said == ["checkpoint-000002.npz is damaged and was removed; the run goes on from an earlier epoch."]


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoint.load(tmp_path, pytest.fail) is None
