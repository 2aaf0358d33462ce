"""A real Ray cluster on this machine: kills and locks do not affect the results."""

import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("ray.cluster_utils")

import factories
import psutil
import soak
import soak_cluster

from kerascifar.__main__ import main
from kerascifar.commands import training
from kerascifar.common import machine
from kerascifar.runs import cluster, one_run, records

HOLDER = """
import sys
from pathlib import Path
from kerascifar.common import files
with files.locked(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A folder with an experiment whose runs were trained without Ray, and what must be the same in each of them."""
    base = tmp_path_factory.mktemp("cluster")
    return base, soak_cluster.train_locally(base)


@pytest.fixture
def folder(local, tmp_path, monkeypatch):
    """The same experiment in a folder of its own, which is the working folder."""
    shutil.copy(local[0] / "soak.toml", tmp_path)
    (tmp_path / "shapes").symlink_to(local[0] / "shapes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def running():
    """Ray in this process, which commands in this process join."""
    import ray

    cluster._join(None, 1)
    yield
    ray.shutdown()


def test_killing_workers_nodes_and_commands_changes_no_result(local):
    """The same bits as with the local executor; `make soak` kills more often."""
    count = soak_cluster.soak_cluster(3, *local)
    print(count)
    assert count.kills == 3 and count.with_progress > 0 and count.runs >= 2
    assert count.differences == [] and count.lost == []


def test_a_run_that_is_locked_for_a_while_is_tried_again(local, folder, running):
    name = next(path.name for path in (local[0] / "local").glob("soak-B-*"))
    lock = folder / "runs" / one_run.LOCKS / f"{name}.lock"
    lock.parent.mkdir(parents=True)
    pipe, said = subprocess.PIPE, io.StringIO()
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "True\n"

        def release():
            end = time.monotonic() + factories.HANG
            while "tried again" not in said.getvalue() and time.monotonic() < end:
                time.sleep(0.1)
            holder.stdin.close()

        watcher = threading.Thread(target=release)
        watcher.start()
        with contextlib.redirect_stdout(said):
            status = main(["run", "soak.toml", "--data", "shapes", "--rows", "B", "--executor", "ray"])
        watcher.join()
    assert status == 0 and "tried again" in said.getvalue()
    assert [record.folder.name for record in records.list_records(folder / "runs")] == [name]


def test_asking_for_more_than_this_machine_has_is_an_error(folder, running, capsys):
    words = ["run", "soak.toml", "--data", "shapes", "--executor", "ray", "--gpus-per-run", "100"]
    assert main(words) == 2
    assert "Each run needs cores: 1, GPUs: 100." in capsys.readouterr().err


def test_a_wrong_address_is_reported_without_a_traceback(folder):
    process = soak_cluster.command(folder, "runs", "--executor", "ray", "--address", "127.0.0.1:1")
    assert process.wait(factories.HANG) == 2
    log = (folder / "log").read_text()
    assert "There is no Ray cluster at 127.0.0.1:1" in log and "Traceback" not in log
    assert not records.list_records(folder / "runs")


@pytest.mark.skipif(machine.cores() < 2, reason="needs two cores")
def test_interrupted_jobs_equal_an_undisturbed_local_training(local, folder, monkeypatch):
    """The same bits with the same number of threads, after Ctrl-C. `soak_cluster` has the commands that are killed.

    The temporary folder's path is too long for Ray's sockets.
    """
    jobs = machine.cores()  # so that each has one thread, as the local runs had
    temporary = folder / ("t" * 100)
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    # A shell ignores SIGINT in its background jobs, which may include the tests and their children.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    for end in (signal.SIGINT, None):
        (folder / "log").write_bytes(b"")
        process = soak_cluster.command(folder, "runs", "--jobs", str(jobs), **listening)
        if end is not None:
            soak_cluster.progress(process, folder / "runs", 0)
            assert process.poll() is None, (folder / "log").read_text()
            # Ray's own default gives way to any other program.
            assert {child.nice() for child in soak_cluster.training(process.pid)} == {psutil.Process().nice()}
            process.send_signal(end)
        status = process.wait(factories.HANG)
        log = (folder / "log").read_text()
        assert status == (130 if end else 0), log
        assert not end or "to go on, repeat the command:" in log
    assert "Traceback" not in log and "pid=" not in log
    assert re.search(r"^[AB] seed 0 epoch \d+: loss .* about \d+ s left$", log, re.M)
    assert f"runs at once: {jobs}" in log and re.search(r"^(\d) of \1 runs done; about 0 s left$", log, re.M)
    for name, content in local[1].items():
        assert soak.content(folder / "runs" / name) == content
        variables = json.loads((folder / "runs" / name / "record.json").read_text())["environment"]["variables"]
        assert variables["TF_NUM_INTRAOP_THREADS"] == "1"


def test_a_slow_start_of_ray_is_killed_and_tried_again(monkeypatch, capsys):
    import ray

    started = []

    def init(*words, **options):
        started.append(subprocess.Popen(["sleep", str(factories.HANG)]))
        if len(started) < 3:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)
    cluster._start(None)
    assert [process.poll() is None for process in started[2:]] == [True] and len(started) == 3
    assert [process.wait(factories.HANG) for process in started[:2]] == [-signal.SIGKILL] * 2
    started[2].kill()
    started[2].wait()
    assert capsys.readouterr().err.count("starting it again") == 2


def test_gpus_are_shared_evenly():
    assert [cluster.share(*of) for of in ((0, 4), (1, 4), (2, 3), (4, 2), (3, 2), (2, 2))] == [0, 0.25, 0.5, 2, 1, 1]


def test_a_run_with_a_gpu_sees_the_one_that_ray_gives_it(monkeypatch):
    """Fails if the command's own variable, which hides all GPUs from it, reaches the workers."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" not in cluster._variables(2, 0.5)
    assert cluster._variables(2, 0)["CUDA_VISIBLE_DEVICES"] == ""
    assert cluster._variables(2, 0)["TF_NUM_INTRAOP_THREADS"] == "2"


def test_a_second_call_keeps_the_cluster_and_runs_share_its_gpus(monkeypatch):
    """As `choices` does, which trains twice."""
    import ray

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # put back afterwards
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 1.0})
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert training.connect_jobs(4)().keywords == {"cpus": 2, "gpus": 0.25, "storage": None}
    assert training.connect_jobs(4, 0)().keywords == {"cpus": 2, "gpus": 0, "storage": None}
