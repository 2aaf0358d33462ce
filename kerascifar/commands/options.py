"""Options that several commands share. Commands import slow modules only when they run, so that `--help` is fast."""

import argparse
import contextlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascifar.common import terminal
from kerascifar.training import rows

if TYPE_CHECKING:
    import pandas as pd
    import rich.console

RUNS = Path("runs")


def folder(text: str) -> Path:
    """A path; `~` is the user's home, as not every shell replaces it in `RUNS=~/runs`.

    Raises:
        argparse.ArgumentTypeError: it begins with the name of a user who does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text} begins with the name of a user who does not exist") from None


def described(what: str, note: str, examples: str) -> dict[str, Any]:
    """The arguments of a parser that describe its command: what it does, a note, and examples."""
    lines = (f"  kerascifar {line}" for line in examples.strip().splitlines())
    return {
        "description": textwrap.fill(f"{what[0].upper()}{what[1:]}. {note}".strip(), 80),
        "epilog": "\n".join(["examples:", *lines]),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


SHARED: dict[str, dict[str, Any]] = {
    "--data": {"type": Path, "metavar": "DIR", "help": "CIFAR-10: a folder or a .tar.gz file"},
    "--runs": {
        "type": folder,
        "default": RUNS,
        "metavar": "DIR",
        "help": "the folder of your runs (default: %(default)s)",
    },
    "--published": {
        "action": "store_true",
        "help": "use only the published runs, even of rows that you have trained",
    },
    "--wide": {"action": "store_true", "help": "print all columns"},
    "--jobs": {
        "type": int,
        "default": 1,
        "metavar": "N",
        "help": "train N runs at once, which share this machine's cores and GPUs evenly; needs Ray (default: 1)",
    },
    "--json": {
        "action": "store_true",
        "help": "print the table as JSON on standard output, and everything else on standard error",
    },
}


def add(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        parser.add_argument(name, **SHARED[name])


def show(
    table: "pd.DataFrame", shown: "pd.DataFrame", arguments: argparse.Namespace, title: str = ""
) -> "rich.console.Console":
    """Prints a table: as JSON with --json, whole with --wide, otherwise only what is `shown`.

    Returns:
        The console for notes on the table.
    """
    from kerascifar.output import tables

    console = terminal.console(wide=arguments.wide, stderr=arguments.json)
    if arguments.json:
        print(as_json(table))
    else:
        terminal.print_table(console, tables.as_rich(table if arguments.wide else shown, title))
    return console


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Lets a command go on that only shows something if it cannot write its files, and says so."""
    try:
        yield
    except OSError as error:
        print(f"Not saved: {error.strerror} ({error.filename}).", file=sys.stderr)


def known_rows() -> dict[tuple[str, str], rows.Row]:
    """By experiment and name, the rows that come with the package and those of this folder, which come last."""
    files = [*rows.files(), *rows.files(Path("experiments"))]
    return {(file.stem, row.name): row for file in files for row in rows.read(file).rows}


def as_json(table: "pd.DataFrame") -> str:
    """The table's rows as JSON objects, at full precision. Missing values are null."""
    return str(table.to_json(orient="records", double_precision=15, force_ascii=False, indent=2))
