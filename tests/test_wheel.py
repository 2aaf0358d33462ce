"""An installed wheel does what a checkout does, in a folder without one; only publishing needs the source."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys

import pytest
from factories import HANG, ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Starts commands of the wheel in an empty folder, several in one process, until one fails.

    The dependencies are those that are installed here.
    """
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = folder / "source"  # a build leaves files beside the source
    copied = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(copied, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    empty = folder / "empty"
    empty.mkdir()
    # Without images unless a test names them: the gallery of the page takes long.
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "KERASCIFAR_DATA": ""}

    def start(*commands):
        words = [[str(word) for word in command] for command in commands]
        source = f"from kerascifar.__main__ import main; raise SystemExit(next(filter(None, map(main, {words})), 0))"
        result = subprocess.run(
            [sys.executable, "-c", source],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    return start


def test_every_package_that_is_imported_is_declared():
    """Fails if one arrives only because another package needs it. torch and jax: the user chose that backend."""
    imported = set()
    for path in (ROOT / "kerascifar").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    imported -= {*sys.stdlib_module_names, "kerascifar", "torch", "jax"}
    declared = {re.match(r"[\w-]+", text)[0].lower() for text in importlib.metadata.requires("kerascifar")}
    distributions = importlib.metadata.packages_distributions()
    assert {"numpy", "ray"} <= imported
    assert {name for name in imported if not declared & {each.lower() for each in distributions[name]}} == set()


def test_an_experiment_is_trained_by_its_name(installed, shapes):
    status, text = installed(["run", "experiment1", "--rows", "M1", "--epochs", 1, "--data", shapes])
    assert status == 0 and re.search(r"M1 seed \d+: epoch limit after epoch 1", text), text
    status, text = installed(["choices", "--epochs", 0, "--data", shapes])
    assert status == 2 and "--epochs 0" in text, text


def test_the_published_runs_are_judged_compared_and_shown(installed):
    status, text = installed(["findings"], ["compare", "M6"], ["report", "--runs", "none"])
    assert status == 0, text


def test_a_published_model_is_explained(installed, real_data):
    status, text = installed(["cam", "--class", "airplane", "--row", "M6", "--data", real_data])
    assert status == 0 and re.search(r"M6-seed\d+-airplane\.png", text), text


def test_publishing_needs_a_checkout_and_says_so(installed, shapes):
    status, text = installed(["publish", "runs", "--data", shapes])
    assert status == 2 and "needs a checkout of the source" in text, text


def test_an_unknown_experiment_is_answered_with_those_that_are_shipped(installed):
    status, text = installed(["run", "experiment9"])
    assert status == 2 and "experiment1, experiment2" in text, text
