"""An unfinished run's state on disk."""

import numpy as np
import pytest

from kerascifar.common.errors import UserError
from kerascifar.training import checkpoint


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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-000002.bin", "checkpoint-000003.bin"]
    back = checkpoint.load(tmp_path, pytest.fail)
    assert back.epoch == 3 and back.history == state(3).history
    assert back.environments == [{"commit": "a"}]
    for name in ("weights", "optimizer", "best_weights"):
        for got, expected in zip(getattr(back, name), getattr(state(3), name), strict=True):
            assert got.dtype == expected.dtype and (got == expected).all()


@pytest.mark.parametrize("damage", [lambda c: c[:-40], lambda c: b"", lambda c: c + b"x", lambda c: b"kerascifar"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    """Fails if damage is not noticed (wrong weights), ends in a traceback, or if the damaged file is lost."""
    for epochs in (1, 2):
        checkpoint.save(tmp_path, state(epochs))
    path = tmp_path / "checkpoint-000002.bin"
    path.write_bytes(damage(path.read_bytes()))
    said = []
    back = checkpoint.load(tmp_path, said.append)
    assert back.epoch == 1 and path.with_suffix(".damaged").is_file()
    assert said == ["checkpoint-000002.bin is damaged and was set aside; resuming from an earlier epoch."]


def test_a_flip_of_any_byte_is_noticed(tmp_path):
    """Fails if only the arrays are covered: a flip in the zip's directory renames one of two equal shapes."""
    checkpoint.save(tmp_path, state(1))
    path = tmp_path / "checkpoint-000001.bin"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert checkpoint.load(tmp_path, lambda text: None) is None
    path.write_bytes(whole)
    assert checkpoint.load(tmp_path, pytest.fail).epoch == 1


def test_another_version_is_refused_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    checkpoint.save(tmp_path, state(1))
    monkeypatch.undo()
    with pytest.raises(UserError, match="another version of kerascifar"):
        checkpoint.load(tmp_path, pytest.fail)
    assert (tmp_path / "checkpoint-000001.bin").is_file()


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoint.load(tmp_path, pytest.fail) is None
