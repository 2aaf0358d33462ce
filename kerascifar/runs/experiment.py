"""Runs an experiment: rows × seeds, skips what is finished, shows progress and time left, goes on after a stop.

Several commands may work on the same runs: each run is locked while it is trained. What trains them is an executor:
`here`, one after the other in this process, or Ray's (kerascifar/runs/cluster.py).
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
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kerascifar.common import files, terminal
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import environment, original, records
from kerascifar.training import checkpoint, evaluate, fit, models
from kerascifar.training.device import Device, prepare
from kerascifar.training.rows import Run

# Before a row has been trained nobody knows when it will stop: the report's epochs are the guess, else this.
GUESSED_EPOCHS = 60
Builder = Callable[..., keras.Sequential]  # of a model's name and options
Callbacks = Callable[[Run, cifar10.Dataset], Sequence[keras.callbacks.Callback]]  # cheap to send to another process
LOCKS = ".locks"  # folder of lock files, beside the runs' folders


@dataclasses.dataclass(frozen=True)
class Work:
    """What an executor is given.

    Attributes:
        runs: those that are not finished, in the order that was asked for, with their basis.
        costs: by run id, multiply-adds per image.
        dataset, folder, console, command, deterministic, build, callbacks: as `run` takes them.
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


Executor = Callable[[Work], list[str]]  # trains the runs, returns the labels of those that another command has


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a run was being trained; the text says what was kept and how to go on."""


def run(
    runs: Sequence[Run],
    dataset: cifar10.Dataset,
    folder: Path,
    console: Console,
    command: Sequence[str],
    deterministic: bool = False,
    build: Builder = models.build,
    callbacks: Callbacks = lambda one, dataset: (),
    execute: "Executor | None" = None,
) -> list[records.Record]:
    """Trains every run that is neither finished nor in another command's hands, each into a folder under `folder`.

    Args:
        runs: in the order in which to train.
        dataset: the verified images.
        folder: of all runs; made where it is missing.
        console: for what the user should see.
        command: how the user can go on after an interruption.
        deterministic: see `device.prepare`.
        build: makes a row's model, new each time, from its name and options.
        callbacks: makes a run's Keras callbacks, to look on.
        execute: what trains the runs: `here` unless given.
    Returns:
        The records of those `runs` that are finished, before or now.
    Raises:
        UserError: a row whose model or optimizer cannot be built; nothing was trained then.
        Interrupted: Ctrl-C.
    """
    device = prepare(deterministic)
    made_with = environment.describe(device.name, deterministic)  # now, as the source may change while a run trains
    examined = [_examine(one, dataset, None if execute else device, build) for one in runs]
    runs = [one for one, _ in examined]
    files.make_folder(folder)
    waiting = [one for one in runs if not records.finished(folder / one.id)]
    others: list[str] = []
    for one in runs:
        if one not in waiting:
            # A damaged record is told now, not after hours of training the others.
            if records.read(folder / one.id).environment.get("source") != made_with["source"]:
                others.append(one.label)
            _clean(folder / one.id)
    _announce(runs, waiting, dataset, folder, "chosen by Ray" if execute else device.name, console)
    if others:
        terminal.say(
            console, f"Trained earlier by other code; move their folders away to train them anew: {', '.join(others)}."
        )
    costs = {one.id: cost for one, cost in examined}
    work = Work(waiting, costs, dataset, folder, console, command, deterministic, build, callbacks, made_with)
    if elsewhere := (execute or here)(work):
        terminal.say(console, f"In the hands of another command, so not trained here: {', '.join(elsewhere)}.")
    return [records.read(folder / one.id) for one in runs if records.finished(folder / one.id)]


def interrupted(what: str, command: Sequence[str]) -> Interrupted:
    """What to raise at Ctrl-C."""
    return Interrupted(
        f"Stopped in {what}. Every finished epoch is kept; go on with the same command:\n  {shlex.join(command)}"
    )


def here(work: Work) -> list[str]:
    """Trains one run after the other in this process."""
    clock = Clock(work.costs, work.runs)
    folder, waiting = work.folder, list(work.runs)
    left, before = list(waiting), len(waiting) + 1
    while left and len(left) < before:  # again as long as it helps: another command may have been stopped meanwhile
        before = len(left)
        for one in list(left):
            with files.locked(folder / LOCKS / f"{one.id}.lock") as mine:
                if not mine:
                    continue
                left.remove(one)
                files.remove_unfinished(folder / one.id)
                if not records.finished(folder / one.id):
                    place = f" ({waiting.index(one) + 1}/{len(waiting)})" if len(waiting) > 1 else ""
                    try:
                        _train(one, work, clock, place)
                    except KeyboardInterrupt:
                        raise interrupted(one.label, work.command) from None
                _clean(folder / one.id)
            clock.finished(one)
    return [one.label for one in left]


def _clean(folder: Path) -> None:
    """Removes what a finished run needs no more; also after a kill between its record and this."""
    checkpoint.clear(folder)
    files.remove_unfinished(folder)


def check_precision(one: Run, device: Device) -> None:
    """Raises a `UserError` where the run's precision makes no sense on the device."""
    if one.row.precision == "mixed_float16" and device.is_cpu:
        raise UserError(
            "precision mixed_float16 needs a GPU; this CPU has no fast half precision.\n"
            "Use mixed_bfloat16 or float32 here (--precision, or the row's precision)."
        )


