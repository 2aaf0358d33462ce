"""Trains rows × seeds: skips finished runs, shows progress and time left, and resumes interrupted runs.

Several commands may work on the same runs: each run is locked while it is trained. The executor trains them: `here`,
one after the other in this process, or Ray's (`cluster.py`).
"""

import dataclasses
import functools
import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from rich.console import Console

from kerascifar.common import files, terminal
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import environment, gate, model_facts, one_run, records
from kerascifar.runs.one_run import Builder, Callbacks, Work
from kerascifar.runs.progress import Clock, RunProgress
from kerascifar.training import checkpoint, fit, models
from kerascifar.training.device import Device, prepare
from kerascifar.training.rows import Run

Say = Callable[[str], None]
Executor = Callable[[Work], list[str]]  # trains the runs, and returns the labels of those that another process trains


def train_runs(
    runs: Sequence[Run],
    dataset: cifar10.Dataset,
    folder: Path,
    console: Console,
    *,
    command: Sequence[str] = (),
    deterministic: bool = False,
    build: Builder = models.build,
    callbacks: Callbacks = lambda run, dataset: (),
    execute: "Executor | None" = None,
    ornaments: gate.Ornaments | None = None,
    program: str | None = None,
) -> list[records.Record]:
    """Trains every run that is neither finished nor being trained by another process, each in its folder.

    Args:
        runs: in the order in which to train.
        dataset: the verified images.
        folder: of all runs; created if missing.
        console: shows progress.
        command: continues the training after an interruption; empty if a program calls this.
        deterministic: see `device.prepare`.
        build: makes a row's model, new each time, from its name and options.
        callbacks: makes a run's Keras callbacks. They must not affect training, unless `program` contains them.
        execute: trains the runs; `here` by default.
        ornaments: see `gate.rehearse`.
        program: if a program calls this, the source of its model and callbacks (see `program.source`). It is recorded,
            and any change to it makes a different run. Empty if both are this package's.
    Returns:
        The records of those `runs` that are finished, before or now.
    Raises:
        UserError: a model or optimizer cannot be built, or a run would not end with a result; nothing was trained.
        KeyboardInterrupt: Ctrl-C; its text says what was kept and how to go on.
    """
    device = prepare(deterministic)
    made_with = environment.describe(device.name, deterministic)  # now, as the source may change during a run
    if program is not None:
        made_with["program"] = {"source": program, "sha256": hashlib.sha256(program.encode()).hexdigest()}
    if program:
        made_with["uncommitted"] = True
    examined = [_examine(run, dataset, None if execute else device, build=build, program=program) for run in runs]
    runs = [each.run for each in examined]
    files.make_folder(folder)
    waiting = [each for each in examined if not records.finished(folder / each.run.id)]
    # A damaged record is reported now, not after hours of training the others.
    finished = [records.read(folder / each.run.id) for each in examined if each not in waiting]
    for record in finished:
        _clean(record.folder)
    work = Work(
        runs=[each.run for each in waiting],
        costs={each.run.id: each.cost for each in examined},
        dataset=dataset,
        folder=folder,
        console=console,
        deterministic=deterministic,
        build=build,
        callbacks=callbacks,
        made_with=made_with,
    )
    say = functools.partial(terminal.say, console)
    _announce(runs, finished, work, device="chosen by Ray" if execute else device.name, say=say)
    files.remove_unfinished(folder, older=files.A_DAY)  # by a gate that was killed
    try:
        for line in gate.try_out([(each.run, each.kinds) for each in waiting], work, ornaments):
            say(line)
        elsewhere = (execute or here)(work)
    except KeyboardInterrupt:
        how = f"repeat the command:\n  {shlex.join(command)}" if command else "run your program again."
        text = f"Stopped. Every finished epoch is kept; to go on, {how}"
        raise KeyboardInterrupt(text) from None
    if elsewhere:
        say(f"Skipped, as another process is training them: {', '.join(elsewhere)}.")
    return [records.read(folder / run.id) for run in runs if records.finished(folder / run.id)]


