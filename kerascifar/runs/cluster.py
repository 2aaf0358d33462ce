"""Trains the runs of a command by Ray, on one machine or many: `run --jobs 4`, `run --executor ray`.

A task trains one run as the command itself would, in a folder of runs that all nodes share. What makes that safe is
what makes a single machine safe: a run is locked while it is trained, goes on from its last checkpoint when Ray starts
it again, and is skipped when its record is there. Where no folder is shared, a storage takes its place; it knows no
locks, so two tasks may train the same run: they write the same, and neither removes what the other has beyond it.
"""

import dataclasses
import functools
import logging
import math
import os
import socket
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar.common.errors import UserError
from kerascifar.common.machine import cores
from kerascifar.training.rows import Run

if TYPE_CHECKING:
    import keras

    from kerascifar.images import cifar10
    from kerascifar.runs import experiment
    from kerascifar.runs.storage import Storage

PATIENCE = 180.0  # seconds until a lock counts as another command's: a dead node's may be held so long by a file server
IN_FLIGHT = 1000  # tasks handed to Ray at once, or twice what runs at once; few enough to be looked through
RETRIES = 100  # of a run whose worker or node died; each goes on where the one before was stopped
STARTS = 6  # of Ray on this machine, half a minute each, before it is given up
LONGEST = 39  # bytes of a temporary folder's path: Ray adds up to 68, and that of a socket ends at 107
EVERY = 20.0  # seconds between two copies to a storage of a run that is trained: what a node that dies can lose


