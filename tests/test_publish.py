"""Only whole, committed runs on CIFAR-10 become published results."""

import pytest
from test_records import make

from kerascifar import publish
from kerascifar.errors import UserError


def test_seed_0_is_published_with_its_weights_others_without(tmp_path):
    make(tmp_path / "runs" / "a")
    make(tmp_path / "runs" / "b", seed=1)
    publish.publish([tmp_path / "runs" / "a", tmp_path / "runs" / "b"], tmp_path / "results")
    listing = sorted(str(p.relative_to(tmp_path / "results")) for p in (tmp_path / "results").rglob("*") if p.is_file())
    rest = ["history.csv", "predictions.npz", "record.json"]
    assert listing == sorted([*(f"a/{n}" for n in [*rest, "model.keras"]), *(f"b/{n}" for n in rest)])
    with pytest.raises(UserError, match="exists already"):
        publish.publish([tmp_path / "runs" / "a"], tmp_path / "results")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"shortened": True}, "shortened with --epochs"),
        ({"environment": {"commit": "c", "uncommitted": True}}, "uncommitted code"),
        ({"environment": {}}, "uncommitted code"),
        ({"dataset": {"name": "CIFAR-10", "class_names": ["x"] * 10, "train": "0", "test": "0"}}, "synthetic"),
    ],
)
def test_what_is_no_result_is_refused_and_nothing_is_copied(tmp_path, changes, answer):
    make(tmp_path / "runs" / "good")
    make(tmp_path / "runs" / "bad", **changes)
    with pytest.raises(UserError, match=answer):
        publish.publish([tmp_path / "runs" / "good", tmp_path / "runs" / "bad"], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_unfinished_run_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="the run is unfinished"):
        publish.publish([tmp_path / "run"], tmp_path / "results")
