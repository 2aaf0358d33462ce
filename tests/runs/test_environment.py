"""What a record says of its environment: everything that decides a result, and nothing private."""

import json
import os
import subprocess
import sys

import pytest
from factories import ROOT

from kerascifar.runs import environment

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


def test_what_decides_a_result_is_recorded_and_folders_are_not():
    found = described(
        TF_NUM_INTRAOP_THREADS="1", ONEDNN_MAX_CPU_ISA="AVX2", KERAS_HOME="/home/me", TF_CPP_MIN_LOG_LEVEL="3"
    )
    assert {"tensorflow", "keras", "numpy", "scipy", "opencv-python-headless"} <= set(found["versions"])
    assert found["threads"] == {"intra_op": 1, "inter_op": 1}
    assert found["variables"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert not {"KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL"} & set(found["variables"])
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
    head, changed = environment.commit()
    assert head is not None and not changed
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(ROOT))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert environment.commit() == (head, False)
    (folder / "kerascifar" / "b.py").write_text("")
    assert environment.commit() == (head, True)
