"""CONTRIBUTING.md's examples work as they stand: its blocks are pasted, and its commands run, on drawn shapes."""

import contextlib
import importlib
import io
import re
import runpy
import sys
import types

import factories
import keras
import numpy as np
import pandas as pd
import pytest
from factories import ROOT

from kerascifar.__main__ import main
from kerascifar.findings import claims, rule
from kerascifar.runs import records
from kerascifar.training import models, rows

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)[1]


def blocks(title, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.M | re.S)


def run_commands(title, folder):
    """Runs the section's commands in `folder`, and returns what they printed."""
    printed = io.StringIO()
    commands = [line.split()[3:] for block in blocks(title, "sh") for line in block.splitlines()]
    assert commands
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        assert [main(words) for words in commands] == [0] * len(commands)
    return printed.getvalue()


def paste_function(title, monkeypatch):
    """Adds the section's function to the module that the section names, then runs the section's test of it."""
    path, test = re.search(r"Add a function to `(\S+)\.py`.*Test it in `(\S+)`", section(title), re.S).groups()
    function, test_function = blocks(title, "python")
    module = importlib.import_module(path.replace("/", "."))
    for name, value in _new(function, vars(module)).items():
        monkeypatch.setattr(module, name, value, raising=False)
    tests = _new(test_function, runpy.run_path(str(ROOT / test)))
    assert tests
    for run_test in tests.values():
        run_test()


def _new(code, there):
    """The names that the code defines where `there` is defined already."""
    namespace = dict(there)
    exec(compile(code, "CONTRIBUTING.md", "exec"), namespace)
    return {name: value for name, value in namespace.items() if name not in there}


def paste_lines(title, monkeypatch):
    """Applies the section's diff to a copy of the module, which takes its place wherever it was imported."""
    (diff,) = blocks(title, "diff")
    path = re.search(r"^\+\+\+ b/(\S+)$", diff, re.M)[1]
    source = (ROOT / path).read_text(encoding="utf-8")
    for hunk in diff.split("@@\n")[1:]:
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        assert source.count(old) == 1, f"CONTRIBUTING.md changes lines that {path} does not have once:\n{old}"
        source = source.replace(old, new)
    package, _, name = path.removesuffix(".py").replace("/", ".").rpartition(".")
    module = types.ModuleType(f"{package}.{name}")
    exec(compile(source, path, "exec"), vars(module))
    original = importlib.import_module(module.__name__)
    for user in [each for other, each in sys.modules.items() if other.startswith("kerascifar.")]:
        if vars(user).get(name) is original:
            monkeypatch.setattr(user, name, module)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shapes):
    """A user's folder, whose experiment 1 has the rows that CONTRIBUTING.md adds."""
    folder = tmp_path_factory.mktemp("contributing")
    (folder / "experiments").mkdir()
    text = (ROOT / "experiments" / "experiment1.toml").read_text(encoding="utf-8")
    (folder / "experiments" / "experiment1.toml").write_text(text + blocks("A row", "toml")[0], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCIFAR_DATA", str(shapes))
        yield folder


@pytest.fixture(scope="module")
def compared(folder):
    """What the commands of "A row" print; they leave runs of M1 and M9."""
    return run_commands("A row", folder)


def trained(folder, name):
    (record,) = [record for record in records.list_records(folder / "runs") if record.name == name]
    return record


def test_the_row_is_trained_and_compared(compared, folder):
    """Fails if a key is no field of `Row`, or if the row does not start from the defaults."""
    row = trained(folder, "M9").row
    assert (row.learning_rate, row.batch_size, row.epochs) == (0.0005, 256, 1)
    assert row.model_options == trained(folder, "M1").row.model_options
    assert re.search(r"^ M1 .*\n( .*\n)* M9 +lr 0\.0005 .* shortened", compared, re.M)
    assert "M1, M9 (yours, a shortened trial, SYNTHETIC DATA)" in compared


def test_the_row_with_every_option_is_read(tmp_path):
    """Fails if an option in the text is not one, or is not explained where the text says."""
    path = tmp_path / "experiment1.toml"
    text = (ROOT / "experiments" / "experiment1.toml").read_text(encoding="utf-8")
    path.write_text(text + blocks("A row", "toml")[1], encoding="utf-8")
    row = rows.read(path).rows[-1]
    assert row.augment and row.mixes  # experiment 1 augments only some rows
    for key in ("weight_decay", "ema_momentum", "warmup", "crop", "mixup"):
        assert key in rows.Row.__doc__ and any(key in table for table in vars(row).values() if isinstance(table, dict))


def test_the_examples_in_readme_are_these(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "BUILDERS", dict(models.BUILDERS))
    paste_function("A model", monkeypatch)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"```python\n(@model.*?)```", readme, re.S)[1] == blocks("A model", "python")[0]
    (tmp_path / "mine.toml").write_text(re.search(r"```toml\n(.*?)```", readme, re.S)[1], encoding="utf-8")
    (row,) = rows.read(tmp_path / "mine.toml").rows
    assert (row.name, row.model, row.model_options["width"]) == ("Mine", "mine", 64)


def test_the_model_is_listed_and_trained(folder, monkeypatch):
    monkeypatch.setattr(models, "BUILDERS", dict(models.BUILDERS))
    paste_function("A model", monkeypatch)
    path = folder / "experiments" / "experiment1.toml"
    path.write_text(path.read_text(encoding="utf-8") + blocks("A model", "toml")[0], encoding="utf-8")
    printed = run_commands("A model", folder)
    assert printed.startswith("mine: One convolution") and "trainable parameters 1,226" in printed
    record = trained(folder, "Mine")
    assert (record.row.model, record.epochs_trained) == ("mine", 1)
    weights = keras.saving.load_model(record.folder / "model.keras").get_weights()
    assert [w.shape for w in weights] == [(3, 3, 3, 8), (8,), (8, 10), (10,)]


@pytest.mark.parametrize("shares, verdict", [((0.75, 0.7), "confirmed"), ((0.7, 0.75), "refuted")])
def test_the_claim_is_read_and_decided(tmp_path, shares, verdict):
    """Fails if the comparison is not read as it is meant: M7 is higher than M8, or the claim does not hold."""
    (tmp_path / "mine.toml").write_text(blocks("A claim", "toml")[0], encoding="utf-8")
    both = zip(("M7", "M8"), shares, strict=True)
    runs = [factories.answering(name, seed, share) for name, share in both for seed in range(6)]
    (decision,) = rule.decide(runs, claims.read(tmp_path / "mine.toml"))
    assert decision.verdict == verdict


def test_the_measure_finds_the_planted_evidence_and_is_measured(compared, folder, monkeypatch):
    paste_function("A measure of focus maps", monkeypatch)
    paste_lines("A measure of focus maps", monkeypatch)
    run_commands("A measure of focus maps", folder)
    table = pd.read_csv(folder / "runs" / "report" / "focus.csv").set_index(["row", "map"])
    value = table.loc[("M9", "Grad-CAM"), "spread"]
    with np.load(trained(folder, "M9").folder / "focus.npz") as file:
        spread = file["gradcam/spread"].astype("float64")
    assert value == pytest.approx(np.nanmean(spread), abs=0.01)
    assert 0 <= np.nanmin(spread) < np.nanmax(spread) < 16


def test_the_figure_is_drawn_and_written(compared, folder, monkeypatch):
    paste_function("A figure", monkeypatch)
    paste_lines("A figure", monkeypatch)
    assert "figures" in run_commands("A figure", folder)
    assert (folder / "runs" / "report" / "seeds-M9.png").read_bytes().startswith(b"\x89PNG")
