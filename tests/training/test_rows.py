"""Experiments as data: what is read, and what each mistake is answered with."""

import dataclasses
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from factories import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerascifar.common.errors import UserError
from kerascifar.runs import original
from kerascifar.training import rows

EXPERIMENTS = ROOT / "experiments"


ADDED = ("M1_slower", "M1_slowest")  # to Experiment 1; a user may add others


def test_experiment1_varies_what_the_original_varies():
    """Fails if a row drifts from the original's table: augmentation, optimizer, batch size, learning rate."""
    found = [r for r in rows.read(EXPERIMENTS / "experiment1.toml").rows if r.name in {*original.rows(), *ADDED}]
    assert [(r.name, r.augment, r.optimizer, r.batch_size, r.learning_rate) for r in found] == [
        ("M1", False, "adam", 256, 0.001),
        ("M2", False, "adam", 256, 0.003),
        ("M3", False, "adam", 256, 0.005),
        ("M4", False, "adam", 256, 0.01),
        ("M5", True, "adam", 256, 0.001),
        ("M6", True, "adam", 512, 0.001),
        ("M7", True, "rmsprop", 512, 0.001),
        ("M8", True, "sgd", 512, 0.001),
        ("M1_slower", False, "adam", 256, 0.0003),
        ("M1_slowest", False, "adam", 256, 0.0001),
    ]
    assert {(r.model, r.patience, r.monitor) for r in found} == {("model1", 10, "val_loss")}


def test_experiment2_trains_five_models_alike():
    found = [r for r in rows.read(EXPERIMENTS / "experiment2.toml").rows if r.name in original.rows()]
    assert [(r.name, r.model) for r in found] == [(f"Model{i}", f"model{i}") for i in range(2, 7)]
    assert {(r.augment, r.optimizer, r.batch_size, r.learning_rate) for r in found} == {(True, "adam", 512, 0.001)}