def _examine(one: Run, dataset: cifar10.Dataset, device: Device | None, build: Builder) -> tuple[Run, float]:
    """The run with its basis, and its multiply-adds per image.

    Done for all runs before the first is trained, so that a model that cannot be trained is told at once.
    """
    keras.backend.clear_session()  # layer names start anew, so the same model has the same configuration
    keras.utils.set_random_seed(one.seed)  # some layers draw a seed of their own
    try:
        if device is not None:
            check_precision(one, device)
        keras.config.set_dtype_policy(one.row.precision)
        network = fit.compiled(build(one.row.model, **one.row.model_options), one.row)
        models.check_shapes(network)
        basis = json.dumps([dataset.fingerprint, network.get_config()], sort_keys=True)
    except (UserError, TypeError) as error:  # TypeError: a layer's configuration is no JSON, so it cannot be saved
        raise UserError(f'Row "{one.row.name}": {error}\nNothing was trained and no file was changed.') from None
    one = dataclasses.replace(one, basis=hashlib.sha256(basis.encode()).hexdigest())
    return one, max(float(models.multiply_adds(network)), 1.0)


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
    """Time left, from the seconds per epoch seen so far, scaled by each model's multiply-adds, and guessed epochs."""

    def __init__(self, costs: dict[str, float], waiting: Sequence[Run]) -> None:
        reported = original.rows()
        self.costs, self.waiting = costs, list(waiting)
        self.guess = {
            one.id: min(int(reported.get(one.row.name, {}).get("epochs", GUESSED_EPOCHS)), one.row.epochs)
            for one in waiting
        }

    def finished(self, one: Run) -> None:
        self.waiting.remove(one)

    def expected(self, one: Run) -> float:
        """Multiply-adds per training image until the guessed end: how long a run takes beside others."""
        return self.guess[one.id] * self.costs[one.id]

    def left(self, one: Run, seconds: Sequence[float], wait: int) -> tuple[float, float]:
        """Seconds left for this run and for everything; wait: epochs since the best one."""
        steady = seconds[1:] or seconds  # the first epoch holds the compilation
        per_epoch = sum(steady) / len(steady)
        rate = per_epoch / self.costs[one.id]  # seconds per epoch and multiply-add
        least = min(one.row.patience - wait, one.row.epochs - len(seconds))
        epochs = max(self.guess[one.id] - len(seconds), least, 0)
        others = sum(self.expected(o) * rate for o in self.waiting if o is not one)
        return epochs * per_epoch, epochs * per_epoch + others


