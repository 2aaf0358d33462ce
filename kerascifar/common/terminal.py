"""Progress and remaining time of long tasks, on standard error: standard output is for results.

Training prints its own progress (`experiment.py`).
"""

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn
from rich.progress import track as rich_track

T = TypeVar("T")


def duration(seconds: float) -> str:
    """A duration in readable form: "1 h 02 min", "3 min 04 s", "5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def say(console: Console, text: str) -> None:
    """Prints `text` unchanged, without markup, highlighting or wrapping; `?` for what the output cannot encode."""
    text = text.encode(console.encoding, "replace").decode(console.encoding)
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def track(things: Sequence[T], what: str) -> Iterable[T]:
    """Iterates over `things`, with a progress bar in a terminal."""
    console = Console(stderr=True)
    return rich_track(things, what, console=console, transient=True, disable=not console.is_interactive)


@contextlib.contextmanager
def counted(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to call `total` times with a description of each finished part.

    It advances a progress bar in a terminal, and prints a line elsewhere.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), *Progress.get_default_columns())
    in_a_log = not console.is_interactive
    # Rich estimates the remaining time from the last 30 seconds; one part may take longer.
    with Progress(*columns, console=console, speed_estimate_period=math.inf, disable=in_a_log) as progress:
        task = progress.add_task("", total=total)

        def tick(what: str) -> None:
            progress.update(task, advance=1, description=what)
            if in_a_log:
                at = progress.tasks[0]
                left = "" if at.time_remaining is None else f"; about {duration(at.time_remaining)} left"
                print(f"{what}: {at.completed:.0f} of {total} parts{left}", file=sys.stderr, flush=True)

        yield tick