ROW = '[[row]]\nname = "A"\nmodel = "model1"\n'


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[[row]]\nname = "A\n', "not valid TOML"),
        ("", "has no row"),
        ("row = 3", "expected one \\[defaults\\] table"),
        ('[[row]]\nname = "A"\n', "model is missing"),
        (ROW + "lr = 1\n", 'row "A": key "lr" is not known'),
        (ROW + "learning_rat = 1\n", 'Did you mean "learning_rate"'),
        (ROW + 'learning_rate = "fast"\n', "learning_rate must be a number, not 'fast'"),
        (ROW + "learning_rate = nan\n", "learning_rate must be a number"),
        (ROW + "learning_rate = 1" + "0" * 400 + "\n", "learning_rate must be a number"),
        (ROW + "learning_rate = 1" + "0" * 5000 + "\n", "not valid TOML"),
        (ROW + "augmentation = { fill_mode = [1] }\n", "fill_mode must be a known mode, not \\[1\\]"),
        (ROW + "model_options = { filters = [2020-01-01] }\n", "filters must hold numbers"),
        (ROW + "learning_rate = -0.1\n", "learning_rate -0.1 is out of range"),
        (ROW + "batch_size = 0\n", "batch_size 0 is out of range"),
        (ROW + "batch_size = 1.5\n", "batch_size must be a whole number"),
        (ROW + "augment = 1\n", "augment must be true or false"),
        (ROW + 'optimizer = "rmsp"\n', 'optimizer "rmsp" is not known.\n.*Did you mean "rmsprop"'),
        (ROW + "optimizer_options = { momentum = 0.9 }\n", '"momentum" is not an option of adam'),
        (ROW + "optimizer_options = { beta_1 = 5 }\n", "beta_1 must be at least 0 and less than 1, not 5"),
        (ROW + "optimizer_options = { amsgrad = 1 }\n", "amsgrad must be true or false"),
        (ROW + "optimizer_options = { epsilon = -1 }\n", "epsilon must be a non-negative number"),
        (ROW + "model_options = { dropout = 0.9 }\n", 'model1 has no option "dropout"'),
        (ROW + "augmentation = { rotation = 3 }\n", 'Did you mean "rotation_range"'),
        (ROW + 'augmentation = { fill_mode = "grid-constant" }\n', "needs interpolation_order = 0"),
        (ROW + 'augmentation = { fill_mode = "mirror" }\n', "must be a known mode, not 'mirror'\\. Expected one of"),
        (ROW + "augmentation = { cval = 255 }\n", "cval must be a pixel value, from 0 to 1"),
        (ROW + "augmentation = { rotation_range = 200 }\n", "rotation_range must be degrees, from 0 to 180"),
        (ROW + "augmentation = { crop = 4.5 }\n", "crop must be a whole number of pixels, from 0 to 31, not 4.5"),
        (ROW + "augmentation = { mixup = -0.2 }\n", "mixup must be 0 or a number from 0.01 to 100"),
        (ROW + "optimizer_options = { weight_decay = -1 }\n", "weight_decay must be a non-negative number"),
        (ROW + "optimizer_options = { ema_momentum = 1 }\n", "ema_momentum must be at least 0 and less than 1"),
        (ROW + "optimizer_options = { use_ema = true }\n", '"use_ema" is not an option.* ema_momentum'),
        (ROW + 'schedule = "cosine"\n', "schedule must be a table"),
        (ROW + "schedule = { warmup = 0.1 }\n", 'schedule: decay is missing\\. Expected decay = "cosine"'),
        (ROW + 'schedule = { decay = "linear" }\n', "schedule: decay must be \"cosine\", not 'linear'"),
        (
            ROW + 'schedule = { decay = "cosine", warmup = 5 }\n',
            "warmup must be a share, at least 0 and less than 1, not 5",
        ),
        (ROW + 'schedule = { decay = "cosine", warm = 0 }\n', 'Did you mean "warmup"'),
        ('[[row]]\nname = "A"\nmodel = "model9"\n', 'model "model9" is not known'),
        ('[[row]]\nname = "../A"\nmodel = "model1"\n', "name must be 1 to 40 letters"),
        (ROW + ROW, 'two rows are named "A"'),
        ("seeds = [-1]\n" + ROW, "seeds must be a list"),
        ("[defaults]\nepoch = 3\n" + ROW, 'Did you mean "epochs"'),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(tmp_path, text, answer):
    """Fails if a mistake is accepted, or its message loses what helps."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="(?s)" + answer):
        rows.read(path)


TEXT = (EXPERIMENTS / "experiment1.toml").read_text(encoding="utf-8")
# What a user or a damaged disk may put anywhere: TOML's own signs, keys, values of other types, any character.
PIECES = st.one_of(
    st.sampled_from(
        [
            "\n",
            "=",
            "[",
            "]",
            "{",
            "}",
            '"',
            "#",
            ".",
            ",",
            "[[row]]\n",
            "[defaults]\n",
            "true",
            "0",
            "-1",
            "1e999",
            "nan",
        ]
    ),
    st.sampled_from(sorted(f.name for f in dataclasses.fields(rows.Row))),
    st.sampled_from(["2020-01-01", "[1, 2]", "{ a = 1 }", '"adam"', "0x7f", "1_0", "inf", "\x00", "é", '"""']),
    st.text(max_size=5),
)
PLACES = st.integers(0, len(TEXT))


@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(PLACES, st.integers(0, 12), PIECES), min_size=1, max_size=3))
def test_a_mutated_experiment_is_refused_or_means_what_it_says(tmp_path, changes):
    """Fails on a traceback, or if a value that is accepted is not the one in the file."""
    text = TEXT
    for place, removed, piece in changes:
        text = text[:place] + piece + text[place + removed :]
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        experiment = rows.read(path)
    except UserError:
        return
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert len(experiment.rows) == len(table["row"])
    for row, block in zip(experiment.rows, table["row"], strict=True):
        for key, value in {**table.get("defaults", {}), **block}.items():
            assert getattr(row, key) == value
        json.dumps(dataclasses.asdict(row), allow_nan=False)
    assert all(run.id for run in experiment.runs())


def test_an_option_that_is_a_function_of_numpy_is_refused():
    with pytest.raises(UserError, match="must hold numbers, text,"):
        rows.Row("A", "my_model", model_options={"activation": np.tanh})


def test_a_model_of_a_program_has_a_name_that_tables_can_show():
    """Fails if it is noticed after the training, by the reader of the record."""
    with pytest.raises(UserError, match="model must be 1 to 80 letters"):
        rows.Row("A", "<b>mine</b>")


def test_a_changed_configuration_is_another_run(tmp_path):
    """Fails if two configurations share a folder: the second would be taken for finished."""
    run = rows.Run("e", rows.Row("A", "model1"), 0)
    changes = [
        dataclasses.replace(run, seed=1),
        dataclasses.replace(run, experiment="f"),
        dataclasses.replace(run, basis="other images or layers"),
        dataclasses.replace(run, row=dataclasses.replace(run.row, learning_rate=0.002)),
        dataclasses.replace(run, row=dataclasses.replace(run.row, augmentation={"rotation_range": 10.0})),
        dataclasses.replace(run, row=dataclasses.replace(run.row, epochs=3), shortened=True),
    ]
    assert len({run.id, *(r.id for r in changes)}) == 7
    assert run.id == rows.Run("e", rows.Row("A", "model1"), 0).id


