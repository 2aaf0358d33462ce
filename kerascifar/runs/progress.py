"""How far a run is: its progress, epoch by epoch, and the time left."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kerascifar.common import terminal
from kerascifar.runs import original
from kerascifar.training.rows import Run

# A row's number of epochs is unknown before it has been trained: the original's is the guess, or this.
GUESSED_EPOCHS = 60


class Clock:
    """Time left: from the seconds per epoch so far, scaled by each model's multiply-adds, and guessed epochs."""

    def __init__(self, costs: dict[str, float], waiting: Sequence[Run]) -> None:
        self.costs, self.waiting, self.total = costs, list(waiting), len(waiting)
        self.guess = {run.id: _guessed_epochs(run) for run in waiting}

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


class RunProgress:
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


def _guessed_epochs(run: Run) -> int:
    if run.row.patience >= run.row.epochs:  # never stops early
        return run.row.epochs
    return min(int(original.rows().get(run.row.name, {}).get("epochs", GUESSED_EPOCHS)), run.row.epochs)
