"""Trains rows × seeds: skips finished runs, shows progress and time left, and resumes interrupted runs.

Several commands may work on the same runs: each run is locked while it is trained. The executor trains them: `here`,
one after the other in this process, or Ray's (`cluster.py`).
"""

import dataclasses
import datetime
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
from kerascifar.runs import environment, original, records
from kerascifar.training import checkpoint, evaluate, fit, models
from kerascifar.training.device import Device, prepare
from kerascifar.training.rows import Run

# How long a row trains is unknown before it has been trained: the original's epochs are the guess, or this.
GUESSED_EPOCHS = 60
Builder = Callable[..., keras.Sequential]  # of a model's name and options
Callbacks = Callable[[Run, cifar10.Dataset], Sequence[keras.callbacks.Callback]]  # cheap to send to another process
LOCKS = ".locks"  # folder of lock files, beside the runs' folders


@dataclasses.dataclass(frozen=True)
class Work:
    """The input of an executor.

    Attributes:
        runs: those that are not finished, in the order in which they were asked for, with their basis.
        costs: by run id, multiply-adds per image.
        dataset, folder, console, command, deterministic, build, callbacks: as in `train`.
        made_with: see `environment.describe`.
    """

    runs: Sequence[Run]
    costs: dict[str, float]
    dataset: cifar10.Dataset
    folder: Path
    console: Console
    command: Sequence[str]
    deterministic: bool
    build: Builder
    callbacks: Callbacks
    made_with: dict[str, Any]


Executor = Callable[[Work], list[str]]  # trains the runs, and returns the labels of those that another process trains


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run; the text says what was kept and how to go on."""


def train(
    runs: Sequence[Run],
    dataset: cifar10.Dataset,
    folder: Path,
    console: Console,
    command: Sequence[str],
    *,
    deterministic: bool = False,
    build: Builder = models.build,
    callbacks: Callbacks = lambda run, dataset: (),
    execute: "Executor | None" = None,
) -> list[records.Record]:
    """Trains every run that is neither finished nor being trained by another process, each in its folder.

    Args:
        runs: in the order in which to train.
        dataset: the verified images.
        folder: of all runs; created if missing.
        console: shows progress.
        command: continues the training after an interruption.
        deterministic: see `device.prepare`.
        build: makes a row's model, new each time, from its name and options.
        callbacks: makes a run's Keras callbacks, which must not affect training.
        execute: trains the runs; `here` by default.
    Returns:
        The records of those `runs` that are finished, before or now.
    Raises:
        UserError: a row's model or optimizer cannot be built; nothing was trained.
        Interrupted: Ctrl-C.
    """
    device = prepare(deterministic)
    made_with = environment.describe(device.name, deterministic)  # now, as the source may change during a run
    examined = [_examine(run, dataset, None if execute else device, build) for run in runs]
    runs = [run for run, _ in examined]
    files.make_folder(folder)
    waiting = [run for run in runs if not records.finished(folder / run.id)]
    others: list[str] = []
    for run in runs:
        if run not in waiting:
            # A damaged record is reported now, not after hours of training the others.
            if records.read(folder / run.id).environment.get("source") != made_with["source"]:
                others.append(run.label)
            _clean(folder / run.id)
    _announce(runs, waiting, dataset, folder, "chosen by Ray" if execute else device.name, console)
    if others:
        terminal.say(
            console,
            f"Trained earlier by different code; to train them again, move their folders away: {', '.join(others)}.",
        )
    costs = {run.id: cost for run, cost in examined}
    work = Work(waiting, costs, dataset, folder, console, command, deterministic, build, callbacks, made_with)
    if elsewhere := (execute or here)(work):
        terminal.say(console, f"Skipped, as another process is training them: {', '.join(elsewhere)}.")
    return [records.read(folder / run.id) for run in runs if records.finished(folder / run.id)]


def interrupted(what: str, command: Sequence[str]) -> Interrupted:
    """The exception to raise at Ctrl-C."""
    return Interrupted(
        f"Stopped in {what}. Every finished epoch is kept; to go on, repeat the command:\n  {shlex.join(command)}"
    )


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
                    try:
                        _train(run, work, clock)
                    except KeyboardInterrupt:
                        raise interrupted(run.label, work.command) from None
                _clean(work.folder / run.id)
            clock.finished(run)
    return [run.label for run in left]


def _clean(folder: Path) -> None:
    """Removes what a finished run no longer needs; also after a kill between its record and this."""
    checkpoint.clear(folder)
    files.remove_unfinished(folder)


def check_precision(run: Run, device: Device) -> None:
    """Raises a `UserError` if the run's precision makes no sense on the device."""
    if run.row.precision == "mixed_float16" and device.is_cpu:
        raise UserError(
            "precision mixed_float16 needs a GPU; this CPU has no fast half precision.\n"
            "Use mixed_bfloat16 or float32 here (--precision, or the row's precision)."
        )


def _examine(run: Run, dataset: cifar10.Dataset, device: Device | None, build: Builder) -> tuple[Run, float]:
    """The run with its basis, and its multiply-adds per image.

    Done for all runs before the first is trained, so that a model that cannot be trained is reported at once.
    """
    try:
        if device is not None:
            check_precision(run, device)
        network = fit.compiled(fit.fresh(run.row, run.seed, build), run.row)
        models.check_shapes(network)
        basis = json.dumps([dataset.fingerprint, network.get_config()], sort_keys=True)
    except (UserError, TypeError) as error:  # TypeError: a layer's configuration is not JSON, so it cannot be saved
        raise UserError(f'Row "{run.row.name}": {error}\nNothing was trained and no file was changed.') from None
    run = dataclasses.replace(run, basis=hashlib.sha256(basis.encode()).hexdigest())
    return run, max(float(models.multiply_adds(network)), 1.0)


