"""What is kept of a run, and what a reader says of a damaged or hostile record."""

import contextlib
import copy
import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import factories
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10, official
from kerascifar.output import result_tables
from kerascifar.runs import grouping, records
from kerascifar.training import models
from kerascifar.training.rows import Row


def test_a_record_comes_back(tmp_path):
    made = factories.run(tmp_path / "a")
    assert records.read(tmp_path / "a") == made
    assert records.read(tmp_path / "a").history["loss"] == [0.5, 0.1 + 0.2]  # to the last bit
    assert not made.is_synthetic
    assert [r.folder.name for r in records.list_records(tmp_path)] == ["a"]
    assert records.list_records(tmp_path / "nowhere") == []


def test_a_number_that_is_not_finite_is_null_in_the_file(tmp_path):
    """Fails if the file says NaN, which is not JSON."""
    factories.run(
        tmp_path / "a", results={s: {"loss": math.nan, "accuracy": 0.1} for s in ("train", "validation", "test")}
    )
    content = json.loads((tmp_path / "a" / "record.json").read_text(), parse_constant=pytest.fail)
    assert content["results"]["test"]["loss"] is None
    assert math.isnan(records.read(tmp_path / "a").results["test"]["loss"])


def test_one_other_pixel_makes_it_synthetic(tmp_path):
    other = {
        "name": "CIFAR-10",
        "class_names": list(cifar10.CLASS_NAMES),
        "train": official.TRAIN_SHA256,
        "test": "0" * 64,
    }
    assert factories.run(tmp_path / "a", dataset=other).is_synthetic


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "has no valid schema"),
        ('{"schema": 2}', "reads 1 to 1. Use a newer"),
        ('{"schema": 1}', "experiment is missing or wrong"),
        ('{"schema": true}', "has no valid schema"),
    ],
)
def test_a_damaged_or_newer_record_is_reported(tmp_path, content, answer):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(UserError, match=answer):
        records.read(tmp_path)


@pytest.mark.parametrize("key", ["results", "row", "dataset", "per_class", "seconds"])
@pytest.mark.parametrize("wrong", [{}, {"x": 1}, [], ["x"], 3, None, "<script>"])
def test_a_wrong_value_gives_a_message_not_a_traceback(tmp_path, key, wrong):
    factories.run(tmp_path / "a")
    path = tmp_path / "a" / "record.json"
    content = json.loads(path.read_text())
    allowed = (key == "seconds" and wrong == []) or (key == "per_class" and wrong == {})
    content[key] = wrong
    content["sha256"] = records._checksum(content)
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
def test_a_hostile_row_is_rejected(tmp_path, key, value):
    """Fails if a record's name may lead a report's file out of its folder."""
    factories.run(tmp_path / "a")
    path = tmp_path / "a" / "record.json"
    content = json.loads(path.read_text())
    content["row"][key] = value
    content["sha256"] = records._checksum(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is damaged"):
        records.read(tmp_path / "a")


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["<script>", "\x1b[31m", "../x", "adam", 1e308, -1, {}, [], [0.1], {"a": 1}]),
)


