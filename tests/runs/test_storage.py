"""A storage keeps the runs when nodes share no folder: file:// always, S3's protocol in `make test-all`."""

import contextlib
import dataclasses
import os
import pickle
import signal
import subprocess
import sys

import factories
import numpy as np
import pytest
from factories import ROOT
from rich.console import Console

from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import cluster, experiment, records
from kerascifar.training import rows

pytest.importorskip("pyarrow")
cloudpickle = pytest.importorskip("ray.cloudpickle")

from kerascifar.runs.storage import Storage  # noqa: E402

NODE = """
import os, pickle, signal, sys
from kerascifar.runs import cluster
from kerascifar.runs.storage import Storage
whole, copies = Storage.push, 0
def push(self, folder):
    global copies
    whole(self, folder)
    copies += 1
    if copies == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
Storage.push = push
cluster.COPY_EVERY = 0
cluster._train_one(*pickle.load(open(sys.argv[1], "rb")))
"""


@pytest.fixture(params=["file", "s3"])
def uri(request, tmp_path, monkeypatch):
    if request.param == "file":
        yield f"file://{tmp_path}/storage"
        return
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    yield f"s3://bucket/{tmp_path.name}?scheme=http&endpoint_override={host}:{port}&region=us-east-1&allow_bucket_creation=true"
    server.stop()


def pulled(storage, folder):
    """Names of the run's files in the storage, after copying them into `folder`."""
    storage.pull(folder)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_resumed_on_another_node_without_a_shared_folder(uri, tmp_path, shapes):
    small = {"filters": [4, 4, 4], "dense": [8, 8]}
    row = rows.Row("A", "model1", model_options=small, batch_size=50, epochs=5, patience=5)
    (run,) = rows.Experiment("mine", (row,)).runs()
    packed = []

    def pack(work):  # an executor
        (run,) = work.runs
        for name, storage in {"node": Storage(uri), "local": None}.items():
            sent = dataclasses.replace(work, console=None, folder=tmp_path / name)
            arguments = (cloudpickle.dumps((sent, False, storage, False)), run, cifar10.load(shapes))
            (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(arguments))
        packed.append(run)
        return []

    experiment.train_runs([run], cifar10.load(shapes), tmp_path / "runs", Console(quiet=True), execute=pack)
    (run,) = packed
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def node(name, copies=0):
        """Trains in a process, which is killed after so many copies to the storage; what it said."""
        words = [sys.executable, "-c", NODE, str(tmp_path / f"{name}.pkl"), str(copies)]
        ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=factories.HANG)
        assert ended.returncode == (-signal.SIGKILL if copies else 0), ended.stderr
        return ended.stdout

    node("node", copies=3)
    assert pulled(Storage(uri), tmp_path / "seen" / run.id) == ["checkpoint-000001.bin", "checkpoint-000002.bin"]
    assert "resuming after epoch 2" in node("node") and "resuming" not in node("local")
    assert not (tmp_path / "node").exists()
    assert pulled(Storage(uri), tmp_path / "back" / run.id) == sorted(
        path.name for path in (tmp_path / "local" / run.id).iterdir()
    )
    a, b = (records.read(tmp_path / place / run.id) for place in ("back", "local"))
    assert (a.history, a.results) == (b.history, b.results)
    assert all(np.array_equal(a.predictions[name], b.predictions[name]) for name in b.predictions)


@pytest.mark.filterwarnings("ignore")
def test_a_node_with_another_backend_trains_nothing(tmp_path, shapes, monkeypatch):
    """Fails if a worker trains in an environment that would change the result."""
    (run,) = rows.Experiment("mine", (rows.Row("A", "model1", epochs=1),)).runs()

    def execute(work):
        other = dataclasses.replace(work, console=None, made_with={**work.made_with, "backend": "none"})
        cluster._train_one(cloudpickle.dumps((other, False, None, False)), *work.runs, cifar10.load(shapes))

    with pytest.raises(UserError, match=r"^backend differs on this node: .*; the command has none\.$"):
        experiment.train_runs([run], cifar10.load(shapes), tmp_path / "runs", Console(quiet=True), execute=execute)
    assert not records.list_records(tmp_path / "runs")


