"""A real Ray cluster on this machine: a node that dies and a command that is killed change nothing in the results."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kerascifar import experiment, records

cluster_utils = pytest.importorskip("ray.cluster_utils")
ROOT = Path(__file__).parent.parent
EPOCHS = 30
HOLDER = """
import sys, time
from pathlib import Path
from kerascifar import files
while True:
    with files.locked(Path(sys.argv[1])) as mine:
        if mine:
            time.sleep(25)
            break
"""
TABLE = f'[defaults]\nmodel = "model1"\nbatch_size = 100\nepochs = {EPOCHS}\npatience = {EPOCHS}\n[[row]]\nname = "A"\n'


def command(folder, shapes, runs, *words):
    """Starts `python -m kerascifar run` as its own process, with one thread for TensorFlow."""
    words = ["run", "mine.toml", "--seeds", "0", "1", "2", "--data", str(shapes), "--runs", runs, *words]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(
        [sys.executable, "-m", "kerascifar", *words],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "TF_NUM_INTRAOP_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return found


def begun(runs):
    """The runs that finished an epoch but not their last."""
    return {path.parent.name for path in runs.glob("*/checkpoint-*.bin")}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.toml").write_text(TABLE, encoding="utf-8")
    return tmp_path


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_dead_node_and_a_killed_command_lose_nothing(folder, shapes):
    os.environ["PYTHONPATH"] = str(ROOT)  # of the nodes' workers
    ray = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    words = ("--executor", "ray", "--address", ray.address)
    try:
        node = ray.add_node(num_cpus=1)
        first = command(folder, shapes, "by-ray", *words)
        wait_for(lambda: begun(folder / "by-ray"))
        ray.remove_node(node, allow_graceful=False)
        ray.add_node(num_cpus=1)
        wait_for(lambda: records.list_records(folder / "by-ray") and begun(folder / "by-ray"))
        first.kill()
        told = first.communicate()[0]
        assert first.returncode == -signal.SIGKILL
        # Nor does a lock that a dead node's file server lets go of only later.
        lock = folder / "by-ray" / experiment.LOCKS / f"{min(begun(folder / 'by-ray'))}.lock"
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)])
        again = command(folder, shapes, "by-ray", *words)
        told += (more := again.communicate(timeout=240)[0])
        assert again.returncode == 0, more
        assert holder.wait(60) == 0
        assert "0 of 3 finished already" not in more and "runs done; left about 0 s" in more, more
        assert "goes on after epoch" in told
    finally:
        ray.shutdown()
        del os.environ["PYTHONPATH"]
    alone = command(folder, shapes, "local")
    told = alone.communicate(timeout=240)[0]
    assert alone.returncode == 0, told
    theirs, ours = (records.list_records(folder / name) for name in ("by-ray", "local"))
    assert len(ours) == len(theirs) == 3
    for a, b in zip(theirs, ours, strict=True):
        assert (a.history, a.results, a.epochs_trained) == (b.history, b.results, EPOCHS)
        assert all(np.array_equal(a.predictions[name], b.predictions[name]) for name in b.predictions)


@pytest.mark.filterwarnings("ignore")
def test_a_mistake_is_told_without_a_traceback(folder, shapes):
    process = command(folder, shapes, "by-ray", "--executor", "ray", "--address", "127.0.0.1:1")
    told = process.communicate(timeout=240)[0]
    assert process.returncode == 2 and "There is no Ray cluster at 127.0.0.1:1" in told and "Traceback" not in told
    assert not (folder / "by-ray").exists() or not records.list_records(folder / "by-ray")
