"""What commands print: paragraphs, tables' console, durations; and the progress of long tasks, on standard error.

Training prints its own progress (`runs/progress.py`).
"""

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import rich.console
import rich.table
from rich.measure import Measurement
from rich.progress import Progress, SpinnerColumn
from rich.progress import track as rich_track

from kerascifar.common.errors import encodable

T = TypeVar("T")


class Console(rich.console.Console):
    """Rich's console, but a closed pipe raises an exception instead of ending the process with status 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def duration(seconds: float) -> str:
    """A duration in readable form: "1 h 02 min", "3 min 04 s", "5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def console(*, wide: bool = False, stderr: bool = False) -> Console:
    """A console for tables: as wide as the terminal or COLUMNS; elsewhere, or if `wide`, with room for all columns."""
    is_known = (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ
    width = 1000 if wide else None if is_known else 160
    return Console(width=width, height=width and 25, stderr=stderr)  # without a height, TERM=dumb has 80 columns


def print_table(console: rich.console.Console, table: "rich.table.Table") -> None:
    """Prints a table whole. On a narrow terminal its lines wrap: cut off, "± 1.10" would be "± 1"."""
    before = console.width
    unlimited = console.options.update(max_width=10_000)
    console.width = max(before, Measurement.get(console, unlimited, table).minimum)
    console.print(table)
    console.width = before


def files_written(paths: Iterable[Path]) -> str:
    """`12 tables and 31 figures in runs/report`: what a command wrote, without a line for each file."""
    kinds = {"tables": {".md", ".csv"}, "figures": {".png", ".svg"}, "pages": {".html"}}
    paths = list(paths)
    counts = {kind: len({p.with_suffix("") for p in paths if p.suffix in suffixes}) for kind, suffixes in kinds.items()}
    counted = [f"{count} {kind if count > 1 else kind[:-1]}" for kind, count in counts.items() if count]
    return f"{listed(counted)} in {os.path.commonpath([p.parent for p in paths])}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def spanned(values: Sequence[float]) -> str:
    """`65 to 69`, or `67` if the lowest and the highest are rounded alike."""
    return " to ".join(dict.fromkeys((f"{min(values):.0f}", f"{max(values):.0f}")))


def note(console: rich.console.Console, text: str) -> None:
    """Prints a paragraph, wrapped at the console's width."""
    console.print(encodable(text, console.encoding), highlight=False, markup=False)


def say(console: rich.console.Console, text: str) -> None:
    """Prints `text` unchanged: no markup, highlighting or wrapping.

    Raises:
        KeyboardInterrupt: the output's reader has gone (`… | head`).
    """
    try:
        console.print(encodable(text, console.encoding), highlight=False, markup=False, soft_wrap=True)
    except BrokenPipeError:
        raise KeyboardInterrupt from None


def track(things: Sequence[T], what: str) -> Iterable[T]:
    """Iterates over `things`, with a progress bar in a terminal."""
    console = Console(stderr=True)
    return rich_track(things, what, console=console, transient=True, disable=not console.is_interactive)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to call `total` times with a description of each finished part.

    It advances a progress bar in a terminal, and prints a line elsewhere.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), *Progress.get_default_columns())
    in_a_log = not console.is_interactive
    # Rich estimates the remaining time from the last 30 seconds; one part may take longer.
    with Progress(*columns, console=console, speed_estimate_period=math.inf, disable=in_a_log) as bar:
        task = bar.add_task("", total=total)

        def tick(what: str) -> None:
            bar.update(task, advance=1, description=what)
            if in_a_log:
                at = bar.tasks[0]
                left = "" if at.time_remaining is None else f"; about {duration(at.time_remaining)} left"
                print(f"{what}: {at.completed:.0f} of {total} parts{left}", file=sys.stderr, flush=True)

        yield tick
