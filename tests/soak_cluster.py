"""Kills workers, nodes and the command of a sweep on a real Ray cluster, and compares its runs with local ones.

`make soak` kills 60 times, the tests once of each kind. No data are needed: it trains on drawn shapes.
"""

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import soak
from ray.cluster_utils import Cluster

from kerascifar.images import drawn

KINDS = ("worker", "node", "command")


def command(folder: Path, runs: str, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """The real command, which trains with one thread, like a run with one core on the cluster."""
    words = ("run", "soak.toml", "--data", str(folder / "shapes"), "--runs", runs, *words)
    env = {**os.environ, "PYTHONPATH": str(soak.ROOT), "TF_NUM_INTRAOP_THREADS": "1"}
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "kerascifar", *words], cwd=folder, env=env, stdout=log, stderr=log, **options
        )


def add_node(cluster: Cluster) -> Any:
    """A node with one core, started again if the machine is too busy for Ray's limit of 30 seconds."""
    before = raylets()
    for left in (2, 1, 0):
        try:
            return cluster.add_node(num_cpus=1)
        except Exception as error:  # Ray raises plain Exception, and the node may still come up
            for late in raylets() - before:
                late.kill()
            if not left:
                raise
            print(f"Starting a node again: {error}", flush=True)


def raylets() -> set[psutil.Process]:
    """The nodes' own processes."""
    return {child for child in psutil.Process().children() if "raylet" in child.name()}


def training(pid: int) -> list[psutil.Process]:
    """The processes below `pid` that train a run."""
    processes = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "ray::_train_one" in " ".join(child.cmdline()):
                processes.append(child)
    return processes


def progress(process: subprocess.Popen[bytes], runs: Path, seconds: float) -> None:
    """Waits until the sweep has written a new checkpoint or record, then `seconds` more."""
    before, end = soak.names(runs), None
    while process.poll() is None and (end is None or time.monotonic() < end):
        if end is None and any("checkpoint" in name or "record" in name for name in soak.names(runs) - before):
            end = time.monotonic() + seconds
        time.sleep(0.02)


def sweep(kinds: list[str], folder: Path, cluster: Cluster, nodes: list, n: soak.Count, chance: random.Random) -> None:
    """One sweep in `folder` with kills of `kinds`, from the end of the list; removes those that took place."""
    words = ("--executor", "ray", "--address", cluster.address)
    process = command(folder, "runs", *words)
    while process.poll() is None:
        progress(process, folder / "runs", chance.uniform(0, 3))
        if process.poll() is not None or not kinds:
            process.wait()
            continue
        before = soak.finished(folder / "runs")
        if kinds[-1] == "worker":
            raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
            busy = [child for pid in raylets for child in training(pid)]
            if not busy:
                continue
            chance.choice(busy).kill()
        elif kinds[-1] == "node":
            cluster.remove_node(nodes.pop(chance.randrange(len(nodes))), allow_graceful=False)
            nodes.append(add_node(cluster))
        else:
            process.kill()
            process.wait()
            process = command(folder, "runs", *words)
        kinds.pop()
        n.kills += 1
        n.with_progress += any(folder.glob("runs/*/checkpoint-*")) or bool(before)
        after = soak.finished(folder / "runs")
        n.lost += [f"{name}: {files}" for name, files in before.items() if after.get(name) != files]
    if process.returncode:
        n.differences.append(f"status {process.returncode}: {(folder / 'log').read_text()[-2000:]}")


def train_locally(base: Path) -> dict[str, dict[str, object]]:
    """Prepares a folder and trains its runs without a cluster, with one thread; what must be the same in each run."""
    drawn.write(base / "shapes", train=soak.IMAGES, test=100, seed=1)
    (base / "soak.toml").write_text(soak.ROWS, encoding="utf-8")
    if command(base, "local").wait():
        raise SystemExit((base / "log").read_text())
    expected = {path.name: soak.content(path) for path in (base / "local").glob("soak-*")}
    assert len(expected) == 2
    return expected


def soak_cluster(kills: int, base: Path, expected: dict, seed: int = 0) -> soak.Count:
    """Kills `kills` times in all, the three kinds in turn, on a cluster of two nodes with one core each.

    base: the folder that `train_locally` has prepared; expected: what it returned.
    """
    n, began, chance = soak.Count(), time.monotonic(), random.Random(seed)
    kinds = [KINDS[i % len(KINDS)] for i in range(kills)]
    for_workers = {"PYTHONPATH": str(soak.ROOT), "RAY_worker_niceness": "0"}
    os.environ |= for_workers
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [add_node(cluster) for _ in range(2)]
        while kinds:
            sweep(kinds, base, cluster, nodes, n, chance)
            soak.compare(base / "runs", expected, n)
            if n.differences or n.lost:
                break
            shutil.rmtree(base / "runs")
            print(f"{time.monotonic() - began:5.0f} s: {n}", flush=True)
    finally:
        cluster.shutdown()
        for name in for_workers:
            del os.environ[name]
    return n


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        expected = train_locally(Path(base))
        return soak.verdict(soak_cluster(arguments.kills, Path(base), expected, arguments.seed), arguments.kills)


if __name__ == "__main__":
    sys.exit(main())
