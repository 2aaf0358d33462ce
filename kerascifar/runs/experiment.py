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
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kerascifar.common import files, terminal
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import environment, gate, one_run, original, records
from kerascifar.runs.one_run import Builder, Callbacks, Work
from kerascifar.training import checkpoint, fit, models
from kerascifar.training.device import Device, prepare
from kerascifar.training.rows import Run

# A row's number of epochs is unknown before it has been trained: the original's is the guess, or this.
GUESSED_EPOCHS = 60
LOCKS = ".locks"  # folder of lock files, beside the runs' folders

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
    runs = [run for run, _, _ in examined]
    files.make_folder(folder)
    waiting = [run for run in runs if not records.finished(folder / run.id)]
    # A damaged record is reported now, not after hours of training the others.
    finished = [records.read(folder / run.id) for run in runs if run not in waiting]
    for record in finished:
        _clean(record.folder)
    say = functools.partial(terminal.say, console)
    _announce(
        runs, waiting, dataset=dataset, folder=folder, device="chosen by Ray" if execute else device.name, say=say
    )
    if other_code := [r.label for r in finished if r.environment.get("source") != made_with["source"]]:
        labels = ", ".join(other_code)
        say(
            "These runs have the present settings, but were trained before a change in kerascifar/images or "
            f"kerascifar/training: {labels}. To train them again, move their folders away."
        )
    if program:
        say("Your program's code is in no commit, so the record keeps a copy of it. This run cannot be published.")
    if "git" in made_with:
        say(f"Git cannot name the commit ({made_with['git']}), so this run cannot be published.")
    costs = {run.id: cost for run, cost, _ in examined}
    work = Work(waiting, costs, dataset, folder, console, deterministic, build, callbacks, made_with)
    files.remove_unfinished(folder, older=files.A_DAY)  # by a gate that was killed
    try:
        _try_out([(run, parts) for run, _, parts in examined if run in waiting], work, ornaments)
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
            with files.locked(work.folder / LOCKS / f"{run.id}.lock") as mine:
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


def _examine(
    run: Run, dataset: cifar10.Dataset, device: Device | None, *, build: Builder, program: str | None
) -> tuple[Run, float, frozenset[str]]:
    """The run with its basis, its multiply-adds per image, and its model's `gate.parts`.

    Done for all runs before the first is trained, so that a model that cannot be trained is reported at once.
    """
    row = run.row
    with gate.refused(row):
        if device is not None:
            check_precision(run, device)
        network = fit.fresh(row, 0 if program else run.seed, build)
        models.check_form(network)
        fit.compiled(network, row)
        parts = [dataset.fingerprint, network.get_config()]
        if program:  # the initial weights are those of seed 0, so that all seeds have the same basis
            weights = hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in network.get_weights()))
            parts += [program, weights.hexdigest()]
        basis = json.dumps(parts, sort_keys=True)
    cost = max(float(models.multiply_adds(network)), 1.0)
    return dataclasses.replace(run, basis=hashlib.sha256(basis.encode()).hexdigest()), cost, gate.parts(network)


def _try_out(waiting: Sequence[tuple[Run, frozenset[str]]], work: Work, ornaments: gate.Ornaments | None) -> None:
    """Tries the models before the first epoch, except for what another model has already shown."""
    checked: set[Any] = set()
    rehearsed: list[tuple[Any, frozenset[str]]] = []
    for run, parts in sorted(waiting, key=lambda pair: -len(pair[1])):
        row, lines = run.row, []
        options = row.optimizer_options, row.schedule, row.mixes
        how = row.precision, row.optimizer, json.dumps(options, sort_keys=True)
        known = [other for other, of_other in rehearsed if parts <= of_other]
        with gate.refused(row):
            if (row.model, row.precision, parts) not in checked:
                checked.add((row.model, row.precision, parts))
                gate.check_model(row, work.build, work.dataset)
            if how not in known:
                rehearsed.append((how, parts))
                lines = gate.rehearse(run, work, None if known else ornaments)
        for line in lines:
            terminal.say(work.console, line)


