"""What is kept of a run, and what a reader says of a damaged or hostile record."""

import json
import math

import numpy as np
import pytest

from kerascifar import data, models, records
from kerascifar.errors import UserError


def make(folder, **changes):
    """A finished run on CIFAR-10 as far as its record tells, with an untrained model."""
    values = {
        "schema": 1,
        "experiment": "experiment1",
        "row": {
            "name": "M1",
            "model": "model1",
            "model_options": {},
            "augment": False,
            "optimizer": "adam",
            "loss": "crossentropy",
            "batch_size": 256,
            "learning_rate": 0.001,
            "epochs": 500,
        },
        "seed": 0,
        "dataset": {
            "name": "CIFAR-10",
            "class_names": list(data.CLASS_NAMES),
            "train": data.TRAIN_SHA256,
            "test": data.TEST_SHA256,
        },
        "split": "0" * 64,
        "shortened": False,
        "stop": "early stopping",
        "epochs_trained": 2,
        "epoch_kept": 1,
        "seconds": [1.0, 2.0],
        "results": {s: {"loss": 1.0, "accuracy": 0.7} for s in ("train", "validation", "test")},
        "per_class": {s: dict.fromkeys(data.CLASS_NAMES, 0.7) for s in ("validation", "test")},
        "environment": {"commit": "c", "uncommitted": False, "finished": "2026-01-01T00:00:00+00:00"},
        **changes,
    }
    record = records.Record(**values, folder=folder)
    history = {name: [0.5, 0.1 + 0.2] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    records.write(record, history, {"test_predicted": np.zeros(3, "uint8")}, models.build(values["row"]["model"]))
    return record


def test_a_record_comes_back(tmp_path):
    made = make(tmp_path / "a")
    assert records.read(tmp_path / "a") == made
    assert records.read(tmp_path / "a").history["loss"] == [0.5, 0.1 + 0.2]  # to the last bit
    assert not made.is_synthetic
    assert [r.folder.name for r in records.list_records(tmp_path)] == ["a"]
    assert records.list_records(tmp_path / "nowhere") == []


def test_a_number_that_is_not_finite_is_null_in_the_file(tmp_path):
    """Fails if the file says NaN, which is no JSON."""
    make(tmp_path / "a", results={s: {"loss": math.nan, "accuracy": 0.1} for s in ("train", "validation", "test")})
    content = json.loads((tmp_path / "a" / "record.json").read_text(), parse_constant=pytest.fail)
    assert content["results"]["test"]["loss"] is None
    assert math.isnan(records.read(tmp_path / "a").results["test"]["loss"])


def test_one_other_pixel_makes_it_synthetic(tmp_path):
    other = {"name": "CIFAR-10", "class_names": list(data.CLASS_NAMES), "train": data.TRAIN_SHA256, "test": "0" * 64}
    assert make(tmp_path / "a", dataset=other).is_synthetic


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "has no schema"),
        ('{"schema": 2}', "reads 1 to 1. Use a newer"),
        ('{"schema": 1}', "experiment is missing or wrong"),
        ('{"schema": true}', "has no schema"),
    ],
)
def test_a_damaged_or_newer_record_is_told(tmp_path, content, answer):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(UserError, match=answer):
        records.read(tmp_path)


@pytest.mark.parametrize("key", ["results", "row", "dataset", "per_class", "seconds"])
@pytest.mark.parametrize("wrong", [{}, {"x": 1}, [], ["x"], 3, None, "<script>"])
def test_a_wrong_value_is_told_not_a_traceback(tmp_path, key, wrong):
    make(tmp_path / "a")
    path = tmp_path / "a" / "record.json"
    content = json.loads(path.read_text())
    allowed = (key == "seconds" and wrong == []) or (key == "per_class" and wrong == {})
    content[key] = wrong
    path.write_text(json.dumps(content))
    if allowed:
        records.read(tmp_path / "a")
        return
    with pytest.raises(UserError, match="is damaged"):
        records.read(tmp_path / "a")


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "../../x"), ("name", "<b>"), ("optimizer", "nadam"), ("augment", "yes"), ("model_options", 3)],
)
def test_a_hostile_row_is_told(tmp_path, key, value):
    """Fails if a record's name may lead a report's file out of its folder."""
    make(tmp_path / "a")
    path = tmp_path / "a" / "record.json"
    content = json.loads(path.read_text())
    content["row"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is damaged"):
        records.read(tmp_path / "a")


def test_a_model_comes_back_to_the_bit(tmp_path):
    network = models.build("model4")
    record = make(tmp_path / "a")
    network.save(record.folder / "model.keras")
    for a, b in zip(records.load_model(record).get_weights(), network.get_weights(), strict=True):
        assert (a == b).all()


def test_a_damaged_missing_or_other_model_is_told(tmp_path):
    import keras

    record = make(tmp_path / "a")
    path = record.folder / "model.keras"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]).save(path)
    with pytest.raises(UserError, match="has shapes .* Expected images"):
        records.load_model(record)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be loaded"):
        records.load_model(record)
    path.unlink()
    with pytest.raises(UserError, match="does not exist"):
        records.load_model(record)


def test_a_model_with_code_is_refused(tmp_path):
    """Fails if a Lambda layer of a foreign file runs."""
    import keras

    record = make(tmp_path / "a")
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Lambda(lambda x: x, output_shape=(32, 32, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    network.save(record.folder / "model.keras")
    with pytest.raises(UserError, match="cannot be loaded"):
        records.load_model(record)


def test_a_full_run_comes_before_a_later_shortened_one(tmp_path):
    full = make(tmp_path / "a", environment={"finished": "2026-01-01"})
    make(tmp_path / "b", environment={"finished": "2026-01-02"}, shortened=True)
    other = make(tmp_path / "c", seed=1, shortened=True)
    assert records.newest_per_run(records.list_records(tmp_path)) == [full, other]


def test_rows_are_listed_as_people_count(tmp_path):
    row = make(tmp_path / "a").row
    runs = [make(tmp_path / name, row={**row, "name": name}) for name in ("M10", "M9", "M2")]
    assert [r.name for r in records.newest_per_run(runs)] == ["M2", "M9", "M10"]


def test_synthetic_runs_never_stand_beside_real_ones(tmp_path):
    """Fails if a later run of the same row and seed on drawn shapes hides the one on CIFAR-10."""
    real = make(tmp_path / "a", environment={"finished": "2026-01-01"})
    shapes = {"name": "synthetic shapes", "class_names": ["x"] * 10, "train": "0", "test": "0"}
    drawn = [make(tmp_path / str(seed), dataset=shapes, seed=seed) for seed in (0, 1)]
    assert records.newest_per_run([real, *drawn]) == [real]
    assert records.newest_per_run(drawn) == drawn