@pytest.mark.parametrize("folder", sorted((EXPERIMENTS / "results").glob("*-seed*")), ids=lambda folder: folder.name)
def test_published_runs_keep_their_id_and_their_row(folder):
    """Fails if a new field of a row, or another default, makes published runs look as if they had not been trained."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    row = rows.Row(**record["row"])
    run = rows.Run(record["experiment"], row, record["seed"], record["shortened"], record["basis"])
    assert run.id == folder.name and row.table() == record["row"]


def test_a_schedule_is_part_of_the_id_and_of_the_record():
    """Fails if rows with and without one share a folder."""
    row = rows.Row("A", "model1", schedule={"decay": "cosine", "end": 0})
    assert rows.Run("e", row, 0).id != rows.Run("e", rows.Row("A", "model1"), 0).id
    assert row.table()["schedule"] == {"decay": "cosine", "end": 0.0}
    assert "schedule" not in rows.Row("A", "model1").table()


def test_runs_go_seed_by_seed_and_epochs_only_shorten():
    experiment = rows.read(EXPERIMENTS / "experiment1.toml")
    runs = experiment.runs(["M6", "M1"], [1, 0], epochs=2)
    assert [(r.row.name, r.seed, r.row.epochs, r.shortened) for r in runs] == [
        ("M6", 1, 2, True),
        ("M1", 1, 2, True),
        ("M6", 0, 2, True),
        ("M1", 0, 2, True),
    ]
    assert experiment.runs(["M1"], epochs=10_000)[0] == experiment.runs(["M1"])[0]
    with pytest.raises(UserError, match='has no row "M99"'):
        experiment.runs(["M99"])
    with pytest.raises(UserError, match="Seed -1 is out of range"):
        experiment.runs(["M1"], [-1])
    with pytest.raises(UserError, match="--epochs 0"):
        experiment.runs(["M1"], epochs=0)


def test_reading_a_configuration_loads_no_tensorflow():
    """Fails if config, models or the command line import Keras at the top: a mistake would take seconds to be told."""
    code = (
        "import sys, pathlib, kerascifar.__main__ as m; from kerascifar.training import rows; "
        "rows.read(pathlib.Path('experiments/experiment2.toml')); m._parser(); "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras.src', 'pandas', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=EXPERIMENTS.parent, check=False).returncode == 0


@pytest.mark.parametrize(
    "key, whole, number",
    [
        ("learning_rate", 1, 1.0),
        ("augmentation", {"rotation_range": 15, "zoom_range": 0, "horizontal_flip": True}, None),
        ("optimizer_options", {"epsilon": 1, "amsgrad": False}, None),
        ("schedule", {"decay": "cosine", "end": 1}, None),
        ("model_options", {"dropout": 0, "momentum": 0}, None),
    ],
)
def test_a_whole_number_is_the_same_as_a_float(tmp_path, key, whole, number):
    """Fails if 15 and 15.0 are two runs, or if Keras gets a learning rate of 1, which it refuses."""
    if number is None:
        number = {k: float(v) if type(v) is int else v for k, v in whole.items()}
    one, other = (rows.Row("A", "model2", **{key: value}) for value in (whole, number))
    assert rows.Run("e", one, 0).id == rows.Run("e", other, 0).id
    assert repr(getattr(one, key)) == repr(number)  # and the flags are still flags


def test_a_choice_between_whole_numbers_stays_one():
    row = rows.Row("A", "model1", augmentation={"interpolation_order": 0}, model_options={"dense": [64]})
    assert repr(row.augmentation) == "{'interpolation_order': 0}" and repr(row.model_options) == "{'dense': [64]}"


def test_a_folder_does_not_hide_a_shipped_experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search").mkdir()
    assert rows.find(Path("search")) == rows.EXPERIMENTS / "search.toml"


def test_a_file_in_another_encoding_hides_no_experiment(tmp_path):
    (tmp_path / "latin.toml").write_bytes("# é\n[[row]]\n".encode("latin-1"))
    (tmp_path / "claims.toml").write_text("[[claim]]\n", encoding="utf-8")
    assert rows.files(tmp_path) == [tmp_path / "latin.toml"]
