"""Each check sees what is wrong, and says what to do."""

import importlib.metadata

import pytest

from kerascifar.__main__ import main
from kerascifar.commands import doctor
from kerascifar.output import figures


def by_name(runs, source):
    return {check.what: check for check in doctor.checks(runs, source)}


def test_a_machine_that_is_right(tmp_path, shapes, capsys):
    found = by_name(tmp_path / "runs", shapes)
    assert [check.what for check in found.values() if not check.right] == []
    assert "tensorflow 2." in found["packages"].found and "cores" in found["device"].found
    assert "synthetic shapes, verified" in found["CIFAR-10"].found and "GiB free" in found["runs"].found
    assert main(["doctor", "--runs", str(tmp_path / "runs"), "--data", str(shapes)]) == 0
    assert capsys.readouterr().out.count("✓") == len(found)


@pytest.mark.parametrize("fault", ["package", "dot", "data", "room", "folder"])
def test_what_is_wrong_is_found_with_what_to_do(fault, tmp_path, shapes, monkeypatch, capsys):
    runs, source = tmp_path / "runs", shapes
    what, todo = "runs", "--runs DIR"
    if fault == "package":
        real = importlib.metadata.version
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0" if name == "pandas" else real(name))
        what, todo = "packages", "make clean setup"
    if fault == "dot":
        monkeypatch.setattr(
            figures, "graphviz_missing", lambda: "Graphviz's program dot is missing (apt install graphviz)"
        )
        what, todo = "Graphviz", "apt install"
    if fault == "data":
        source = tmp_path / "nothing"
        what, todo = "CIFAR-10", "--data or KERASCIFAR_DATA"
    if fault == "room":
        monkeypatch.setattr(doctor, "ROOM", 10**18)
    if fault == "folder":
        runs.write_text("a file")
    check = by_name(runs, source)[what]
    assert not check.right and todo in check.todo
    assert main(["doctor", "--runs", str(runs), "--data", str(source)]) == 1
    assert todo in capsys.readouterr().out
