"""The Makefile's own logic: a variable that a target does not take is not ignored. `make -n` runs no recipe."""

import os
import re
import shutil
import subprocess

import pytest
from factories import ROOT

# As in a terminal: the variables of the `make test` that these tests may run in are not theirs.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}


def make(*words):
    return subprocess.run(
        ["make", "-n", *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "words, answer",
    [
        (("experiment1", "ROW=M6"), r"takes no ROW \(did you mean ROWS\?\)\. .* ROWS SEEDS EPOCHS JOBS DATA RUNS"),
        (("verify", "ROWS=M6"), r"takes no ROWS \(did you mean ROW\?\)"),
        (("demo", "EPOCHS=1"), r"`make demo` takes no EPOCHS\. Its variables: none"),
        (("report", "test", "KILLS=1"), r"`make report test` takes no KILLS"),
        (("EPOCHS=1",), r"`make help` takes no EPOCHS"),
    ],
)
def test_a_variable_that_the_target_does_not_take_stops_make(words, answer):
    result = make(*words)
    assert result.returncode == 2 and re.search(answer, result.stderr) and not result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("experiment1", "ROWS=M6 M1", "SEEDS=0 1", "EPOCHS=1", "JOBS=2", "DATA=a b", "RUNS=c"),
        ("report", "soak", "KILLS=1", "DATA=x"),
        ("test-all", "TORCH=cpu"),
        ("setup", "PYTHON=python3", "VENV=.venv", "-j2"),
        ("help", "PYTHON=python3"),
    ],
)
def test_a_variable_that_a_target_takes_is_taken(words):
    result = make(*words)
    assert result.returncode == 0, result.stderr


def test_a_fork_changes_the_address_everywhere(tmp_path):
    """Fails if a page, a notebook or the citation keeps an address that differs from the one in pyproject.toml."""
    old, new = "https://example.org/kerascifar.git", "https://example.com/fork.git"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    pages = [name for name in tracked if name.endswith((".md", ".ipynb", ".cff", ".toml")) or name == "Makefile"]
    showing = [name for name in pages if old in (ROOT / name).read_text(encoding="utf-8")]
    notebooks = {name for name in tracked if name.endswith(".ipynb")}
    assert {"pyproject.toml", "CITATION.cff", "README.md", "docs/install.md"} | notebooks <= set(showing)
    for name in showing:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Makefile", tmp_path)
    words = ["make", "address", f"URL={new}"]
    subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True)
    texts = {name: (tmp_path / name).read_text(encoding="utf-8") for name in showing if name != "Makefile"}
    assert all(new in text and old not in text for text in texts.values()), texts.keys()
    refused = subprocess.run(words[:2], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert refused.returncode == 2 and "Give an address" in refused.stdout


def test_help_shows_the_variables():
    told = subprocess.run(["make", "help"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True).stdout
    assert re.search(r"^make choices .* EPOCHS JOBS DATA RUNS$", told, re.M)
    assert re.search(r"^make verify .* ROW=M3 SEED=20 DATA RUNS$", told, re.M)


@pytest.mark.parametrize("target", ["experiment1", "experiment2", "choices"])
def test_jobs_reach_the_command(target):
    assert re.search(rf"kerascifar .*{target}.* --jobs 2", make(target, "JOBS=2").stdout)


@pytest.mark.parametrize("target", ["test", "quick"])
def test_the_import_contracts_are_checked(target):
    assert re.search(r"^\S*python \S*lint-imports ", make(target).stdout, re.M)


def test_every_optional_test_is_run_by_test_all():
    """A file that a missing package skips, and that `make test-all` leaves out, is run nowhere."""
    installed = "playwright|axe|pyarrow|ray|pydot"  # by make setup
    skips = re.compile(rf"""(?:importorskip\("(?!{installed})|find_spec\(backend\) is None)""")
    optional = {path.name for path in (ROOT / "tests").rglob("test_*.py") if skips.search(path.read_text("utf-8"))}
    told = make("test-all").stdout
    assert optional - {"test_make.py"} == set(re.findall(r"tests/\w+/(\w+\.py)", told))
