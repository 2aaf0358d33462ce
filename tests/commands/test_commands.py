"""The commands, as a user gives them: the whole way once; each mistake is explained in a paragraph, with status 2.

Most run in this process, where TensorFlow is loaded already; those that need a process of their own, to be killed or to
share a folder, get one.
"""

import contextlib
import dataclasses
import importlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import factories
import h5py
import numpy as np
import pandas as pd
import pytest
from factories import ROOT
from PIL import Image

import kerascifar
from kerascifar import __main__
from kerascifar.__main__ import main
from kerascifar.commands import cam, demo, publish, training, verify
from kerascifar.common import entry, errors, files
from kerascifar.findings import candidates
from kerascifar.output import readme
from kerascifar.runs import records
from kerascifar.training import models
from kerascifar.training.rows import Row

# A user's: JAX, once imported here, would set a log level, which kerascifar takes for the user's choice.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
ROW = '[[row]]\nname = "A"\nmodel = "model1"\nbatch_size = 100\nepochs = 3\n'


def command(*words, cwd, program=main):
    """What `python -m kerascifar <words>` does in `cwd`, done in this process."""
    out, problems = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(problems):
        status = program([*map(str, words)])
    return subprocess.CompletedProcess(words, status, out.getvalue(), problems.getvalue())


def draw(words):
    """What `python -m kerascifar.cam <words>` does."""
    return entry.run(cam.main, words)


