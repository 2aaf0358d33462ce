"""A real Ray cluster on this machine: what dies, or holds a lock too long, changes nothing in the results."""

import subprocess
import sys
import time

import pytest

pytest.importorskip("ray.cluster_utils")

import making
import soak
import soak_cluster

from kerascifar import experiment, records

HOLDER = """
import sys
from pathlib import Path
from kerascifar import files
with files.locked(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


def test_dead_workers_nodes_and_commands_lose_nothing(tmp_path):
    """Bit for bit what the local executor makes; `make soak` does more of it."""
    count = soak_cluster.soak_cluster(3, tmp_path)
    print(count)
    assert count.kills == 3 and count.with_progress > 0 and count.runs >= 4
    assert count.differences == [] and count.lost == []


@pytest.fixture
def folder(tmp_path, shapes):
    (tmp_path / "soak.toml").write_text(soak.ROWS, encoding="utf-8")
    (tmp_path / "shapes").symlink_to(shapes)
    return tmp_path


def test_a_lock_that_a_dead_node_holds_for_a_while_is_waited_for(folder):
    words = ("--rows", "B", "--seeds", "0", "--epochs", "1")
    assert soak_cluster.command(folder, "local", *words).wait(making.HANG) == 0
    (one,) = records.list_records(folder / "local")
    lock = folder / "runs" / experiment.LOCKS / f"{one.folder.name}.lock"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        process = soak_cluster.command(folder, "runs", *words, "--executor", "ray")
        while "tried again" not in (folder / "log").read_text() and process.poll() is None:
            time.sleep(0.1)
        assert process.poll() is None, (folder / "log").read_text()
        holder.stdin.close()
        assert process.wait(making.HANG) == 0, (folder / "log").read_text()
    assert len(records.list_records(folder / "runs")) == 1


def test_what_this_machine_has_not_is_not_waited_for(folder):
    process = soak_cluster.command(folder, "runs", "--executor", "ray", "--gpus-per-run", "100")
    assert process.wait(making.HANG) == 2
    assert "has not the 1 cores and 100 GPUs" in (folder / "log").read_text()


def test_a_mistake_is_told_without_a_traceback(folder):
    process = soak_cluster.command(folder, "runs", "--executor", "ray", "--address", "127.0.0.1:1")
    assert process.wait(making.HANG) == 2
    told = (folder / "log").read_text()
    assert "There is no Ray cluster at 127.0.0.1:1" in told and "Traceback" not in told
    assert not records.list_records(folder / "runs")
