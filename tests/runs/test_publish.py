"""Only whole, committed runs on CIFAR-10 become published results."""

from pathlib import Path

import factories
import numpy as np
import pytest

from kerascifar.common.errors import UserError
from kerascifar.runs import environment, measurements, publish
from kerascifar.training import rows


def test_a_candidate_is_published_with_its_history_alone(tmp_path):
    factories.run(tmp_path / "runs" / "a", experiment="choices")
    publish.publish([tmp_path / "runs" / "a"], tmp_path / "results")
    assert {path.name for path in (tmp_path / "results" / "a").iterdir()} == {"history.csv", "record.json"}


FIRST = rows.read(rows.find(Path("experiment1"))).seeds[0]


@pytest.mark.parametrize(
    "name, experiment, seed, with_weights",
    [
        ("M1", "experiment1", FIRST, True),
        ("M1", "experiment1", FIRST + 1, False),
        ("M6", "experiment1", FIRST + 1, True),
        ("M6_keras", "sensitivity", FIRST, False),
    ],
)
def test_weights_are_published_of_first_seeds_and_of_rows_with_measured_maps(
    tmp_path, name, experiment, seed, with_weights
):
    run = factories.run(tmp_path / "runs" / "a", row={"name": name}, experiment=experiment, seed=seed)
    (published,) = publish.publish([run.folder], tmp_path / "results")
    assert (published / "model.keras").exists() == with_weights


def test_measurements_that_leave_out_images_are_not_published(tmp_path):
    made = factories.run(tmp_path / "runs" / "a", seed=FIRST)  # tested on three images
    values = {"gradcam/road": np.zeros(2, "float16"), "of": np.array(measurements.identity(made))}
    np.savez_compressed(made.folder / measurements.FOCUS, **values)
    with pytest.raises(UserError, match="focus.npz does not cover all test images"):
        publish.publish([made.folder], tmp_path / "results")


def test_published_runs_are_measured_on_all_images_with_committed_code(monkeypatch):
    monkeypatch.setattr(environment, "commit", lambda: environment.Commit("c", uncommitted))
    uncommitted = False
    publish.check_measuring(10_000, 10_000)
    with pytest.raises(UserError, match="published runs: --images 9999 leaves out test images"):
        publish.check_measuring(9_999, 10_000)
    uncommitted = True
    with pytest.raises(UserError, match="published runs: the code has changes that are not committed"):
        publish.check_measuring(10_000, 10_000)


def test_a_run_is_published_once_with_its_files(tmp_path):
    factories.run(tmp_path / "runs" / "a", seed=FIRST)
    factories.run(tmp_path / "runs" / "b", seed=FIRST + 1)
    publish.publish([tmp_path / "runs" / "a", tmp_path / "runs" / "b"], tmp_path / "results")
    listing = sorted(str(p.relative_to(tmp_path / "results")) for p in (tmp_path / "results").rglob("*") if p.is_file())
    rest = ["history.csv", "predictions.npz", "record.json"]
    assert listing == sorted([*(f"a/{n}" for n in [*rest, "model.keras"]), *(f"b/{n}" for n in rest)])
    with pytest.raises(UserError, match="already exists"):
        publish.publish([tmp_path / "runs" / "a"], tmp_path / "results")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"shortened": True}, "shortened with --epochs"),
        ({"environment": {"commit": "c", "uncommitted": True}}, "uncommitted code"),
        ({"environment": {}}, "uncommitted code"),
        (
            {"environment": {"commit": None, "uncommitted": None, "git": "dubious ownership"}},
            r"git could not tell whether its code was committed \(dubious ownership\); see `doctor`",
        ),
        ({"environment": {"program": "def mine(): ..."}}, "trained by a program, not by `run`"),
        ({"epochs_trained": 3}, "history.csv has 2 epochs, but the record says 3"),
        (
            {"results": factories.results(0.7)},
            "different test accuracies",
        ),
        (
            {"environment": {"commit": "c", "uncommitted": False, "source": "a", "earlier": [{"source": "b"}]}},
            "trained with other code, versions or another backend",
        ),
        ({"dataset": {"name": "CIFAR-10", "class_names": ["x"] * 10, "train": "0", "test": "0"}}, "synthetic"),
    ],
)
def test_what_is_no_result_is_refused_and_nothing_is_copied(tmp_path, changes, answer):
    factories.run(tmp_path / "runs" / "good")
    factories.run(tmp_path / "runs" / "bad", **changes)
    with pytest.raises(UserError, match=answer):
        publish.publish([tmp_path / "runs" / "good", tmp_path / "runs" / "bad"], tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("name", "content", "answer"),
    [
        ("history.csv", None, "its history.csv is missing"),
        ("predictions.npz", None, "its predictions.npz is missing"),
        ("model.keras", None, "its model.keras is missing"),
        ("model.keras", b"PK", "model.keras cannot be loaded"),
    ],
)
def test_a_run_that_is_not_whole_is_refused_and_nothing_is_copied(tmp_path, name, content, answer):
    factories.run(tmp_path / "runs" / "good", seed=FIRST + 1)
    path = factories.run(tmp_path / "runs" / "bad", seed=FIRST).folder / name
    path.unlink()
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=answer):
        publish.publish([tmp_path / "runs" / "good", tmp_path / "runs" / "bad"], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_run_named_twice_is_refused(tmp_path):
    factories.run(tmp_path / "runs" / "a")
    with pytest.raises(UserError, match="a was named twice"):
        publish.publish([tmp_path / "runs" / "a", tmp_path / "runs" / ".." / "runs" / "a"], tmp_path / "results")


def test_an_unfinished_run_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="the run is unfinished"):
        publish.publish([tmp_path / "run"], tmp_path / "results")