def side_by_side(jobs: int, gpus_per_run: float | None = None) -> "experiment.Executor":
    """An executor that trains so many runs at once on this machine; they share its cores, and its GPUs, evenly."""
    return connect(None, cores() // jobs, gpus_per_run, jobs=jobs)


def share(gpus: float, jobs: int) -> float:
    """GPUs of each of `jobs` runs: whole ones, or a part of one."""
    return gpus // jobs if gpus >= jobs else 1 / math.ceil(jobs / gpus) if gpus else 0


def connect(
    address: str | None = None,
    cpus_per_run: float = 1,
    gpus_per_run: float | None = 0,
    storage: str | None = None,
    jobs: int | None = None,
) -> "experiment.Executor":
    """An executor on the Ray cluster at `address`, or on one that is started on this machine and ends with it.

    Call it before Keras is loaded: afterwards this process sees no GPU, so that it takes none from the runs. Another
    call in the same process keeps the cluster.

    Args:
        address: "auto" for the cluster that this machine belongs to, or "HOST:6379" of its head; None starts one.
        cpus_per_run: processor cores of a run; it is trained with so many threads.
        gpus_per_run: GPUs of a run; with 0.25 four runs share one. None: what `jobs` runs have of this machine's.
        storage: URI of a folder of runs, where the nodes share none.
        jobs: at most so many runs at once on this machine; as many as fit unless given.
    Raises:
        UserError: Ray is missing, there is no cluster at `address`, no such share of a GPU, or no such storage.
    """
    asked = gpus_per_run or 0
    if cpus_per_run <= 0 or asked < 0 or (asked > 1 and asked % 1):
        raise UserError(
            f"--cpus-per-run {cpus_per_run:g} --gpus-per-run {asked:g} makes no sense.\n"
            "Expected cores above 0, and GPUs from 0 to 1 or a whole number."
        )
    kept = None
    if storage is not None:
        from kerascifar.runs.storage import Storage

        kept = Storage(storage)
        kept.check()
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # every run's lines, though they look alike
    os.environ.setdefault("RAY_DISABLE_WORKER_LOG_PREFIX", "1")  # a line names its run
    try:
        import ray
    except ImportError:
        raise UserError(
            "Several runs at once (--jobs, --executor ray) need Ray.\nInstall it: pip install 'kerascifar[cluster]'"
        ) from None
    try:
        if address is not None and address not in ("auto", "local"):  # Ray tries for minutes
            place = urllib.parse.urlsplit(address if "//" in address else f"//{address}")
            socket.create_connection((place.hostname or "", place.port or 0), timeout=20).close()
        if address is not None:
            ray.init(address, logging_level=logging.ERROR)
        elif not ray.is_initialized():
            _start(None if jobs is None else int(jobs * cpus_per_run))
    except Exception as problem:  # Ray raises many kinds, and that class itself
        what = "Ray did not start on this machine" if address is None else f"There is no Ray cluster at {address}"
        do = "Try again when it has less to do." if address is None else "Start one: ray start --head"
        raise UserError(f"{what}: {problem}\n{do}") from None
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

    here = ray.cluster_resources().get("GPU", 0)
    if gpus_per_run is None:
        gpus_per_run = share(here, jobs or 1)
    if address is None and (here < gpus_per_run or (os.cpu_count() or 1) < cpus_per_run):
        raise UserError(
            f"This machine has not the {cpus_per_run:g} cores and {gpus_per_run:g} GPUs that a run asks for.\n"
            "Ask for less (--cpus-per-run, --gpus-per-run), or name a cluster: --address."
        )
    return functools.partial(_execute, cpus=cpus_per_run, gpus=gpus_per_run, kept=kept)


def _start(cpus: int | None) -> None:
    """Starts Ray on this machine.

    Ray gives up a node that is not up in 30 seconds, and a node gives itself up when its helpers take 15 to start, as
    they do on a busy machine. No setting of Ray's lengthens either, so it is tried again: the files that the first
    start has read are in memory then.
    """
    import psutil  # comes with Ray
    import ray

    if len(os.fsencode(os.environ.get("TMPDIR", ""))) > LONGEST:
        os.environ.setdefault("RAY_TMPDIR", "/tmp")
    for left in reversed(range(STARTS)):
        before = set(psutil.Process().children())
        try:
            ray.init("local", num_cpus=cpus, logging_level=logging.ERROR, include_dashboard=False)
            return
        except Exception as problem:
            for late in set(psutil.Process().children()) - before:  # they would go on beside the next ones
                late.kill()
            if not left or "timed out" not in str(problem):
                raise
            print(
                "Ray takes too long to start, as this machine has much else to do. It is started again.",
                file=sys.stderr,
            )


def _execute(work: "experiment.Work", cpus: float, gpus: float, kept: "Storage | None") -> list[str]:
    import keras
    import numpy as np
    import ray

    from kerascifar.common import files, terminal
    from kerascifar.runs import environment, experiment, records

    clock = experiment.Clock(work.costs, work.runs)
    # The longest first, so that none is left over when the others are done.
    waiting = sorted(work.runs, key=clock.expected)
    # Once per node, in memory that its runs share; as plain arrays, since a file's may be in no file there.
    images, labels = np.asarray(work.dataset.images), np.asarray(work.dataset.labels)
    dataset = ray.put(dataclasses.replace(work.dataset, images=images, labels=labels))
    # What decides a result is the command's, not that of the node's start.
    variables = environment.variables() | {
        "KERAS_BACKEND": keras.backend.backend(),
        "TF_NUM_INTRAOP_THREADS": str(max(int(cpus), 1)),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # runs may share a GPU
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if not gpus:  # Ray itself hides none
        variables |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    # A process per run: its thread settings and its GPU memory end with it.
    task = ray.remote(
        num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, max_calls=1, runtime_env={"env_vars": variables}
    )(_train_one)
    has = ray.cluster_resources()
    slots = int(min(has.get("CPU", 0) / cpus, has.get("GPU", 0) / gpus if gpus else math.inf))
    if not slots:
        terminal.say(work.console, "The cluster has not what a run asks for. Waiting for nodes that have.")
    if has.get("GPU", 0) and not gpus:
        terminal.say(work.console, "Its GPUs are not used: --gpus-per-run 0.25, for example, uses them.")
    terminal.say(
        work.console,
        f"Ray: nodes {len(ray.nodes())}, cores {has.get('CPU', 0):g}, GPUs {has.get('GPU', 0):g}; "
        f"each run: cores {cpus:g}, GPUs {gpus:g}; runs at once: {slots}",
    )
    # Packed, as unpacking imports Keras, which the worker does quietly.
    folder = work.folder.resolve()  # a worker starts in another folder
    bare = dataclasses.replace(work, runs=(), costs={}, dataset=None, console=None, folder=folder)  # type: ignore[arg-type]
    sent = ray.cloudpickle.dumps(bare)
    pending: dict[object, Run] = {}
    held: dict[str, float] = {}  # by run id, since when another process has it
    failed: list[str] = []
    began, total, done = time.monotonic(), sum(map(clock.expected, work.runs)), 0.0
    try:
        while waiting or pending:
            while waiting and len(pending) < max(IN_FLIGHT, 2 * slots):
                one = waiting.pop()
                pending[task.remote(sent, one, work.costs[one.id], gpus, dataset, kept, work.console.stderr)] = one
            (ready,), _ = ray.wait(list(pending))
            one = pending.pop(ready)
            try:
                if (locked := ray.get(ready)) and time.monotonic() < held.get(one.id, time.monotonic()) + PATIENCE:
                    if one.id not in held:
                        held[one.id] = time.monotonic()
                        told = f"{one.label}: another process has its lock, so it is tried again for {PATIENCE:.0f} s"
                        terminal.say(work.console, told)
                    waiting.insert(0, one)
                    time.sleep(1)
                    continue
                if kept:
                    with files.locked(work.folder / experiment.LOCKS / f"{one.id}.lock"):
                        kept.pull(work.folder / one.id)
                if not locked and not _arrives(work.folder / one.id):
                    raise FileNotFoundError(
                        f"trained, but its record is not in {folder}: do all nodes see that folder?"
                    )
            except (ray.exceptions.RayError, OSError) as problem:  # OSError: of the storage
                cause = getattr(problem, "cause", None) or problem
                failed.append(f"{one.label}: {str(cause).strip().splitlines()[-1]}")
                terminal.say(work.console, f"{one.label} failed: {cause}")
            done += clock.expected(one)
            running = sum(sorted(map(clock.expected, pending.values()))[-slots:]) / 2  # half done, on average
            left = terminal.duration((time.monotonic() - began) * max(total / (done + running) - 1, 0))
            finished = len(work.runs) - len(waiting) - len(pending)
            terminal.say(work.console, f"{finished} of {len(work.runs)} runs done; left about {left}")
    except KeyboardInterrupt:
        ray.shutdown()
        raise experiment.interrupted(f"{len(waiting) + len(pending)} runs", work.command) from None
    if failed:
        lines = "\n".join(failed[:5])
        raise UserError(f"{len(failed)} of {len(work.runs)} runs failed; the others are kept.\n{lines}")
    return [one.label for one in work.runs if one.id in held and not records.finished(work.folder / one.id)]


def _arrives(folder: Path) -> bool:
    """Whether the record can be read here; a network's file system may show it a moment later."""
    from kerascifar.runs import records

    for _ in range(20):
        if records.finished(folder):
            return True
        time.sleep(0.5)
    return False


def _train_one(
    packed: bytes,
    one: Run,
    cost: float,
    gpus: float,
    dataset: "cifar10.Dataset",
    kept: "Storage | None" = None,
    stderr: bool = False,
) -> list[str]:
    """In a worker: trains the run, or goes on with it. Its lines go to standard output, or error, as the command's."""
    from kerascifar.common.load_keras import load_keras

    load_keras()
    import ray
    from rich.console import Console

    from kerascifar.runs import environment, experiment, records
    from kerascifar.training import device

    work: experiment.Work = ray.cloudpickle.loads(packed)
    here = device.prepare(work.deterministic)
    if gpus and here.is_cpu:
        raise UserError(f"Keras sees no GPU on this node ({here.name}): set up there with GPUs, or --gpus-per-run 0.")
    experiment.check_precision(one, here)
    made_with = environment.describe(here.name, work.deterministic)
    for key in records.DECISIVE:
        if made_with[key] != work.made_with[key]:
            raise UserError(
                f"This node has another {key} than the command: {made_with[key]}, not {work.made_with[key]}."
            )
    console = Console(width=160, stderr=stderr)  # Ray brings its lines to the command's
    work = dataclasses.replace(
        work, runs=[one], costs={one.id: cost}, dataset=dataset, console=console, made_with=made_with
    )
    if kept is None:
        return experiment.here(work)
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own) / one.id
        kept.pull(folder)
        callbacks = [*work.callbacks(one, dataset), _pushing(kept, folder)]
        experiment.here(dataclasses.replace(work, folder=folder.parent, callbacks=lambda *_: callbacks))
        for left in (2, 1, 0):  # what was trained for hours is not given up for a moment's failure
            try:
                kept.push(folder)
                break
            except OSError:
                if not left:
                    raise
                time.sleep(EVERY)
        return []


def _pushing(kept: "Storage", folder: Path) -> "keras.callbacks.Callback":
    """Copies the run's folder to the storage before an epoch, when the last copy is `EVERY` seconds old."""
    import keras

    last = time.monotonic()

    def push(epoch: int, logs: object) -> None:
        nonlocal last
        if time.monotonic() >= last + EVERY:
            try:
                kept.push(folder)
            except OSError as problem:  # the next time will do
                print(f"{folder.name} was not copied to the storage: {problem}", file=sys.stderr)
            last = time.monotonic()

    return keras.callbacks.LambdaCallback(on_epoch_begin=push)
