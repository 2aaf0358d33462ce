"""The command line: `python -m kerascifar COMMAND`. Each command is a module of `kerascifar.commands`."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from kerascifar import __version__
from kerascifar.commands import options
from kerascifar.common import entry
from kerascifar.common.errors import UserError, suggest

COMMANDS = (
    "run",
    "runs",
    "choices",
    "verify",
    "data",
    "models",
    "report",
    "cam",
    "focus",
    "findings",
    "compare",
    "publish",
    "doctor",
    "demo",
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerascifar",
        allow_abbrev=False,
        description="Reproduces a student report on small CNNs for CIFAR-10, and judges its claims.",
        epilog="Exit status: 0 done; 1 a run's loss was not finite, or a "
        "published run is not known to be reproduced, or doctor found a problem; 2 a mistake that the message "
        "explains; 70 an unexpected error, whose traceback is in a file; 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"kerascifar {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"kerascifar.commands.{name}")
        described = options.described(module.HELP, getattr(module, "NOTE", ""), module.EXAMPLES)
        command = subparsers.add_parser(name, help=module.HELP, **described)
        module.add_arguments(command)
        command.set_defaults(run=module.run, refuse=command.error)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the console script's entry point."""
    return entry.run(_main, argv)


def _main(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise UserError(f'"{words[0]}" is not a command.\n{suggest(words[0], COMMANDS)}')
    arguments, unknown = _parser().parse_known_args(words or ["--help"])
    if unknown:  # argparse itself would show the usage of the whole program
        arguments.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    run: Callable[[argparse.Namespace, Sequence[str]], int] = arguments.run
    # The command line that resumes an interrupted training.
    return run(arguments, [sys.executable, "-m", "kerascifar", *words])


if __name__ == "__main__":
    sys.exit(main())