def _announce(
    runs: Sequence[Run], waiting: Sequence[Run], dataset: cifar10.Dataset, folder: Path, device: str, console: Console
) -> None:
    names, seeds = dict.fromkeys(r.row.name for r in runs), dict.fromkeys(str(r.seed) for r in runs)
    limit = ", shortened with --epochs" if any(r.shortened for r in runs) else ""
    lines = [
        f"{runs[0].experiment}: rows {', '.join(names)}; seeds {', '.join(seeds)}{limit}",
        f"data: {dataset.name}, {len(dataset.labels):,} images for training and validation ({dataset.source})",
        f"device: {device} (Keras {keras.__version__} on {keras.backend.backend()})",
        f"runs: {folder}; {len(runs) - len(waiting)} of {len(runs)} finished already",
    ]
    if dataset.is_synthetic:
        lines.insert(0, "SYNTHETIC DATA: nothing below is a result on CIFAR-10.")
    for line in lines:
        terminal.say(console, line)


class Clock:
    """Time left: from the seconds per epoch so far, scaled by each model's multiply-adds, and guessed epochs."""

    def __init__(self, costs: dict[str, float], waiting: Sequence[Run]) -> None:
        self.costs, self.waiting, self.total = costs, list(waiting), len(waiting)
        self.guess = {
            run.id: min(int(original.rows().get(run.row.name, {}).get("epochs", GUESSED_EPOCHS)), run.row.epochs)
            for run in waiting
        }

    def finished(self, run: Run) -> None:
        self.waiting.remove(run)

    def expected(self, run: Run) -> float:
        """Multiply-adds per training image until the guessed end: how long a run takes compared with others."""
        return self.guess[run.id] * self.costs[run.id]

    def left(self, run: Run, seconds: Sequence[float], wait: int) -> tuple[float, float]:
        """Seconds left for this run and for all; wait: epochs since the best one."""
        steady = seconds[1:] or seconds  # the first epoch includes the compilation
        per_epoch = sum(steady) / len(steady)
        rate = per_epoch / self.costs[run.id]  # seconds per epoch and multiply-add
        least = min(run.row.patience - wait, run.row.epochs - len(seconds))
        epochs = max(self.guess[run.id] - len(seconds), least, 0)
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
        run_left, all_left = self.clock.left(self.run, self.seconds, wait)
        left = f"left about {terminal.duration(run_left)}"
        if self.clock.total > 1:
            left += f" for the run, {terminal.duration(all_left)} for everything"
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
    """Trains one run to its end and writes its record."""
    dataset, folder = work.dataset, work.folder / run.id
    split = cifar10.split(dataset.labels)
    files.make_folder(folder)
    progress = _Progress(run, clock, work.console)
    with progress.bar:
        trained = fit.train(
            fit.fresh(run.row, run.seed, work.build),
            run.row,
            run.seed,
            dataset.images,
            dataset.labels,
            split,
            folder,
            tell=progress.epoch,
            say=progress.message,
            environment=work.made_with,
            callbacks=work.callbacks(run, dataset),
        )
    final = fit.without_optimizer(trained.model)
    on_validation = evaluate.validation(final, dataset, split[1])
    on_test = evaluate.test(final, dataset)
    record = _record(run, work, trained, split, on_validation, on_test)
    records.write(record, trained.history, _predictions(dataset, split[1], on_validation, on_test), final)
    progress.message(
        f"{record.stop} after epoch {record.epochs_trained}, kept epoch {record.epoch_kept}; "
        f"validation {on_validation.accuracy:.2%}, test {on_test.accuracy:.2%}".replace("%", " %")
    )


def _record(
    run: Run,
    work: Work,
    trained: fit.Trained,
    split: tuple[np.ndarray, np.ndarray],
    on_validation: evaluate.Evaluation,
    on_test: evaluate.Evaluation,
) -> records.Record:
    dataset, kept = work.dataset, trained.epoch_kept - 1
    splits = {"validation": on_validation, "test": on_test}
    return records.Record(
        schema=records.SCHEMA,
        experiment=run.experiment,
        row=run.row,
        basis=run.basis,
        seed=run.seed,
        dataset={"name": dataset.name, "class_names": list(dataset.class_names), **dataset.fingerprint},
        split=cifar10.split_fingerprint(*split),
        shortened=run.shortened,
        stop=trained.stop,
        epochs_trained=len(trained.seconds),
        epoch_kept=trained.epoch_kept,
        seconds=[round(s, 3) for s in trained.seconds],
        results={"train": {name: trained.history[name][kept] for name in ("loss", "accuracy")}}
        | {name: {"loss": e.loss, "accuracy": e.accuracy} for name, e in splits.items()},
        per_class={name: dict(zip(dataset.class_names, e.per_class, strict=True)) for name, e in splits.items()},
        environment={
            **work.made_with,
            "uncommitted": any(e["uncommitted"] for e in trained.environments),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "earlier": [e for e in trained.environments if e != work.made_with],
        },
        folder=work.folder / run.id,
    )


def _predictions(
    dataset: cifar10.Dataset, validation: np.ndarray, on_validation: evaluate.Evaluation, on_test: evaluate.Evaluation
) -> dict[str, np.ndarray]:
    """See `Record.predictions`."""
    return {
        "validation_index": validation.astype("int32"),
        "validation_label": dataset.labels[validation].astype("uint8"),
        "validation_predicted": on_validation.logits.argmax(axis=1).astype("uint8"),
        "test_label": on_test.labels.astype("uint8"),
        "test_predicted": on_test.logits.argmax(axis=1).astype("uint8"),
        "test_logits": on_test.logits.astype("float16"),
    }