@pytest.fixture
def process():
    """Starts `python -m kerascifar <words>` in `cwd`."""

    def start(*words, cwd, source=ROOT, env=(), **options):
        return subprocess.Popen(
            [sys.executable, "-m", "kerascifar", *map(str, words)],
            cwd=cwd,
            env={**ENVIRONMENT, "PYTHONPATH": str(source), **dict(env)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    return start


def ended(process):
    """Waits for the process; what it printed, and its status."""
    out, problems = process.communicate(timeout=factories.HANG)
    return subprocess.CompletedProcess(process.args, process.returncode, out, problems)


def assert_user_error(result, answer):
    """Status 2 and one paragraph without a traceback."""
    assert re.search(answer, result.stderr), result.stderr
    assert "Traceback" not in result.stderr and "\n\n" not in result.stderr.strip()
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) <= 8


def environment_of(record):
    return json.loads((record.folder / "record.json").read_text())["environment"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, shapes):
    """A folder in which `run` was run on drawn shapes; yields the folder and what was printed."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "mine.toml").write_text(ROW, encoding="utf-8")
    result = command("run", "mine.toml", "--data", shapes, "--epochs", 2, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_a_run_leaves_a_whole_record_and_says_what_it_does(trained, shapes):
    folder, printed = trained
    (record,) = records.list_records(folder / "runs")
    assert record.is_synthetic and record.shortened and record.stop == "epoch limit"
    assert sorted(p.name for p in record.folder.iterdir()) == [
        "history.csv",
        "model.keras",
        "predictions.npz",
        "record.json",
    ]
    assert [len(v) for v in record.history.values()] == [2] * 4
    with zipfile.ZipFile(record.folder / "model.keras") as file:
        saved = h5py.File(io.BytesIO(file.read("model.weights.h5")))
    assert saved["layers/dense"] and "optimizer" not in saved
    with np.load(record.folder / "predictions.npz") as file:
        right = (
            file["test_predicted"]
            == np.fromfile(shapes / "cifar-10-batches-bin" / "test_batch.bin", "uint8").reshape(-1, 3073)[:, 0]
        )
    assert right.mean() == pytest.approx(record.results["test"]["accuracy"])
    for words in ("rows A; seeds 0", "0 of 1 finished already", "SYNTHETIC DATA", " left", "(1) shortened"):
        assert words in printed
    assert environment_of(record)["earlier"] == []
    for name in ("mine.csv", "mine.md", "curves/mine-A.png"):
        assert (folder / "runs" / "report" / name).is_file()
    environment = environment_of(record)
    assert {"versions", "backend", "device", "cores", "commit", "uncommitted", "finished"} <= set(environment)


def test_the_same_command_again_trains_nothing(trained, shapes):
    """Fails, too, if it removes what `focus` is writing into the run's folder meanwhile."""
    folder, _ = trained
    (finished,) = (folder / "runs").glob("mine-*")
    (finished / f"{files.TEMPORARY}focus").touch()
    before = [(p, p.stat().st_mtime_ns) for p in sorted((folder / "runs").glob("mine-*/*"))]
    again = command("run", "mine.toml", "--data", shapes, "--epochs", 2, cwd=folder)
    assert again.returncode == 0 and "1 of 1 finished already" in again.stdout
    assert [(p, p.stat().st_mtime_ns) for p in sorted((folder / "runs").glob("mine-*/*"))] == before
    (finished / f"{files.TEMPORARY}focus").unlink()


def test_another_seed_is_added_to_the_tables(trained, shapes, tmp_path):
    """Fails if the tables hold only what the last command trained."""
    shutil.copytree(trained[0], tmp_path / "mine")
    command("run", "mine.toml", "--data", shapes, "--epochs", 2, "--seeds", 1, cwd=tmp_path / "mine")
    table = pd.read_csv(tmp_path / "mine" / "runs" / "report" / "mine.csv")
    assert table["n"].tolist() == [2]


def examples():
    modules = [importlib.import_module(f"kerascifar.commands.{name}") for name in __main__.COMMANDS]
    return [(name, m.EXAMPLES.strip().splitlines()) for name, m in zip(__main__.COMMANDS, modules, strict=True)]


@pytest.mark.parametrize("name, lines", examples())
def test_every_command_has_examples_that_are_commands(name, lines):
    assert lines
    for line in lines:
        words = re.split(r" {2,}", line)[0].split()
        assert words[0] == __main__._parser().parse_args(words).command == name


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_a_commands_help_says_what_it_does_and_a_wrong_option_shows_its_usage(name, capsys):
    """Fails if an unknown option shows the usage of the whole program, which does not list the command's options."""
    with pytest.raises(SystemExit, match="0"):
        __main__.main([name, "--help"])
    said = importlib.import_module(f"kerascifar.commands.{name}").HELP
    assert " ".join(capsys.readouterr().out.split("\n\n")[1].split()).casefold().startswith(f"{said}.".casefold())
    with pytest.raises(SystemExit, match="2"):
        __main__.main(
            [name, *{"run": ["experiment1"], "compare": ["M1"], "verify": ["M1"]}.get(name, []), "--no-such-option"]
        )
    problem = capsys.readouterr().err
    assert problem.startswith(f"usage: kerascifar {name} ")
    assert problem.endswith("unrecognized arguments: --no-such-option\n")


def test_a_missing_folder_of_runs_is_named(tmp_path, capsys):
    assert __main__.main(["runs", "M1", "--runs", str(tmp_path / "nowhere")]) == 0
    printed = "".join(capsys.readouterr().out.split())  # a long path is broken between two lines
    assert f"Youhavenorunsin{tmp_path / 'nowhere'},soonlypublishedruns" in printed


def test_rows_of_two_experiments_with_one_name_are_told_apart(tmp_path, capsys):
    for experiment in ("mine", "other"):
        factories.run(tmp_path / f"{experiment}-A", row={"name": "A"}, experiment=experiment)
    assert main(["runs", "mine/A", "other/A", "--runs", str(tmp_path)]) == 0
    assert re.findall(r"^ *(\S+/A) +0 +yours", capsys.readouterr().out, re.M) == ["mine/A", "other/A"]


def test_runs_takes_a_seed_and_says_what_it_leaves_out(tmp_path, capsys):
    """Fails if runs of a row that was changed since vanish without a word."""
    for seed, rate, finished in ((0, 0.1, "01"), (0, 0.2, "02"), (1, 0.2, "03")):
        environment = factories.record().environment | {"finished": f"2026-01-{finished}T00:00:00+00:00"}
        row = {"name": "Mine", "learning_rate": rate}
        factories.run(tmp_path / f"{seed}-{rate}", seed=seed, row=row, environment=environment)
    assert main(["runs", "Mine-seed1", "--wide", "--runs", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Mine-seed1" in printed and "Mine-seed0" not in printed
    assert "Not shown: 1 of your runs. They are trials" in " ".join(printed.split())


def test_a_comparison_is_shown_even_if_it_cannot_be_saved(tmp_path, capsys):
    (tmp_path / "report").write_text("a file stands where the folder would be")
    assert main(["compare", "M1", "M5", "--runs", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "+4.97" in printed.out and "Not saved: " in printed.err


@pytest.mark.slow
def test_focus_measures_a_run_once_and_shows_the_table(trained, shapes, tmp_path):
    shutil.copytree(trained[0] / "runs", tmp_path / "runs")
    words = ("focus", "--rows", "A", "--methods", "saliency", "--data", shapes)
    first = command(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert (
        re.search(r"^ row .*\n.*\n A +Saliency +1 ", first.stdout, re.M)
        and "A (yours, a shortened trial, SYNTHETIC DATA)" in first.stdout
    )
    told = [line for line in first.stderr.splitlines() if "parts" in line]  # no bar: this is no terminal
    assert re.fullmatch(r"A seed 0, saliency: 1 of 3 parts", told[0])
    assert re.fullmatch(r"A seed 0, centred: 3 of 3 parts; about 0 s left", told[-1])
    (path,) = (tmp_path / "runs").glob("mine-A-*/focus.npz")
    before = path.stat().st_mtime_ns
    again = command(*words, cwd=tmp_path)
    assert again.returncode == 0 and path.stat().st_mtime_ns == before
    table = (tmp_path / "runs" / "report" / "focus.md").read_text(encoding="utf-8")
    assert "Means over the test images" in table and "| A " in table


def test_published_measurements_are_shown_without_images_and_stay_as_they_are(tmp_path, monkeypatch):
    """Fails if a row that the user has not trained is measured: that would write into the published runs."""
    monkeypatch.setenv("KERASCIFAR_DATA", "nowhere")
    before = {path: path.stat().st_mtime_ns for path in records.PUBLISHED.glob("*-M6-*/focus.npz")}
    result = command("focus", "--rows", "M6-seed20", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^ M6 +Grad-CAM +1 ", result.stdout, re.M) and "M6 (published)" in result.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.slow
def test_one_model_without_maps_keeps_no_other_from_being_measured(trained, shapes, tmp_path):
    """Fails if a run that diverged, or one whose weights are damaged, ends the command for all."""
    shutil.copytree(trained[0] / "runs", tmp_path / "runs")
    (good,) = records.list_records(tmp_path / "runs")
    for seed in (1, 2):
        folder = tmp_path / "runs" / f"seed{seed}"
        network = models.build("model1")
        network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
        made = dataclasses.replace(good, seed=seed, folder=folder)
        records.write(made, good.history, good.predictions, network)
    (folder / records.MODEL).write_bytes(b"damaged")
    result = command("focus", "--rows", "A", "--data", shapes, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"Left out: A seed 1\. .* diverged", result.stderr)
    assert re.search(r"Left out: A seed 2\. .* damaged", result.stderr)
    assert re.search(r"^ A +Grad-CAM +1 ", result.stdout, re.M)


@pytest.mark.parametrize(
    "words, key, value",
    [
        (("run", "mine.toml", "--epochs", 2, "--data"), "row", "A"),
        (("data", "--data"), "class", "circle"),
        pytest.param(("focus", "--rows", "A", "--data"), "map", "Grad-CAM", marks=pytest.mark.slow),
        (("findings",), "claim", "C1"),
        (("runs",), "run", "A-seed0"),
        (("runs", "A"), "run", "A-seed0"),
        (("compare", "A"), "run", "A"),
        (("models", "model4"), "trainable parameters", 42_314),
        (("doctor", "--data"), "what", "Python"),
    ],
)
def test_tables_are_json_where_it_is_asked_for(trained, shapes, words, key, value, monkeypatch, capsys):
    """Nothing else stands on standard output, so it can be read by another program."""
    monkeypatch.chdir(trained[0])
    words = [*map(str, words), *([str(shapes)] if words[-1] == "--data" else []), "--json"]
    assert main(words) in ((0, 1) if words[0] == "doctor" else (0,))
    first = json.loads(capsys.readouterr().out)[0]
    assert first[key] == value, first


@pytest.mark.parametrize(
    "words, answer",
    [
        (("--methods", "gradcan"), 'method "gradcan" is not known.*\n.*Did you mean "gradcam"'),
        (("--rows", "B"), '"B" is neither the folder of a finished run nor a row in runs'),
        (("--rows", "A", "--seeds", 7), "No run with seed 7 was found.\nExpected one of: 0"),
        (("--rows", "A", "--images", 5), "--images 5 is out of range. Expected 100 to 100"),
    ],
)
def test_mistakes_in_focus_arguments_are_explained(trained, shapes, words, answer):
    assert_user_error(command("focus", *words, "--data", shapes, cwd=trained[0]), answer)


def finished_epochs(folder):
    """Of the newest checkpoint; epochs are so short that any single one may not be seen."""
    return max((int(path.stem[-6:]) for path in folder.glob("runs/*/checkpoint-*.bin")), default=0)


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(tmp_path, shapes, process):
    """Fails if an interruption is a traceback, loses finished epochs or ends in another status than 130."""
    (tmp_path / "mine.toml").write_text(ROW.replace("epochs = 3", "epochs = 5000\npatience = 5000"), encoding="utf-8")
    words = ("run", "mine.toml", "--data", shapes)
    # A shell starts what runs in its background with SIGINT ignored, and so the tests, and what they start.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    first = process(*words, cwd=tmp_path, **listening)
    deadline = time.monotonic() + factories.HANG
    while not finished_epochs(tmp_path) >= 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    stopped = ended(first)
    assert stopped.returncode == 130 and "Traceback" not in stopped.stderr
    assert "Stopped." in stopped.stderr and "to go on, repeat the command:" in stopped.stderr
    kept = finished_epochs(tmp_path)
    second = process(*words, cwd=tmp_path)
    line = next(line for line in second.stdout if "A seed 0 epoch " in line)
    second.kill()
    second.communicate()
    assert f"epoch {kept + 1}:" in line


def test_a_closed_pipe_stops_the_training_with_a_message(tmp_path, shapes, process):
    """`run | head`: fails if training ends in silence, in status 0 or 1, or goes on unseen."""
    (tmp_path / "mine.toml").write_text(ROW.replace("epochs = 3", "epochs = 5000\npatience = 5000"), encoding="utf-8")
    training = process("run", "mine.toml", "--data", shapes, cwd=tmp_path)
    training.stdout.readline()
    training.stdout.close()
    with training.stderr:
        told = training.stderr.read()
    assert training.wait(factories.HANG) == 130
    assert "Stopped" in told and "Traceback" not in told


# What a user may have set for other programs, and what a system may lack.
SURROUNDINGS = {
    "GIT_DIR": "/nowhere",
    "KERAS_BACKEND": "",
    "KERAS_MAX_EPOCHS": "1",
    "MPLBACKEND": "nonsense",
    "PYTHONIOENCODING": "cp1252",
    "PYTHONWARNINGS": "error",
    "TF_USE_LEGACY_KERAS": "1",
}
ALL_WAYS = """
import sys
from kerascifar import cam
from kerascifar.__main__ import main
from kerascifar.common import entry
data = ["--data", sys.argv[1]]
statuses = [main(["run", "mine.toml", "--wide", "--epochs", "2", *data]), entry.run(cam.main, ["--all", *data])]
statuses += [main(["report", *data]), main(["doctor", *data])]
print(statuses)
"""


@pytest.mark.slow
def test_a_users_surroundings_change_no_result(trained, shapes, tmp_path):
    """Fails if a setting for other programs ends a command, changes a run, or stops one before its tables are written.

    cp1252 is the encoding of redirected output on Windows: it lacks the mark of the best row, of which there are two.
    """
    (tmp_path / "mine.toml").write_text(ROW + ROW.replace('"A"', '"B"'), encoding="utf-8")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    (tmp_path / ".keras").mkdir()
    settings = {"backend": "theano", "image_data_format": "channels_first", "floatx": "float16"}
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    result = subprocess.run(
        [sys.executable, "-c", ALL_WAYS, str(shapes)],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), **SURROUNDINGS},
        capture_output=True,
        text=True,
        encoding="cp1252",
    )
    assert result.stdout.splitlines()[-1:] == ["[0, 0, 0, 0]"], result.stderr
    first, _ = records.list_records(tmp_path / "runs")
    (usual,) = records.list_records(trained[0] / "runs")
    assert (first.history, first.results) == (usual.history, usual.results)
    assert environment_of(first)["commit"] == environment_of(usual)["commit"]
    assert "< best Valid_acc" in result.stdout
    for name in ("mine.md", "curves/mine-A.png", "cam/A-seed0-all.png", "index.html"):
        assert (tmp_path / "runs" / "report" / name).is_file(), name


def test_files_in_the_working_folder_are_not_imported(process, tmp_path):
    """Fails if a user's numpy.py is imported in place of NumPy, which ends in a traceback."""
    for name in ("numpy", "keras", "json", "rich", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user')")
    result = ended(process("models", "model4", "--json", cwd=tmp_path))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["model"] == "model4"


def test_a_package_that_imports_kerascifar_keeps_its_folder(tmp_path):
    """Fails if `python -m theirs.train` no longer finds modules of the working folder."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("import kerascifar")
    (tmp_path / "theirs" / "train.py").write_text("import helpers")
    (tmp_path / "helpers.py").write_text("print('found')")
    words = [sys.executable, "-m", "theirs.train"]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.stdout == "found\n", result.stderr
    code = "import sys; sys.argv += 9 * ['word']; import kerascifar"  # as in a process that Python spawns
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


@pytest.mark.slow
def test_without_tensorflow_focus_maps_are_explained_or_left_out(trained, shapes, tmp_path):
    """With another backend of Keras. Fails if a command gets as far as tf-keras-vis, which ends in a traceback."""
    shutil.copytree(trained[0] / "runs", tmp_path / "runs")
    code = ALL_WAYS.partition("data =")[0] + (
        "print([entry.run(cam.main, ['--all']), main(['report']), main(['demo']), main(['focus', '--rows', 'A'])])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "KERASCIFAR_DATA": str(shapes)},
        capture_output=True,
        text=True,
    )
    assert result.stdout.splitlines()[-1] == "[2, 0, 2, 2]", result.stderr
    assert result.stderr.count("need Keras on TensorFlow, but Keras runs on jax.") == 4
    assert "The gallery of focus maps is left out" in result.stderr
    assert (tmp_path / "runs" / "report" / "index.html").is_file() and not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_a_report_succeeds_beside_a_damaged_record_and_where_readme_cannot_be_written(trained, tmp_path, monkeypatch):
    """A checkout that is read-only: here, a file stands where its tables would be."""
    one = min(records.PUBLISHED.glob("experiment1-M1-seed*"))
    shutil.copytree(one, tmp_path / "published" / one.name)
    shutil.copytree(trained[0] / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "record.json").write_text('{"schema": 99}')
    for name in ("README.md", "docs"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.setattr(readme, "RESULTS", tmp_path / "docs" / "results")
    monkeypatch.setenv("KERASCIFAR_DATA", "")
    monkeypatch.setenv("KERASCIFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    result = command("report", "--out", "elsewhere", cwd=tmp_path)
    assert result.returncode == 0 and "README's tables are not updated: " in result.stderr
    assert "bad/record.json has schema 99; this version of kerascifar reads 1 to 1" in result.stderr
    assert "A (yours, a shortened trial, SYNTHETIC DATA); M1 (published)" in result.stdout
    assert (tmp_path / "elsewhere" / "index.html").is_file() and (tmp_path / "elsewhere" / "mine.csv").is_file()


def test_models_lists_a_model_without_docstring_or_convolution(monkeypatch, tmp_path):
    """Without a docstring (or with `python -OO`), and without a convolution."""
    import keras

    def bare():
        return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])

    monkeypatch.setitem(models.BUILDERS, "bare", bare)
    result = command("models", "bare", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (
        "bare: no description" in result.stdout and 'no focus maps: Model "sequential" has no Conv2D' in result.stdout
    )
    assert json.loads(command("models", "bare", "--json", cwd=tmp_path).stdout)[0]["focus maps"] is None


def test_a_builder_that_returns_nothing_is_named(monkeypatch, capsys):
    monkeypatch.setitem(models.BUILDERS, "nothing", lambda: None)
    assert main(["models", "nothing"]) == 2
    assert "its function returned None instead of a Keras model" in capsys.readouterr().err


def test_a_model_without_an_input_is_explained(monkeypatch, capsys):
    import keras

    monkeypatch.setitem(models.BUILDERS, "shapeless", lambda: keras.Sequential([keras.layers.Dense(10)]))
    assert main(["models", "shapeless"]) == 2
    assert "Begin a Sequential model with keras.Input((32, 32, 3))" in capsys.readouterr().err


def test_a_user_without_a_home_has_a_place_for_caches(monkeypatch):
    """As in a container whose user no file knows. Fails if the package does not start, even with KERASCIFAR_DATA."""

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setenv("HOME", "/to be restored")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(RuntimeError):
        Path.home()
    importlib.reload(kerascifar)
    assert Path.home().is_absolute() and Path.home().name == f"kerascifar-{os.getuid()}"


@pytest.mark.slow
def test_other_images_are_another_run(trained, tmp_path):
    """Fails if a run on one data set counts as finished for another: drawn shapes would pass for CIFAR-10."""
    from kerascifar.images import drawn

    shutil.copytree(trained[0], tmp_path / "here")
    drawn.write(tmp_path / "others", train=500, test=100, seed=2)
    result = command("run", "mine.toml", "--data", tmp_path / "others", "--epochs", 2, cwd=tmp_path / "here")
    assert result.returncode == 0 and "0 of 1 finished already" in result.stdout
    assert len(records.list_records(tmp_path / "here" / "runs")) == 2


def test_a_row_to_publish_means_all_its_seeds_that_are_yours(tmp_path, monkeypatch):
    """Fails if `publish M1` takes a published run, or one seed only."""
    for seed in (0, 1):
        factories.run(tmp_path / "runs" / f"m1-{seed}", seed=seed)
    factories.run(tmp_path / "published" / "m1-2", seed=2)
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")
    monkeypatch.chdir(tmp_path)
    of_row, of_seed, path = (publish._folders(name, tmp_path / "runs") for name in ("M1", "M1-seed1", "published"))
    assert [folder.name for folder in of_row] == ["m1-0", "m1-1"] and [f.name for f in of_seed] == ["m1-1"]
    assert path == [Path("published")]
    with pytest.raises(errors.UserError, match='"M1-seed3" is neither .*\nExpected one of: M1-seed0, M1-seed1'):
        publish._folders("M1-seed3", tmp_path / "runs")


def test_published_runs_can_be_asked_for_where_one_has_ones_own(tmp_path, monkeypatch, capsys):
    factories.run(tmp_path / "runs" / "mine", seed=7)
    factories.run(tmp_path / "published" / "theirs", seed=8)
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")
    words = ["compare", "M1", "--runs", str(tmp_path / "runs")]
    assert main(words) == 0 and "Runs used: M1 (yours)" in capsys.readouterr().out
    assert main([*words, "--published"]) == 0 and "Runs used: M1 (published)" in capsys.readouterr().out


def test_choices_trains_the_best_quarter_further_and_ranks_all(tmp_path, monkeypatch, capsys):
    """Of four candidates, one is trained with the other seeds; two questions share a candidate, trained once.

    Fails if the ranking, its file or its JSON leave one out, or if shortened runs are ranked.
    """
    row = candidates.read()[0].rows["W1"][0]
    rows = {f"c{n}": (dataclasses.replace(row, name=f"M1_c{n}", model_options={"dense": [n, n]}),) for n in range(1, 5)}
    asked = candidates.Question("q", ("M1",), rows, (100, 101))
    again = candidates.Question("again", ("M1",), {"other": rows["c1"]}, (100, 101))
    trained = []

    def train(runs, **_):
        trained.append([(run.row.name, run.seed) for run in runs])
        history = {"loss": [0.6] * 70, "accuracy": [0.78] * 70, "val_loss": [1.1] * 59 + [1.0] * 11}
        made = []
        for run in runs:
            points = run.row.model_options["dense"][0]  # c1 is the closest to the original
            validation = [*np.linspace(0.3, 0.4, 59), *[0.6708 + points / 100] * 11]
            settings = {"row": dataclasses.asdict(run.row), "seed": run.seed, "shortened": run.shortened}
            made.append(
                factories.record(experiment="choices", history=history | {"val_accuracy": validation}, **settings)
            )
        return made, None, None

    monkeypatch.setattr(candidates, "read", lambda: [asked, again])
    monkeypatch.setattr(training, "train_rows", train)
    words = ["choices", "--runs", str(tmp_path)]
    assert main([*words, "--json"]) == 0
    assert trained == [[(f"M1_c{n}", 100) for n in range(1, 5)], [("M1_c1", 101)]]
    ranking = json.loads(capsys.readouterr().out)
    assert [line["candidate"] for line in ranking if line["open choice"] == "q"] == ["c1", "c2", "c3", "c4"]
    assert [line["n"] for line in ranking if line["open choice"] == "q"] == [2, 1, 1, 1]
    assert "c4" in (tmp_path / "report" / "choices.md").read_text(encoding="utf-8")
    assert main([*words, "--epochs", "1", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "[]\n" and "Shortened runs are not ranked." in shown.err


@pytest.mark.slow
def test_the_demo_trains_two_models_and_draws_their_maps(tmp_path, monkeypatch):
    """The first command in README; with one epoch instead of its eight and five."""
    monkeypatch.setattr(demo, "Row", lambda *words, **settings: Row(*words, **settings | {"epochs": 1}))
    first, again = command("demo", cwd=tmp_path), command("demo", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "SYNTHETIC DATA" in first.stdout and "0 of 2 finished already" in first.stdout
    sheets = sorted(path.name for path in (tmp_path / "demo" / "runs" / "report" / "cam").glob("*.png"))
    assert [name.partition("-")[0] for name in sheets] == ["Demo1", "Demo4"]
    assert again.returncode == 0 and "2 of 2 finished already" in again.stdout


@pytest.mark.parametrize(("chosen", "used"), [(None, "3"), ("2", "2")])
def test_verify_trains_with_as_many_threads_as_the_run_had(monkeypatch, chosen, used):
    """Fails if users must set TF_NUM_INTRAOP_THREADS themselves to reproduce a run of one core bit for bit."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", chosen or "")  # so that it is restored
    if not chosen:
        del os.environ["TF_NUM_INTRAOP_THREADS"]
    verify._use_threads_of(factories.record(environment={"threads": {"intra_op": 3}}))
    verify._use_threads_of(factories.record(environment={"threads": None}))  # trained on JAX
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == used


@pytest.mark.slow
def test_verify_trains_a_published_run_again_and_compares(trained, shapes, tmp_path, monkeypatch):
    """The second time, nothing is trained, and one loss of the published run is another."""
    shutil.copytree(trained[0] / "runs", tmp_path / "published")
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")  # so that it is restored
    same = command("verify", "A", "--data", shapes, cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    assert same.stdout.endswith("A seed 0: bit-identical (2 epochs, all losses and accuracies).\n")
    (record,) = records.list_records(tmp_path / "published")
    history = pd.read_csv(record.folder / "history.csv")
    history.loc[2 - record.epoch_kept, "loss"] += 0.001  # of the epoch that was not kept
    history.to_csv(record.folder / "history.csv", index=False)
    other = command("verify", "A", "--data", shapes, cwd=tmp_path)
    assert other.returncode == 1 and "1 of 1 finished already" in other.stdout
    assert "A seed 0: not bit-identical.\n" in other.stdout
    value = f"{record.results['test']['accuracy']:.4f}"
    assert f"  test accuracy {value}; published: {value}\n" in other.stdout
    assert other.stdout.endswith("Not judged: that takes at least 3 published runs of the row; it has 1.\n")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["run", "nowhere.toml"], "nowhere.toml does not exist"),
        (["run", "mine.toml", "--rows", "B"], 'has no row "B"'),
        (["run", "wrong.toml"], 'Did you mean "learning_rate"'),
        (["run", "."], "folder"),
        (["comapre", "M6"], 'Did you mean "compare"'),
        (["models", "modell4"], 'Did you mean "model4"'),
        (["runs", "M66"], 'Did you mean "M6"'),
        (["compare", "M6-seed99"], '"M6-seed99" is neither'),
        (["verify", "M3"], "was trained on different images from synthetic shapes"),
        (["publish", "."], "holds drawn shapes"),
        (["data", "--data", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_explained_in_one_paragraph(tmp_path, shapes, words, answer, monkeypatch):
    monkeypatch.setenv("KERASCIFAR_DATA", str(shapes))
    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    (tmp_path / "wrong.toml").write_text(ROW + "learning_rat = 1\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    result = command(*words, cwd=tmp_path)
    assert_user_error(result, answer)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_home_in_a_folder_of_runs_is_replaced(tmp_path, monkeypatch, capsys):
    """Fails if `RUNS=~/runs`, which zsh passes on as it is, makes a folder named ~."""
    monkeypatch.setenv("HOME", str(tmp_path))
    factories.run(tmp_path / "mine" / "m1", row={"name": "Home"})
    assert main(["runs", "Home", "--runs", "~/mine"]) == 0 and "Home" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["runs", "--runs", "~nobody-here/x"])
    assert "begins with the name of a user who does not exist" in capsys.readouterr().err


def test_an_option_is_not_abbreviated(capsys):
    """Fails if `--publish` is taken for `--published`."""
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "M6", "--publish"])
    assert "unrecognized arguments: --publish" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--jobs", "0"], "--jobs 0 is out of range. Expected 1 to "),
        (["--jobs", "1000000"], "the number of cores on this machine"),
        (["--jobs", "2", "--executor", "ray"], "--jobs and --executor cannot be used together"),
        (["--jobs", "2", "--address", "auto"], "--jobs and --address cannot be used together"),
        (["--cpus-per-run", "2"], "--cpus-per-run needs --executor ray."),
        (["--gpus-per-run", "1"], "--gpus-per-run needs --executor ray or --jobs 2 or more."),
        (["--jobs", "2"], "need Ray.\nInstall it: pip install"),
    ],
)
def test_a_mistake_with_jobs_is_explained(tmp_path, shapes, monkeypatch, words, answer):
    if "need Ray" in answer:
        monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
        if (os.cpu_count() or 1) < 2:
            pytest.skip("two jobs need two cores")
    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    assert_user_error(command("run", "mine.toml", "--data", shapes, *words, cwd=tmp_path), answer)
    assert not list(tmp_path.glob("runs/mine-*"))


@pytest.mark.slow
def test_a_precision_that_makes_no_sense_here_is_refused_and_another_is_recorded(tmp_path, shapes):
    import keras

    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    words = ("run", "mine.toml", "--epochs", 1, "--data", shapes, "--precision")
    assert_user_error(command(*words, "float64", cwd=tmp_path), 'precision "float64" is not known')
    assert_user_error(command(*words, "mixed_float16", cwd=tmp_path), "mixed_float16 needs a GPU")
    assert not list(tmp_path.glob("runs/mine-*"))
    try:
        result = command(*words, "mixed_bfloat16", cwd=tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")  # this process goes on
    assert result.returncode == 0, result.stderr
    assert "Not in float32 but in mixed_bfloat16: A seed 0." in result.stdout
    (record,) = records.list_records(tmp_path / "runs")
    assert record.row.precision == "mixed_bfloat16"


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_in_status_1_and_says_what_to_change(tmp_path, shapes):
    """Also where the run is found again. Fails if a script takes it for a result, or has to search for the reason."""
    (tmp_path / "mine.toml").write_text(f'{ROW}optimizer = "sgd"\nlearning_rate = 100.0\n', encoding="utf-8")
    for _ in range(2):
        result = command("run", "mine.toml", "--data", shapes, cwd=tmp_path)
        assert result.returncode == 1, result.stderr
        text = " ".join(result.stdout.split())
        assert "because the loss became NaN or infinite: A seed 0. A smaller learning_rate may prevent it." in text
    (record,) = records.list_records(tmp_path / "runs")
    assert (record.stop, record.epochs_trained) == ("loss not finite", 1)


def test_no_data_names_the_places_the_address_and_the_demo(tmp_path, process):
    env = {
        "KERASCIFAR_DATA": "",
        "KERASCIFAR_CACHE": str(tmp_path / "cache"),
        "KERAS_HOME": str(tmp_path / "keras"),
        # A proxy that does not answer: no test may download, on a machine that could.
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    }
    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    result = ended(process("run", "mine.toml", cwd=tmp_path, env=env))  # urllib looks for proxies once in a process
    assert result.returncode == 2 and "Traceback" not in result.stderr
    for words in ("https://", "KERASCIFAR_DATA", "kerascifar demo", str(tmp_path / "keras")):
        assert words in result.stderr


def test_damaged_data_is_reported_and_nothing_is_trained(tmp_path, shapes):
    """`tests/images/test_verification.py` damages them in every way."""
    shutil.copytree(shapes, tmp_path / "images")
    path = tmp_path / "images" / "cifar-10-batches-bin" / "data_batch_1.bin"
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    assert_user_error(command("run", "mine.toml", "--data", "images", cwd=tmp_path), r"data_batch_1\.bin")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_two_commands_at_once_share_the_runs(tmp_path, shapes):
    """Fails if both train the same run, or if one waits: each trains the next one that is free."""
    (tmp_path / "mine.toml").write_text(ROW + ROW.replace('"A"', '"B"'), encoding="utf-8")
    # They start together, however long each takes to import TensorFlow.
    source = (
        "import sys; from kerascifar.__main__ import main; from kerascifar.common.load_keras import load_keras; "
        "load_keras(); print('ready', flush=True); sys.stdin.readline(); sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", source, "run", "mine.toml", "--data", shapes]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    env = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(words, cwd=tmp_path, env=env, text=True, **pipes) for _ in range(2)]
    assert [one.stdout.readline() for one in both] == ["ready\n"] * 2
    for one in both:
        one.stdin.write("now\n")
        one.stdin.flush()
    results = [ended(one) for one in both]
    assert [result.returncode for result in results] == [0, 0], results
    ends = [re.findall(r"^(\w) seed 0: epoch limit after epoch 3", result.stdout, re.M) for result in results]
    assert sorted(ends) == [["A"], ["B"]]
    assert len(records.list_records(tmp_path / "runs")) == 2
    assert not list((tmp_path / "runs").rglob("checkpoint-*")) and not list(tmp_path.rglob(".unfinished-*"))


@pytest.mark.slow
def test_a_run_locked_by_another_process_is_skipped_and_a_stale_lock_blocks_nothing(tmp_path, shapes):
    """Fails if a lock is a file's existence: it would outlive its process; or if a held one is ignored."""
    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    words = ("run", "mine.toml", "--data", shapes, "--epochs", 1)
    holder = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); "
        "sys.stdin.read()"
    )
    done = command(*words, cwd=tmp_path)
    (lock,) = (tmp_path / "runs" / ".locks").iterdir()
    (folder,) = tmp_path.glob("runs/mine-*")
    shutil.rmtree(folder)
    with subprocess.Popen([sys.executable, "-c", holder, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        result = command(*words, cwd=tmp_path)
        assert result.returncode == 0 and "Skipped, as another process is training them: A seed 0." in result.stdout
        assert not folder.exists()
        other.kill()
    assert lock.exists()
    result = command(*words, cwd=tmp_path)
    assert "A seed 0: epoch limit after epoch 1" in result.stdout and done.returncode == 0


def _small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_full_disk_is_reported_and_earlier_results_stay(trained, shapes, tmp_path, process):
    """A limit on the size of files stands for a full disk: the checkpoint cannot be written."""
    shutil.copytree(trained[0], tmp_path / "here")
    before = {p: p.read_bytes() for p in (tmp_path / "here" / "runs").glob("mine-*/*")}
    words = ["run", "mine.toml", "--data", shapes, "--seeds", 1]
    result = process(*words, cwd=tmp_path / "here", preexec_fn=_small_files)
    assert_user_error(ended(result), "would exceed this process's file size limit")
    assert {p: p.read_bytes() for p in before} == before
    assert not list((tmp_path / "here" / "runs").rglob(".unfinished-*"))


@pytest.mark.parametrize("runs", ["file", "read-only", "file/below"])
def test_an_unwritable_runs_folder_is_reported(tmp_path, shapes, runs):
    (tmp_path / "mine.toml").write_text(ROW, encoding="utf-8")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "read-only").mkdir(mode=0o555)
    place = runs
    if runs == "read-only" and os.access(tmp_path / "read-only", os.W_OK):  # root may write anywhere but there:
        place = "/sys/kerascifar"
    result = command("run", "mine.toml", "--data", shapes, "--runs", place, cwd=tmp_path)
    assert_user_error(result, "where a folder is needed|permission to read or write|read-only")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_focus_map_is_drawn_and_its_path_printed(trained, shapes, tmp_path):
    words = ["--class", "circle", "--data", shapes, "--runs", trained[0] / "runs", "--out", "map.png"]
    result = command(*words, cwd=tmp_path, program=draw)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "map.png"
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.width > 600


def test_report_without_any_run_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "none")
    assert main(["report", "--runs", str(tmp_path / "runs")]) == 2
    assert "no finished run" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_findings_shows_each_comparison_and_needs_no_tensorflow(tmp_path):
    """Half of its time would be the import. Fails if a module on its way imports TensorFlow."""
    code = "import sys; from kerascifar.__main__ import main; main(['findings', '--details', '--runs', sys.argv[1]]); "
    code += "print('tensorflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"
    assert " ".join(result.stdout.split()).count("M6 higher than M7, test_accuracy") == 1
