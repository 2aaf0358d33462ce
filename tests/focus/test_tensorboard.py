"""TensorBoard's logs: complete, and training is the same with them as without."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from kerascifar.__main__ import main
from kerascifar.focus import methods, pictures, tensorboard
from kerascifar.images import cifar10
from kerascifar.runs import records

EPOCHS = 2


def logged(folder):
    """Per log folder (train, validation, focus) and tag the values in their order, as TensorBoard would read them."""
    found = {}
    for path in sorted(folder.glob("*/*/events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault((path.parent.name, value.tag), []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def train(shapes, runs, *words):
    table = runs.parent / "mine.toml"
    table.write_text(f'[[row]]\nname = "A"\nmodel = "model1"\nbatch_size = 100\nepochs = {EPOCHS}\n', encoding="utf-8")
    assert main(["run", str(table), "--data", str(shapes), "--runs", str(runs), *words]) == 0
    return records.list_records(runs)[0]


@pytest.fixture(scope="module")
def watched(shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    record = train(shapes, folder / "runs", "--tensorboard")
    return record, logged(folder / "runs" / tensorboard.LOGS)


def test_curves_and_graph_are_logged(watched):
    record, found = watched
    for place, metric, name in (("train", "loss", "loss"), ("validation", "accuracy", "val_accuracy")):
        steps, values = zip(*found[place, f"epoch_{metric}"], strict=True)
        assert steps == (0, 1)
        np.testing.assert_allclose(values, record.history[name], rtol=1e-6)
    assert b"Conv2D" in found["train", "keras"][0][1].item()


def test_focus_maps_of_the_same_images_are_logged_by_epoch(watched, shapes):
    record, found = watched
    dataset = cifar10.load(shapes)
    first = pictures.first_validation_images(dataset.labels)
    drawn = found["focus", "where it looks"]
    assert [step for step, _ in drawn] == [0, 1]
    # The second of two epochs is the kept one, if its loss is the best; its model is on disk.
    shown = tf.image.decode_png(drawn[record.epoch_kept - 1][1][2]).numpy()
    images = cifar10.scale(dataset.images[first])
    own = methods.focus_maps(records.load_model(record), images, dataset.labels[first])
    assert np.abs(shown - 255.0 * tensorboard.sheet(images, own)).max() < 2
    assert np.abs(shown[:96, 96:192].astype(int) - np.repeat(np.repeat(dataset.images[first[1]], 3, 0), 3, 1)).max() < 2


def test_logging_does_not_change_the_training(watched, shapes, tmp_path):
    alone = train(shapes, tmp_path / "runs")
    assert alone.history == watched[0].history
    assert np.array_equal(alone.predictions["test_logits"], watched[0].predictions["test_logits"])


def test_a_missing_tensorboard_is_reported_before_training(shapes, tmp_path, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else found(name))
    (tmp_path / "mine.toml").write_text('[[row]]\nname = "A"\nmodel = "model1"\n', encoding="utf-8")
    words = ["run", str(tmp_path / "mine.toml"), "--data", str(shapes), "--runs", str(tmp_path / "runs")]
    assert main([*words, "--tensorboard"]) == 2
    assert "pip install" in capsys.readouterr().err
    assert not records.list_records(tmp_path / "runs")


def test_a_failing_log_does_not_end_the_training(watched, shapes, tmp_path, monkeypatch, capsys):
    """A folder that takes no logs, and a map that cannot be drawn: each costs one line, and the run is the same."""
    runs = tmp_path / "runs"
    (runs / tensorboard.LOGS).mkdir(parents=True)

    def fails(*arguments):
        raise ZeroDivisionError("no map")

    monkeypatch.setattr(tensorboard, "sheet", fails)
    monkeypatch.setattr(tensorboard, "LOGS", "tensorboard/a file")
    (runs / "tensorboard" / "a file").write_text("")
    record = train(shapes, runs, "--tensorboard")
    told = [line for line in capsys.readouterr().err.splitlines() if "writes nothing more for TensorBoard" in line]
    assert len(told) == 2, told
    assert record.history == watched[0].history