def _train(one: Run, work: Work, clock: Clock, place: str) -> None:
    """Trains one run to its end and writes its record."""
    row, dataset, console, made_with, folder = one.row, work.dataset, work.console, work.made_with, work.folder / one.id
    keras.backend.clear_session()
    keras.config.set_dtype_policy(row.precision)
    keras.utils.set_random_seed(one.seed)
    split = cifar10.split(dataset.labels)
    files.make_folder(folder)
    seconds: list[float] = []
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[text]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = progress.add_task(f"{one.label}{place}", total=clock.guess[one.id], text="first epoch")

    def tell(values: dict[str, float], epoch: int, took: float, wait: int) -> None:
        seconds.append(took)
        run_left, all_left = clock.left(one, seconds, wait)
        left = f"left about {terminal.duration(run_left)}"
        if place:  # another process has the other runs, or there are none
            left += f" for the run, {terminal.duration(all_left)} for everything"
        on_validation = f"validation {values['val_loss']:.3f} {100 * values['val_accuracy']:.2f} %"
        if console.is_terminal:
            text = f"epoch {epoch}: {on_validation} | {left}"
            progress.update(task, completed=epoch, total=max(clock.guess[one.id], epoch), text=text)
        else:
            on_training = f"loss {values['loss']:.3f} accuracy {100 * values['accuracy']:.2f} %"
            text = f"{one.label}{place} epoch {epoch}: {on_training} | {on_validation} | {took:.1f} s; {left}"
            terminal.say(console, text)

    def tell_user(text: str) -> None:
        terminal.say(console, f"{one.label}: {text}")

    with progress:
        network = work.build(row.model, **row.model_options)
        images, labels = dataset.images, dataset.labels
        callbacks = work.callbacks(one, dataset)
        trained = fit.train(
            network, row, one.seed, images, labels, split, folder, tell, tell_user, made_with, callbacks
        )
    # Without the optimizer, which clone_model would keep: model.keras is for looking at and predicting.
    final = keras.Sequential.from_config(trained.model.get_config())
    final.set_weights(trained.model.get_weights())
    on_validation = evaluate.validation(final, dataset, split[1])
    on_test = evaluate.test(final, dataset)
    kept = trained.epoch_kept - 1
    record = records.Record(
        schema=records.SCHEMA,
        experiment=one.experiment,
        row=dataclasses.asdict(row),
        basis=one.basis,
        seed=one.seed,
        dataset={"name": dataset.name, "class_names": list(dataset.class_names), **dataset.fingerprint},
        split=cifar10.split_fingerprint(*split),
        shortened=one.shortened,
        stop=trained.stop,
        epochs_trained=len(trained.seconds),
        epoch_kept=trained.epoch_kept,
        seconds=[round(s, 3) for s in trained.seconds],
        results={
            "train": {"loss": trained.history["loss"][kept], "accuracy": trained.history["accuracy"][kept]},
            "validation": {"loss": on_validation.loss, "accuracy": on_validation.accuracy},
            "test": {"loss": on_test.loss, "accuracy": on_test.accuracy},
        },
        per_class={
            "validation": dict(zip(dataset.class_names, on_validation.per_class, strict=True)),
            "test": dict(zip(dataset.class_names, on_test.per_class, strict=True)),
        },
        environment={
            **made_with,
            "uncommitted": any(e["uncommitted"] for e in trained.environments),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "earlier": [e for e in trained.environments if e != made_with],
        },
        folder=folder,
    )
    predictions = {
        "validation_index": split[1].astype("int32"),
        "validation_label": dataset.labels[split[1]].astype("uint8"),
        "validation_predicted": on_validation.logits.argmax(axis=1).astype("uint8"),
        "test_label": on_test.labels.astype("uint8"),
        "test_predicted": on_test.logits.argmax(axis=1).astype("uint8"),
        "test_logits": on_test.logits.astype("float16"),
    }
    records.write(record, trained.history, predictions, final)
    result = record.results
    terminal.say(
        console,
        f"{one.label}: {record.stop} after epoch {record.epochs_trained}, kept epoch {record.epoch_kept}; "
        f"validation {100 * result['validation']['accuracy']:.2f} %, test {100 * result['test']['accuracy']:.2f} %",
    )
