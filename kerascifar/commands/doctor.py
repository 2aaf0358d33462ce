"""`python -m kerascifar doctor`: checks this machine and suggests a fix for each problem."""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerascifar import __version__
from kerascifar.commands import options
from kerascifar.common import errors, files
from kerascifar.common.errors import UserError
from kerascifar.common.load_keras import load_keras
from kerascifar.common.paths import CHECKOUT
from kerascifar.images import cifar10

HELP = "check this machine and suggest a fix for each problem"
EXAMPLES = """
doctor                                    run this before you report a problem
"""
ROOM = 2**30  # bytes: enough for all rows with a few seeds, including checkpoints


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    what: str
    right: bool
    found: str
    todo: str = ""  # what to do if it is not right


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add(parser, "--data", "--runs", "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    load_keras()
    results = []
    for check in checks(arguments.runs, arguments.data):
        results.append(check)
        if not arguments.json:
            print(f"{'✓' if check.right else '✗'} {check.what}: {errors.printable(check.found)}", flush=True)
            if not check.right:
                print(f"    {errors.printable(check.todo)}", flush=True)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(check) for check in results], indent=2))
    return 0 if all(check.right for check in results) else 1


def checks(runs: Path, source: Path | None) -> Iterator[Check]:
    """Runs the checks one by one. Downloads nothing; writes only a temporary file and the images' cache."""
    from kerascifar.output import figures
    from kerascifar.runs import environment

    yield Check("Python", True, f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    code = environment.commit()
    where = "installed package"
    if code.problem:
        where = f"commit unknown, because git fails ({code.problem})"
    elif code.name:
        where = f"commit {code.name[:12]}{' with changes' * bool(code.uncommitted)}"
    todo = f"Run `git -C {CHECKOUT} status` and follow its advice. Until then, runs cannot be published."
    yield Check("kerascifar", not code.problem, f"{__version__}, {where}", todo)
    yield _packages()
    yield _device()
    missing = figures.graphviz_missing()
    yield Check("Graphviz", not missing, "missing" if missing else "draws architecture diagrams", missing or "")
    yield _images(source)
    yield _room(runs)


def _packages() -> Check:
    from packaging.requirements import Requirement

    from kerascifar.runs import environment

    wrong, shown = [], []
    for text in importlib.metadata.requires("kerascifar") or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing (expected {needed.specifier})")
            continue
        if not needed.specifier.contains(version, prereleases=True):
            wrong.append(f"{needed.name} {version} (expected {needed.specifier})")
        elif needed.name in environment.PACKAGES or needed.name == "tf-keras-vis":
            shown.append(f"{needed.name} {version}")
    return Check(
        "packages",
        not wrong,
        "; ".join(wrong) or ", ".join(shown),
        "Install the tested versions again: make clean setup.",
    )


def _device() -> Check:
    import keras

    from kerascifar.training import device

    backend = keras.backend.backend()
    here = device.prepare()
    found = f"{here.name}, Keras on {backend}"
    if backend != "tensorflow":
        return Check("device", True, f"{found}: can train, but cannot draw focus maps")
    driver = shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
    right = not (driver and here.is_cpu)
    return Check("device", right, found, "An NVIDIA driver is installed, but TensorFlow sees no GPU: make clean setup.")


def _images(source: Path | None) -> Check:
    try:
        dataset = cifar10.load(source, download=False, say=lambda text: None)
    except UserError as problem:
        return Check("CIFAR-10", False, str(problem).splitlines()[0], " ".join(str(problem).splitlines()[1:]))
    return Check("CIFAR-10", True, f"{dataset.name}, verified, {dataset.source}")


def _room(runs: Path) -> Check:
    try:
        place = next(p for p in (runs, *runs.absolute().parents) if p.exists())  # `runs` itself may be missing
        files.check_writable(place)
    except OSError as error:
        return Check("runs", False, f"{runs}: {error.strerror}", "Choose another folder: --runs DIR.")
    free = shutil.disk_usage(place).free
    found = f"{os.path.abspath(runs)} is writable, {free / 2**30:,.1f} GiB free"
    return Check(
        "runs", free >= ROOM, found, "Training all rows takes up to 1 GiB: free some space, or choose --runs DIR."
    )