def test_push_removes_outdated_files_and_writes_the_record_last(uri, tmp_path, monkeypatch):
    storage, folder = Storage(uri), tmp_path / "run"
    assert pulled(storage, tmp_path / "none") == []
    folder.mkdir()
    for name in ("checkpoint-000001.bin", "history.csv", ".unfinished-x"):
        (folder / name).write_text("old")
    storage.push(folder)
    (folder / "checkpoint-000001.bin").unlink()
    names = ("checkpoint-000002.bin", "history.csv", "record.json", "model.keras")
    for name in names:
        (folder / name).write_text("new")
    written = []
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "_write", lambda *words, write=Storage._write: (written.append(words[1]), write(*words)))
        storage.push(folder)
    assert len(written) == 4 and written[-1].endswith("record.json")
    back = tmp_path / "back" / "run"
    assert pulled(storage, back) == sorted(names)
    assert {path.read_text() for path in back.iterdir()} == {"new"}


def test_push_keeps_the_files_of_a_worker_that_is_further_ahead(uri, tmp_path):
    """A node thought dead and its successor may train the same run: fails if one removes the other's files."""
    storage, ahead, behind = Storage(uri), tmp_path / "ahead" / "run", tmp_path / "behind" / "run"
    for folder, names in ((ahead, ["checkpoint-000009.bin"]), (behind, ["checkpoint-000005.bin"])):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name)
        storage.push(folder)
    assert "checkpoint-000009.bin" in pulled(storage, tmp_path / "seen" / "run")
    (ahead / "checkpoint-000009.bin").unlink()
    whole = ["history.csv", "model.keras", "predictions.npz", "record.json"]
    for name in whole:
        (ahead / name).write_text(name)
    storage.push(ahead)
    storage.push(behind)
    assert pulled(storage, tmp_path / "back" / "run") == whole


@pytest.mark.parametrize("wrong", ["nowhere", "ftp://host/runs", "file:///proc/none/runs"])
def test_an_unusable_storage_is_reported(wrong):
    with pytest.raises(UserError, match=f"--storage {wrong} cannot be used: .*\nExpected"):
        Storage(wrong)


def test_pull_takes_what_is_there_when_a_checkpoint_is_replaced_meanwhile(uri, tmp_path, monkeypatch):
    """Another worker removes an older checkpoint between the list and the copy; fails if that ends the pull."""
    storage, folder = Storage(uri), tmp_path / "run"
    folder.mkdir()
    (folder / "checkpoint-000002.bin").write_text("new")
    storage.push(folder)
    lists, names = [{"checkpoint-000001.bin"}], Storage._names
    monkeypatch.setattr(Storage, "_names", lambda self, run: lists.pop() if lists else names(self, run))
    assert pulled(storage, tmp_path / "back" / "run") == ["checkpoint-000002.bin"]


@pytest.mark.parametrize("failures", [0, 2, 3])
def test_a_copy_is_tried_three_times(failures, tmp_path, monkeypatch):
    """Fails if a moment's failure loses a run, or if a failure that lasts is passed over in silence."""
    storage, folder = Storage(f"file://{tmp_path}/storage"), tmp_path / "run"
    folder.mkdir()
    (folder / "history.csv").write_text("epoch\n")
    push, calls = Storage.push, []

    def fails_at_first(self, folder):
        calls.append(folder)
        if len(calls) <= failures:
            raise OSError("a moment's failure")
        push(self, folder)

    monkeypatch.setattr(Storage, "push", fails_at_first)
    monkeypatch.setattr(cluster, "COPY_EVERY", 0)
    with pytest.raises(OSError, match="moment") if failures == 3 else contextlib.nullcontext():
        cluster._push(storage, folder)
    assert len(calls) == min(failures + 1, 3)
    assert pulled(storage, tmp_path / "seen" / "run") == ["history.csv"] * (failures < 3)
