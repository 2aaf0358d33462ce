"""What a record says of its environment: everything that decides a result, and nothing private."""

import contextlib
import importlib
import json
import os
import subprocess
import sys

import keras
import pytest
from factories import ROOT
from rich.console import Console

from kerascifar.commands import doctor
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import environment, experiment, one_run, publish, records
from kerascifar.training.rows import PLAIN_TEXT, Row, Run

DESCRIBE = """
import json
from kerascifar.training import device
from kerascifar.runs import environment
print(json.dumps(environment.describe(device.prepare().name)))
"""
TOO_LATE = """
import os
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import tensorflow
del os.environ["TF_ENABLE_ONEDNN_OPTS"]
"""


def described(code=DESCRIBE, **variables):
    """In a process of its own, as TensorFlow reads its variables once."""
    clean = {k: v for k, v in os.environ.items() if k not in ("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS")}
    result = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **variables}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1])


def test_the_hash_of_the_source_covers_what_decides_a_trained_model(tmp_path, monkeypatch):
    """Fails if a change of the images or the training goes unnoticed, or if one of the output makes runs differ."""
    for path in ("images/a.py", "training/b.py", "output/c.py"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text("x = 1")
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)

    def changed(path, text):
        before = environment.source()
        (tmp_path / path).write_text(text)
        return environment.source() != before

    assert changed("images/a.py", "x = 2") and changed("training/b.py", "x = 2")
    assert changed("training/new.py", "")
    assert not changed("output/c.py", "x = 2")


def test_every_installed_package_that_computes_is_recorded():
    """Fails if a package is missed because its metadata spells its name differently, as ml_dtypes does."""
    versions = environment._versions()
    for module, package in (("ml_dtypes", "ml-dtypes"), ("cv2", "opencv-python-headless"), ("numpy", "numpy")):
        assert versions[package].startswith(importlib.import_module(module).__version__)


def test_onednn_is_on_unless_the_user_says_otherwise():
    """TensorFlow itself is asked. Fails without AVX-512 if the variable is missing, and if a user's own is lost."""
    on, off = described(), described(TF_ENABLE_ONEDNN_OPTS="0")
    assert (on["onednn"], on["variables"]["TF_ENABLE_ONEDNN_OPTS"]) == (True, "1")
    assert (off["onednn"], off["variables"]["TF_ENABLE_ONEDNN_OPTS"]) == (False, "0")


def test_onednn_is_on_before_any_module_loads_tensorflow():
    """Every entry point imports the package first; fails if the variable is set anywhere later."""
    code = "import kerascifar, os, sys; print('tensorflow' in sys.modules, os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    clean = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    result = subprocess.run([sys.executable, "-c", code], env=clean, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "1"]


def test_a_variable_that_came_too_late_is_not_recorded_as_on():
    """A program that loads TensorFlow first: the variable stands there, and oneDNN is as TensorFlow found it."""
    late = described(TOO_LATE + DESCRIBE)
    assert (late["onednn"], late["variables"]["TF_ENABLE_ONEDNN_OPTS"]) == (False, "1")