def paths(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return factories.run(tmp_path_factory.mktemp("records") / "a").folder


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_record_with_any_other_value_is_refused_or_can_be_shown(written, data):
    """Fails on a traceback in the reader, or in a table or title made from what the reader let through."""
    content = json.loads((written / "record.json").read_text())
    for path in data.draw(st.lists(st.sampled_from(list(paths(content))[1:]), min_size=1, max_size=2)):
        place = content
        for key in path[:-1]:
            place = place[key] if isinstance(place, dict | list) and key in [*place, *range(len(place))] else {}
        if isinstance(place, dict) and data.draw(st.booleans()):
            place.pop(path[-1], None)
        elif isinstance(place, dict) or (isinstance(place, list) and path[-1] in range(len(place))):
            place[path[-1]] = copy.deepcopy(data.draw(VALUES))  # a drawn list may be changed next, and drawn again
    content["sha256"] = records._checksum(content)  # who writes a hostile record can do the same
    check_reader(written, json.dumps(content).encode())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_record_with_other_bytes_is_refused_or_means_the_same(written, changes):
    """Fails if one changed digit is taken for what was written."""
    content = bytearray((written / "record.json").read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    record = check_reader(written, bytes(content))
    assert record in (None, dataclasses.replace(records.read(written), folder=written.parent / "changed"))


def check_reader(written, content):
    folder = written.parent / "changed"
    folder.mkdir(exist_ok=True)
    (folder / "record.json").write_bytes(content)
    (folder / "history.csv").write_bytes((written / "history.csv").read_bytes())
    try:
        record = records.read(folder)
    except UserError:
        return None
    again = json.loads(content)
    assert (record.seed, record.stop, record.row) == (again["seed"], again["stop"], Row(**again["row"]))
    assert grouping.current([record]) == [record]
    table = result_tables.results([record], [])
    shown = result_tables.readable(table).to_csv() + "".join(result_tables.notes([record], [record])) + record.heading
    assert "<script>" not in shown and "\x1b" not in shown
    return record


def test_a_record_and_a_dataset_print_in_one_line(tmp_path, shapes):
    """Fails if they print predictions, seconds or pixels."""
    record = factories.run(tmp_path / "a")
    accuracy = record.accuracy("validation")
    assert repr(record) == f"<Record {record.heading}, validation accuracy {accuracy:.2f} %, in {record.folder}>"
    assert repr(cifar10.load(shapes)).startswith("Dataset(name='synthetic shapes', class_names=('circle', ")
    assert "array" not in repr(cifar10.load(shapes))


@pytest.mark.parametrize(
    ("stop", "schedule", "expected"),
    [("epoch limit", {}, True), ("epoch limit", {"decay": "cosine"}, False), ("early stopping", {}, False)],
)
def test_a_run_that_its_limit_ended_is_known(stop, schedule, expected):
    assert factories.record(stop=stop, row={"schedule": schedule}).reached_limit is expected


def test_a_model_comes_back_to_the_bit(tmp_path):
    network = models.build("model4")
    record = factories.run(tmp_path / "a")
    network.save(record.folder / "model.keras")
    for a, b in zip(records.load_model(record).get_weights(), network.get_weights(), strict=True):
        assert (a == b).all()


def test_a_model_with_the_fused_layer_loads_in_another_process(tmp_path):
    """Fails if its class is only known where such a model has been built."""
    record = factories.run(tmp_path / "a", models.build("residual", filters=[4], blocks=[1]))
    program = f"""
from pathlib import Path
from kerascifar.runs import records
print(records.load_model(records.read(Path({str(record.folder)!r}))).count_params())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "258\n", done.stderr  # 234 trained ones, and 2 statistics of 4 channels in 3 layers


def test_damaged_predictions_are_reported_wherever_the_damage_is(tmp_path):
    """Fails if only some of the exceptions that zip files raise are caught, but not those of zlib, for example."""
    path = tmp_path / "predictions.npz"
    np.savez_compressed(path, a=np.arange(500), b=np.zeros(3))
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with contextlib.suppress(ValueError):
            files.read_arrays(path)
    made = factories.run(tmp_path / "run")
    path = made.folder / "predictions.npz"
    np.savez_compressed(path, test_label=np.arange(500))
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * 20 + content[120:])
    with pytest.raises(UserError, match="predictions.npz is missing or damaged"):
        _ = records.read(made.folder).predictions


def test_a_damaged_missing_or_wrong_model_is_reported(tmp_path):
    import keras

    record = factories.run(tmp_path / "a")
    path = record.folder / "model.keras"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]).save(path)
    with pytest.raises(UserError, match="(?s)takes .*32×32 RGB images in, ten logits out"):
        records.load_model(record)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be loaded"):
        records.load_model(record)
    path.unlink()
    with pytest.raises(UserError, match="does not exist"):
        records.load_model(record)


def test_code_in_a_model_is_not_run(tmp_path, monkeypatch):
    """Fails if a Lambda layer of a foreign file runs: it would leave a trace."""
    import keras

    monkeypatch.chdir(tmp_path)
    record = factories.run(tmp_path / "a")
    code = keras.layers.Lambda(lambda x: (Path("trace").touch(), x)[1])
    network = keras.Sequential([keras.Input((32, 32, 3)), code, keras.layers.Flatten(), keras.layers.Dense(10)])
    network.save(record.folder / "model.keras")
    Path("trace").unlink()  # made when the layer was built here
    with pytest.raises(UserError, match="cannot be loaded(?s:.*)custom code") as refused:
        records.load_model(record)
    assert "Train" not in str(refused.value)  # that would not help
    assert not Path("trace").exists()


def test_a_model_with_a_layer_of_the_users_says_how_to_load_it(tmp_path):
    """A command does not import the user's program. Fails if it says to train again, which ends here once more."""
    import keras

    @keras.saving.register_keras_serializable("test")
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    layers = [
        keras.Input((32, 32, 3)),
        Own(),
        keras.layers.Conv2D(2, 3),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
    record = factories.run(tmp_path / "a", keras.Sequential(layers))
    assert records.load_model(record).count_params() > 0  # this program defines it
    del keras.saving.get_custom_objects()["test>Own"]
    with pytest.raises(
        UserError, match=r"cannot be loaded(?s:.*)keras\.models\.load_model\('.*model\.keras'"
    ) as refused:
        records.load_model(record)
    assert "Train" not in str(refused.value)


def test_a_damaged_record_is_skipped_and_reported(tmp_path, capsys):
    """Fails if one damaged record hides the others, or is passed over in silence."""
    good = factories.run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "record.json").write_text("{")
    assert records.list_records(tmp_path) == [good]
    assert re.fullmatch(r"Skipped: .*bad/record.json is damaged: it is not JSON. Move.*\n", capsys.readouterr().err)
