"""Trains a command's runs with Ray, on one machine or many: `run --jobs 4`, `run --executor ray`.

A worker trains a run as the command itself would, in a folder of runs that all nodes share. Several nodes are as safe
as one machine: a run is locked while it is trained, resumed from its last checkpoint when Ray starts it again, and
skipped once it has a record. Where nodes share no folder, `--storage` replaces it. A storage has no locks, so two
workers may train the same run; both write the same result, and neither removes files of the other's later epochs.

Ray Tune is not used; docs/cluster.md says why. Keras is imported in functions only: `connect` must run before.
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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import terminal
from kerascifar.common.errors import UserError
from kerascifar.runs import records
from kerascifar.runs.progress import Clock
from kerascifar.runs.storage import Storage
from kerascifar.training.rows import Run

if TYPE_CHECKING:
    from kerascifar.images import cifar10
    from kerascifar.runs import experiment, one_run

LOCK_PATIENCE = 180.0  # seconds to retry a locked run: a file server may hold a dead node's lock that long
RETRIES = 100  # of a run whose worker or node died; each resumes where the previous one stopped
STARTS = 6  # attempts to start Ray on this machine, half a minute each
LONGEST = 39  # bytes of a temporary folder's path: Ray adds up to 68, and a socket's path may have 107
COPY_EVERY = 20.0  # seconds between two copies of a run to its storage: the most that a dying node loses


def share(gpus: float, jobs: int) -> float:
    """GPUs for each of `jobs` runs: a whole number, or a fraction of one."""
    return gpus // jobs if gpus >= jobs else 1 / math.ceil(jobs / gpus) if gpus else 0


def connect(
    address: str | None = None,
    *,
    cpus_per_run: float = 1,
    gpus_per_run: float | None = 0,
    storage: str | None = None,
    jobs: int | None = None,
) -> "experiment.Executor":
    """An executor on the Ray cluster at `address`, or on one that runs on this machine until the process ends.

    Call it before loading Keras: it hides the GPUs from this process, which would otherwise occupy memory that the
    runs need. A second call without an `address` uses the same cluster.

    Args:
        address: "auto" for the cluster that this machine belongs to, "HOST:6379" for its head; None starts one here.
        cpus_per_run: processor cores of a run, and its number of threads.
        gpus_per_run: GPUs of a run; at 0.25 four runs share one. None divides this machine's GPUs among `jobs` runs.
        storage: URI of a folder of runs, if the nodes share none.
        jobs: the maximum number of runs at once on this machine; by default as many as fit.
    Raises:
        UserError: Ray is missing, nothing answers at `address`, or the resources or the storage are not available.
    """
    requested = gpus_per_run or 0
    if cpus_per_run <= 0 or requested < 0 or (requested > 1 and requested % 1):
        raise UserError(
            f"--cpus-per-run {cpus_per_run:g} --gpus-per-run {requested:g} is not possible.\n"
            "Expected cores above 0, and GPUs from 0 to 1 or a whole number."
        )
    keep_in = None if storage is None else Storage(storage)
    _join(address, None if jobs is None else int(jobs * cpus_per_run))
    import ray

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    there = ray.cluster_resources()
    if gpus_per_run is None:
        gpus_per_run = share(there.get("GPU", 0), jobs or 1)
    if address is None and (there.get("GPU", 0) < gpus_per_run or there.get("CPU", 0) < cpus_per_run):
        raise UserError(
            f"This machine is too small. Each run needs cores: {cpus_per_run:g}, GPUs: {gpus_per_run:g}.\n"
            "Expected fewer of them (--jobs, --cpus-per-run, --gpus-per-run), or a cluster (--executor ray --address)."
        )
    return functools.partial(_train_all, cpus=cpus_per_run, gpus=gpus_per_run, storage=keep_in)


def _join(address: str | None, cpus: int | None) -> None:
    """Connects to the cluster at `address`; without one, starts Ray on this machine unless it is running."""
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # print every run's lines, however similar
    os.environ.setdefault("RAY_DISABLE_WORKER_LOG_PREFIX", "1")  # each line names its run
    os.environ.setdefault("RAY_worker_niceness", "0")  # by default, a run would get a thirtieth of a busy core
    try:
        import ray
    except ImportError:
        raise UserError(
            "Several runs at once (--jobs, --executor ray) need Ray.\nInstall it: pip install 'kerascifar[cluster]'"
        ) from None
    try:
        if address is not None:
            if address not in ("auto", "local"):  # Ray would try for minutes
                url = urllib.parse.urlsplit(address if "//" in address else f"//{address}")
                socket.create_connection((url.hostname or "", url.port or 0), timeout=20).close()
            ray.init(address, logging_level=logging.ERROR)
        elif not ray.is_initialized():
            _start(cpus)
    except Exception as error:  # Ray raises many kinds, among them Exception itself
        if address is None:
            todo = "Try again when the machine is less busy."
            if "timed out" not in str(error):
                todo = (
                    "A folder with a short name may help: RAY_TMPDIR=/tmp. To train without Ray, leave out --jobs and "
                    "--executor."
                )
            message = f"Ray did not start on this machine: {error}\n{todo}"
        else:
            message = f"There is no Ray cluster at {address}: {error}\nStart one: ray start --head"
        raise UserError(message) from None


def _start(cpus: int | None) -> None:
    """Starts Ray on this machine, again if it takes too long.

    Ray allows a node 30 seconds and its helpers 15, too few on a busy machine, and has no setting for either. The next
    attempt is faster because the files are in memory by then.
    """
    import psutil  # comes with Ray
    import ray

    if len(os.fsencode(os.environ.get("TMPDIR", ""))) > LONGEST:
        os.environ.setdefault("RAY_TMPDIR", "/tmp")
    for attempt in range(1, STARTS + 1):
        before = set(psutil.Process().children())
        try:
            ray.init("local", num_cpus=cpus, logging_level=logging.ERROR, include_dashboard=False)
            return
        except Exception as error:
            for late in set(psutil.Process().children()) - before:  # they would run beside the next ones
                late.kill()
            if attempt == STARTS or "timed out" not in str(error):
                raise
            print("Ray takes too long to start because this machine is busy; starting it again.", file=sys.stderr)


def _train_all(work: "one_run.Work", *, cpus: float, gpus: float, storage: Storage | None) -> list[str]:
    """The executor: trains all runs, and returns the labels of those that another process is training."""
    import ray

    say = functools.partial(terminal.say, work.console)
    cost, began = Clock(work.costs, work.runs).expected, time.monotonic()
    slots = _slots(say, cpus, gpus)
    submit = _submitter(work, cpus=cpus, gpus=gpus, storage=storage)
    pending: dict[Any, Run] = {}
    locked_since: dict[str, float] = {}  # by run id
    failed = []
    try:
        # Ray starts them in this order: the longest first, so that none remains when the others are done.
        for run in sorted(work.runs, key=cost, reverse=True):
            pending[submit(run)] = run
        while pending:
            (ready,), _ = ray.wait(list(pending))
            run = pending.pop(ready)
            try:
                is_locked = bool(ray.get(ready))
                if is_locked and run.id not in locked_since:
                    locked_since[run.id] = time.monotonic()
                    say(f"{run.label}: locked by another process; will be tried again for {LOCK_PATIENCE:.0f} s")
                if is_locked and time.monotonic() < locked_since[run.id] + LOCK_PATIENCE:
                    pending[submit(run)] = run
                    time.sleep(1)
                    continue
                _collect(work.folder, run, storage, is_locked)
            except (ray.exceptions.RayError, OSError) as error:  # OSError: from the storage
                cause = getattr(error, "cause", None) or error
                problem = str(cause).strip() or type(cause).__name__
                failed.append(f"{run.label}: {problem.splitlines()[-1]}")
                say(f"{run.label} failed: {problem}")
            total, open_costs = sum(map(cost, work.runs)), sorted(map(cost, pending.values()))
            in_progress = sum(open_costs[-max(slots, 1) :])  # half done, on average
            done = total - sum(open_costs) + in_progress / 2
            left = terminal.duration((time.monotonic() - began) * max(total / done - 1, 0))
            say(f"{len(work.runs) - len(pending)} of {len(work.runs)} runs done; about {left} left")
    except KeyboardInterrupt:
        ray.shutdown()
        raise
    if failed:
        lines = "\n".join(failed[:5])
        raise UserError(
            f"{len(failed)} of {len(work.runs)} runs failed; the others are kept.\n{lines}\n"
            "Repeat the command to resume the failed runs."
        )
    return [run.label for run in work.runs if run.id in locked_since and not records.finished(work.folder / run.id)]


def _slots(say: Callable[[str], None], cpus: float, gpus: float) -> int:
    """How many runs the cluster trains at once; also prints it."""
    import ray

    total = ray.cluster_resources()
    all_cpus, all_gpus = total.get("CPU", 0), total.get("GPU", 0)
    slots = int(min(all_cpus / cpus, all_gpus / gpus if gpus else math.inf))
    if not slots:
        say("No node has enough resources; waiting.")
    if all_gpus and not gpus:
        say("The GPUs are not used. To use them: --gpus-per-run 0.25, for example.")
    say(
        f"Ray: nodes {len(ray.nodes())}, cores {all_cpus:g}, GPUs {all_gpus:g}; "
        f"each run: cores {cpus:g}, GPUs {gpus:g}; runs at once: {slots}"
    )
    return slots


def _submitter(work: "one_run.Work", *, cpus: float, gpus: float, storage: Storage | None) -> Callable[[Run], Any]:
    """A function that hands a run to Ray and returns a reference to the result of `_train_one`."""
    import ray

    # Once per node, in memory that its runs share. Plain arrays, because a node may not have the mapped file.
    images, labels = np.asarray(work.dataset.images), np.asarray(work.dataset.labels)
    dataset = ray.put(dataclasses.replace(work.dataset, images=images, labels=labels))
    rest: dict[str, Any] = {"runs": (), "dataset": None, "console": None, "folder": work.folder.resolve()}
    # Pickled here, because unpickling loads Keras, which the worker does quietly.
    packed = ray.put(ray.cloudpickle.dumps((dataclasses.replace(work, **rest), gpus > 0, storage, work.console.stderr)))
    options = {
        "num_cpus": cpus,
        "num_gpus": gpus,
        "max_retries": RETRIES,
        "runtime_env": {"env_vars": _variables(cpus, gpus)},
    }
    # A process for each run (max_calls), so that its threads and its GPU memory end with it.
    task = ray.remote(max_calls=1, **options)(_train_one)
    return lambda run: task.remote(packed, run, dataset)


def _variables(cpus: float, gpus: float) -> dict[str, str]:
    """The environment variables of a worker: those that decide a result are the command's, not the node's."""
    import keras

    from kerascifar.runs import environment

    variables = environment.variables() | {
        "KERAS_BACKEND": keras.backend.backend(),
        "TF_NUM_INTRAOP_THREADS": str(max(int(cpus), 1)),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # runs may share a GPU
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if not gpus:  # Ray itself hides none
        return variables | {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    variables.pop("CUDA_VISIBLE_DEVICES", None)  # set by `connect`: Ray would then not give a run its GPUs
    return variables


def _collect(folder: Path, run: Run, storage: Storage | None, is_locked: bool) -> None:
    """Copies the run from the storage, and waits for its record: a network file system may show it a moment later."""
    from kerascifar.runs import one_run

    if storage:
        with one_run.lock(folder, run):  # so that no process removes the temporary files of this
            storage.pull(folder / run.id)
    end = time.monotonic() + 10
    while not is_locked and not records.finished(folder / run.id):
        if time.monotonic() >= end:
            raise FileNotFoundError(f"trained, but its record is not in {folder}: do all nodes see that folder?")
        time.sleep(0.5)


def _train_one(packed: bytes, run: Run, dataset: "cifar10.Dataset") -> list[str]:
    """In a worker: trains or resumes the run. Ray forwards the lines that it prints to the command."""
    from kerascifar.common.load_keras import load_keras

    load_keras()
    import ray

    from kerascifar.runs import environment, experiment
    from kerascifar.training import device

    work, needs_gpu, storage, stderr = ray.cloudpickle.loads(packed)
    found = device.prepare(work.deterministic)
    if needs_gpu and found.is_cpu:
        raise UserError(
            f"Keras sees no GPU on this node ({found.name}): install GPU support there, or use --gpus-per-run 0."
        )
    experiment.check_precision(run, found)
    made_with = environment.describe(found.name, work.deterministic)
    for key in records.DECISIVE:
        if made_with[key] != work.made_with[key]:
            raise UserError(f"{key} differs on this node: {made_with[key]}; the command has {work.made_with[key]}.")
    console = terminal.Console(width=160, stderr=stderr)
    work = dataclasses.replace(work, runs=[run], dataset=dataset, console=console, made_with=made_with)
    if storage is None:
        return experiment.here(work)
    _train_in_storage(work, run, storage)
    return []


def _train_in_storage(work: "one_run.Work", run: Run, storage: Storage) -> None:
    """Trains the run in a temporary folder, and copies it to the storage every `COPY_EVERY` seconds and at the end."""
    import keras

    from kerascifar.runs import experiment

    last = time.monotonic()

    def copy(epoch: int, logs: object) -> None:
        nonlocal last
        if time.monotonic() >= last + COPY_EVERY:
            try:
                storage.push(folder)
            except OSError as error:  # the next copy will do
                print(f"{run.label} was not copied to the storage: {error}", file=sys.stderr)
            last = time.monotonic()

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / run.id
        storage.pull(folder)
        callbacks = [*work.callbacks(run, work.dataset), keras.callbacks.LambdaCallback(on_epoch_begin=copy)]
        try:
            experiment.here(dataclasses.replace(work, folder=folder.parent, callbacks=lambda *_: callbacks))
        except UserError as error:  # its text may name the temporary folder, which is about to be removed
            _push(storage, folder)
            raise UserError(str(error).replace(str(folder), f"the storage's folder {folder.name}")) from None
        _push(storage, folder)


def _push(storage: Storage, folder: Path) -> None:
    """Copies the run to the storage, with two more attempts: a moment's failure must not cost hours of training."""
    for is_last in (False, False, True):
        try:
            return storage.push(folder)
        except OSError:
            if is_last:
                raise
            time.sleep(COPY_EVERY)