def _announce(
    runs: Sequence[Run], waiting: Sequence[Run], *, dataset: cifar10.Dataset, folder: Path, device: str, say: Say
) -> None:
    names, seeds = dict.fromkeys(r.row.name for r in runs), dict.fromkeys(str(r.seed) for r in runs)
    limit = ", shortened with --epochs" if any(r.shortened for r in runs) else ""
    if dataset.is_synthetic:
        say("SYNTHETIC DATA: nothing below is a result on CIFAR-10.")
    say(f"{runs[0].experiment}: rows {', '.join(names)}; seeds {', '.join(seeds)}{limit}")
    say(f"data: {dataset.name}, {len(dataset.labels):,} images for training and validation ({dataset.source})")
    say(f"device: {device} (Keras {keras.__version__} on {keras.backend.backend()})")
    say(f"runs: {folder}; {len(runs) - len(waiting)} of {len(runs)} finished already")


class Clock:
    """Time left: from the seconds per epoch so far, scaled by each model's multiply-adds, and guessed epochs."""

    def __init__(self, costs: dict[str, float], waiting: Sequence[Run]) -> None:
        self.costs, self.waiting, self.total = costs, list(waiting), len(waiting)
        self.guess = {
            run.id: min(int(original.rows().get(run.row.name, {}).get("epochs", GUESSED_EPOCHS)), run.row.epochs)
            for run in waiting
        }

    def expected(self, run: Run) -> float:
        """Multiply-adds per training image until the guessed end: how long a run takes compared with others."""
        return self.guess[run.id] * self.costs[run.id]

    def left(self, run: Run, seconds: Sequence[float], epoch: int, wait: int) -> tuple[float, float]:
        """Seconds left for this run and for all.

        Args:
            seconds: of the epochs since the run was started or resumed.
            epoch: the number of the last one, from 1.
            wait: epochs since the best one.
        """
        steady = seconds[1:] or seconds  # the first epoch includes the compilation
        per_epoch = sum(steady) / len(steady)
        rate = per_epoch / self.costs[run.id]  # seconds per epoch and multiply-add
        least = min(run.row.patience - wait, run.row.epochs - epoch)
        epochs = max(self.guess[run.id] - epoch, least, 0)
        others = sum(self.expected(other) * rate for other in self.waiting if other is not run)
        return epochs * per_epoch, epochs * per_epoch + others


class _Progress:
    """A run's progress: a bar in a terminal, a line per epoch elsewhere."""

    def __init__(self, run: Run, clock: Clock, console: Console) -> None:
        self.run, self.clock, self.console = run, clock, console
        self.seconds: list[float] = []
        several = f" ({clock.total - len(clock.waiting) + 1}/{clock.total})" if clock.total > 1 else ""
        self.title = run.label + several
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(self.title, total=clock.guess[run.id], text="first epoch")

    def epoch(self, values: dict[str, float], epoch: int, seconds: float, wait: int) -> None:
        self.seconds.append(seconds)
        run_left, all_left = self.clock.left(self.run, self.seconds, epoch, wait)
        left = f"about {terminal.duration(run_left)} left"
        if self.clock.total > 1:
            left += f" for this run, {terminal.duration(all_left)} for all runs"
        on_validation = f"validation {values['val_loss']:.3f} {100 * values['val_accuracy']:.2f} %"
        if self.console.is_terminal:
            total = max(self.clock.guess[self.run.id], epoch)
            self.bar.update(self.task, completed=epoch, total=total, text=f"epoch {epoch}: {on_validation} | {left}")
        else:
            on_training = f"loss {values['loss']:.3f} accuracy {100 * values['accuracy']:.2f} %"
            text = f"{self.title} epoch {epoch}: {on_training} | {on_validation} | {seconds:.1f} s; {left}"
            terminal.say(self.console, text)

    def message(self, text: str) -> None:
        terminal.say(self.console, f"{self.run.label}: {text}")


def _train(run: Run, work: Work, clock: Clock) -> None:
    """Trains one run to its end, with its progress."""
    progress = _Progress(run, clock, work.console)
    split = cifar10.split(work.dataset.labels)
    with progress.bar:
        record = one_run.train_run(run, work, split, tell=progress.epoch, say=progress.message)
    accuracies = (f"{split} {figures['accuracy']:.2%}" for split, figures in record.results.items() if split != "train")
    progress.message(
        f"{record.stop} after epoch {record.epochs_trained}, kept epoch {record.epoch_kept}; "
        + ", ".join(accuracies).replace("%", " %")
    )