def here(work: Work) -> list[str]:
    """Trains one run after the other in this process."""
    clock = Clock(work.costs, work.runs)
    left, before = list(work.runs), len(work.runs) + 1
    while left and len(left) < before:  # again as long as it helps: another process may have been stopped meanwhile
        before = len(left)
        for run in list(left):
            with one_run.lock(work.folder, run) as mine:
                if not mine:
                    continue
                left.remove(run)
                files.remove_unfinished(work.folder / run.id)
                if not records.finished(work.folder / run.id):
                    _train(run, work, clock)
                _clean(work.folder / run.id)
            clock.waiting.remove(run)
    return [run.label for run in left]


def _clean(folder: Path) -> None:
    """Removes what a finished run no longer needs; also after a kill between its record and this."""
    checkpoint.clear(folder)
    files.remove_unfinished(folder, older=files.A_DAY)  # `focus` may be writing its measurements there


def check_precision(run: Run, device: Device) -> None:
    """Raises a `UserError` if the run's precision makes no sense on the device."""
    if run.row.precision == "mixed_float16" and device.is_cpu:
        raise UserError(
            "precision mixed_float16 needs a GPU; this CPU has no fast half precision.\n"
            "Use mixed_bfloat16 or float32 here (--precision, or the row's precision)."
        )


class Examined(NamedTuple):
    run: Run  # with its basis
    cost: float  # multiply-adds per image
    kinds: frozenset[str]  # see `gate.kinds`


def _examine(
    run: Run, dataset: cifar10.Dataset, device: Device | None, *, build: Builder, program: str | None
) -> Examined:
    """Done for all runs before the first is trained, so that a model that cannot be trained is reported at once."""
    row = run.row
    with gate.refused(row):
        if device is not None:
            check_precision(run, device)
        network = fit.fresh(row, 0 if program else run.seed, build)
        models.check_form(network)
        fit.compiled(network, row)
        decisive = [dataset.fingerprint, network.get_config()]
        if program:  # the initial weights are those of seed 0, so that all seeds have the same basis
            weights = hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in network.get_weights()))
            decisive += [program, weights.hexdigest()]
        basis = json.dumps(decisive, sort_keys=True)
    run = dataclasses.replace(run, basis=hashlib.sha256(basis.encode()).hexdigest())
    return Examined(run, max(float(model_facts.multiply_adds(network)), 1.0), gate.kinds(network))


def _announce(runs: Sequence[Run], finished: Sequence[records.Record], work: Work, *, device: str, say: Say) -> None:
    names, seeds = dict.fromkeys(r.row.name for r in runs), dict.fromkeys(str(r.seed) for r in runs)
    limit = ", shortened with --epochs" if any(r.shortened for r in runs) else ""
    dataset, made_with = work.dataset, work.made_with
    if dataset.is_synthetic:
        say("SYNTHETIC DATA: nothing below is a result on CIFAR-10.")
    say(f"{runs[0].experiment}: rows {', '.join(names)}; seeds {', '.join(seeds)}{limit}")
    say(f"data: {dataset.name}, {len(dataset.labels):,} images for training and validation ({dataset.source})")
    say(f"device: {device} (Keras {keras.__version__} on {keras.backend.backend()})")
    say(f"runs: {work.folder}; {len(finished)} of {len(runs)} finished already")
    if other_code := [r.label for r in finished if r.environment.get("source") != made_with["source"]]:
        say(
            "These runs have the present settings, but were trained before a change in kerascifar/images or "
            f"kerascifar/training: {', '.join(other_code)}. To train them again, move their folders away."
        )
    if "program" in made_with:
        kept = " The record keeps a copy of your code." if made_with["program"]["source"] else ""
        say(f"These runs cannot be published, because a program trains them, not `run`.{kept}")
    if "git" in made_with:
        say(f"Git cannot name the commit ({made_with['git']}), so these runs cannot be published.")


def _train(run: Run, work: Work, clock: Clock) -> None:
    """Trains one run to its end, with its progress."""
    progress = RunProgress(run, clock, work.console)
    split = cifar10.split(work.dataset.labels)
    with progress.bar:
        record = one_run.train_run(run, work, split, tell=progress.epoch, say=progress.message)
    accuracies = [f"{split} {record.accuracy(split):.2f} %" for split in record.results if split != "train"]
    progress.message(
        f"{record.stop} after epoch {record.epochs_trained}, kept epoch {record.epoch_kept}; {', '.join(accuracies)}"
    )