@pytest.mark.parametrize(
    "script, problem",
    [
        ("echo \"fatal: detected dubious ownership in repository at '/x'\" >&2; exit 128", "dubious ownership"),
        # The commit is known, but not whether the files are those of the commit.
        ("case $3 in status) echo 'fatal: index file corrupt' >&2; exit 128;; esac; echo c0ffee", "index file corrupt"),
    ],
)
def test_a_git_that_refuses_to_answer_is_not_recorded_as_an_answer(tmp_path, monkeypatch, script, problem):
    """Fails if "unknown" becomes "no commit", or "committed", or if doctor takes it for an installed package."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    code = environment.commit()
    assert (code.name, code.uncommitted) == (None, None) and problem in code.problem
    made = environment.describe("CPU, 1 cores")
    assert (made["commit"], made["uncommitted"]) == (None, None) and problem in made["git"]
    check = next(check for check in doctor.checks(tmp_path, None) if check.what == "kerascifar")
    assert not check.right and "commit unknown, because git fails (fatal: " in check.found
    with pytest.raises(UserError, match="not committed, or Git cannot tell"):
        publish.check_measuring(10, 10)


def test_a_package_without_a_checkout_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    assert environment.commit() == (None, True, "")


def test_a_processor_with_an_odd_name_makes_no_record_unreadable(monkeypatch):
    """Fails if the name is recorded with signs that the reader of records refuses."""
    monkeypatch.setattr(environment, "_processor", lambda: "Genuine Intel(R) CPU 0000%@ " + 100 * "x")
    for key, name in environment.describe("GeForce™ RTX").items():
        if key in ("device", "processor"):
            assert PLAIN_TEXT.fullmatch(name)


def test_a_run_is_as_uncommitted_as_the_worst_of_its_parts(shapes, tmp_path, monkeypatch):
    """Each part is an epoch after which the run was stopped. Fails if "unknown" in one of them is lost."""
    dataset, console = cifar10.load(shapes), Console(quiet=True)
    described = environment.describe("CPU, 1 cores")
    runs = [Run("x", Row("A", "model1", epochs=2, batch_size=400), 0)]

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    for uncommitted, callbacks in zip((False, None), ([Stop()], []), strict=True):
        monkeypatch.setattr(environment, "describe", lambda *_, u=uncommitted: {**described, "uncommitted": u})
        with contextlib.suppress(KeyboardInterrupt):
            experiment.train_runs(runs, dataset, tmp_path, console, callbacks=lambda *_, c=callbacks: c)
    (record,) = records.list_records(tmp_path)
    assert record.environment["uncommitted"] is None
    assert [part["uncommitted"] for part in record.environment["earlier"]] == [False]


def test_code_that_only_writes_the_record_counts_too(shapes, tmp_path, monkeypatch):
    """All epochs with committed code, then a kill before the record, and an edit."""
    dataset, console = cifar10.load(shapes), Console(quiet=True)
    described = environment.describe("CPU, 1 cores")
    runs = [Run("x", Row("A", "model1", epochs=1, batch_size=400), 0)]

    write = records.write

    def killed(record, *rest):
        if record.folder.parent == tmp_path:  # not in the trial before the first epoch
            raise KeyboardInterrupt
        write(record, *rest)

    for uncommitted in (False, True):
        monkeypatch.setattr(environment, "describe", lambda *_, u=uncommitted: {**described, "uncommitted": u})
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            if not uncommitted:
                patch.setattr(records, "write", killed)
            experiment.train_runs(runs, dataset, tmp_path, console)
    (record,) = records.list_records(tmp_path)
    assert record.environment["uncommitted"] is True


@pytest.mark.parametrize("parts, whole", [([None, True], True), ([False, False], False), ([False, True], True)])
def test_the_worst_of_several_answers_counts(parts, whole):
    assert one_run.worst(parts) is whole


def test_what_decides_a_result_is_recorded_and_folders_are_not():
    found = described(
        TF_NUM_INTRAOP_THREADS="1",
        ONEDNN_MAX_CPU_ISA="AVX2",
        KERAS_HOME="/home/me",
        TF_CPP_MIN_LOG_LEVEL="3",
        TF_CLI_CONFIG_FILE="/home/me/.terraformrc",
    )
    assert {"tensorflow", "keras", "numpy", "scipy", "opencv-python-headless"} <= set(found["versions"])
    assert found["threads"] == {"intra_op": 1, "inter_op": 1}
    assert found["variables"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert not {"KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL", "TF_CLI_CONFIG_FILE"} & set(found["variables"])
    assert found["keras"] == {"floatx": "float32", "epsilon": pytest.approx(1e-7)}


def git(folder, *words):
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def test_gits_variables_and_settings_for_other_repositories_answer_nothing_here(tmp_path, monkeypatch):
    """Within a hook, GIT_DIR names another repository; a user may hide untracked files, which are uncommitted code."""
    folder = tmp_path / "größe"
    (folder / "kerascifar").mkdir(parents=True)
    (folder / "kerascifar" / "a.py").write_text("")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "a")
    git(folder, "config", "status.showUntrackedFiles", "no")
    monkeypatch.setattr(environment, "CHECKOUT", folder)
    head, uncommitted, _ = environment.commit()
    assert head is not None and not uncommitted
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(ROOT))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert environment.commit()[:2] == (head, False)
    (folder / "kerascifar" / "b.py").write_text("")
    assert environment.commit()[:2] == (head, True)
