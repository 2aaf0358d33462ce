"""Kills the real command at random moments, starts it again, and compares what it leaves with an undisturbed run.

`make soak` runs it with 500 kills; the tests with a few, of processes that are forked after TensorFlow's import, which
would take most of the time. Needs no data: it trains on drawn shapes.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerascifar.common import files
from kerascifar.images import drawn

ROOT = Path(__file__).resolve().parent.parent
IMAGES = 150  # to train and validate: 120 in three batches, the last one smaller; more would only take longer
# Everything that a continuation could lose: BatchNormalization, Dropout, augmentation, both kinds of momentum, the
# patience of EarlyStopping (row A stops early), and a second run after the first.
ROWS = """
[defaults]
batch_size = 50
augment = true

[[row]]
name = "A"
model = "model1"
model_options = { filters = [4, 4, 4], dense = [8, 8] }
optimizer = "sgd"
optimizer_options = { momentum = 0.9 }
learning_rate = 0.3
patience = 12

[[row]]
name = "B"
model = "model6"
epochs = 3
"""


@dataclass
class Count:
    """What was done to the command, and what came of it."""

    kills: int = 0
    while_writing: int = 0  # a temporary file was left behind
    with_progress: int = 0  # an epoch was finished before
    runs: int = 0
    differences: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills ({self.with_progress} after a finished epoch, {self.while_writing} while a file was "
            f"written), {self.runs} runs compared, {len(self.differences)} differences, {len(self.lost)} files lost"
        )


def start(folder: Path, shapes: Path) -> subprocess.Popen[bytes]:
    """The command in a new process."""
    words = [sys.executable, "-m", "kerascifar", "run", "soak.toml", "--data", str(shapes)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERASCIFAR_CACHE": str(folder / "cache")}
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)


# Has imported what `run` needs, and computed nothing: then TensorFlow has no threads yet that a fork would lose.
FORKS = """
import os, sys
from kerascifar import __main__
from kerascifar.common.load_keras import load_keras
load_keras()
from kerascifar.commands import training
from kerascifar.output import report
from kerascifar.runs import experiment
for line in sys.stdin:
    folder, shapes = line.rstrip("\\n").split("\\t")
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ["KERASCIFAR_CACHE"] = folder + "/cache"
        log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1), os.dup2(log, 2)
        sys.exit(__main__.main(["run", "soak.toml", "--data", shapes]))
    os.setpgid(pid, pid)  # before anybody can kill the group
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Forks:
    """Starts the command one after another in processes that are forked from one that has imported everything."""

    def __init__(self) -> None:
        pipe, env = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([sys.executable, "-c", FORKS], env=env, bufsize=0, stdin=pipe, stdout=pipe)

    def __call__(self, folder: Path, shapes: Path) -> "Forks":
        self.process.stdin.write(f"{folder}\t{shapes}\n".encode())
        self.pid, self.returncode = int(self.process.stdout.readline()), None
        return self

    def poll(self) -> int | None:
        ready = self.returncode is None and select.select([self.process.stdout], [], [], 0)[0]
        return self.wait() if ready else self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self.process.stdout.readline())
        return self.returncode

    def __del__(self) -> None:
        self.process.communicate()  # it ends with its input


def content(folder: Path) -> dict[str, object]:
    """What must be the same to the bit in a finished run's folder: all but the clock."""
    record = json.loads((folder / "record.json").read_text())
    del record["seconds"], record["sha256"], record["environment"]
    with zipfile.ZipFile(folder / "model.keras") as file:
        weights = file.read("model.weights.h5")
    with np.load(folder / "predictions.npz") as file:
        predictions = {name: file[name].tobytes() for name in file.files}
    return {
        "record.json": record,
        "history.csv": (folder / "history.csv").read_bytes(),
        "model.keras": weights,
        "predictions.npz": predictions,
        "names": sorted(path.name for path in folder.iterdir()),
    }


def finished(runs: Path) -> dict[str, dict[str, int]]:
    """The files of each finished run, with their times."""
    folders = [path.parent for path in runs.glob("soak-*/record.json")]
    names = ("history.csv", "model.keras", "predictions.npz", "record.json")  # the rest comes and goes
    return {f.name: {name: (f / name).stat().st_mtime_ns for name in names if (f / name).is_file()} for f in folders}


def names(runs: Path) -> set[str]:
    """The files of runs, without the folder of the trial before the first epoch."""
    return {str(path) for path in present(runs) if not path.relative_to(runs).parts[0].startswith(files.TEMPORARY)}


def present(runs: Path) -> list[Path]:
    """The files now. A folder that the training process removes meanwhile is skipped (Path.rglob would fail)."""
    return [Path(folder) / name for folder, _, contents in os.walk(runs) for name in contents]


def is_writing(runs: Path) -> bool:
    return any(path.name.startswith(".unfinished-") for path in present(runs))


def moment(process: subprocess.Popen[bytes], runs: Path, chance: random.Random, whole: float, start: int) -> None:
    """Waits for a random moment of the process's life, of the kinds in turn, so that a few kills have each of them.

    One start in five is killed anywhere. The others follow the first file that this start has written, so that every
    start gets on, however slow the machine: half of them while the next file is written, if that can be seen.
    """
    before = names(runs)
    if start % 5 == 2:
        end = time.monotonic() + chance.uniform(0, whole)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        return
    while process.poll() is None and not any("checkpoint" in name or "report" in name for name in names(runs) - before):
        time.sleep(0.005)
    end, hunt = time.monotonic() + chance.uniform(0, 0.1 * whole), start % 5 in (0, 3)
    while process.poll() is None:
        writing = hunt and is_writing(runs)
        if time.monotonic() > end and (writing or not hunt or time.monotonic() > end + 0.2 * whole):
            return
        time.sleep(0.0002 if hunt else 0.01)


def worker(
    number: int, kills: int, base: Path, shapes: Path, expected: dict, whole: float, seed: int, n: Count, fork: bool
) -> None:
    begin = Forks() if fork else start
    chance = random.Random(f"{seed}-{number}")
    attempt = starts = 0
    while n.kills < kills:
        folder = base / f"{number}-{attempt}"
        attempt += 1
        folder.mkdir()
        (folder / "soak.toml").write_text(ROWS, encoding="utf-8")
        while True:
            process = begin(folder, shapes)
            if n.kills < kills:
                before = finished(folder / "runs")
                moment(process, folder / "runs", chance, whole, starts)
                starts += 1
            if process.poll() is None and n.kills < kills:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                after = finished(folder / "runs")
                n.kills += 1
                n.while_writing += is_writing(folder / "runs")
                n.with_progress += any(folder.glob("runs/*/checkpoint-*")) or bool(after)
                for name, files in before.items():
                    kept = after.get(name, {})
                    n.lost += [f"{folder.name}/{name}/{file}" for file in files if kept.get(file) != files[file]]
                continue
            process.wait()
            break
        if process.returncode != 0:
            n.differences.append(f"{folder.name}: status {process.returncode}: {(folder / 'log').read_text()[-2000:]}")
            return
        compare(folder / "runs", expected, n)
        shutil.rmtree(folder)


def compare(runs: Path, expected: dict, n: Count) -> None:
    """Counts what differs in the finished runs from what they should be, and what is missing or left over."""
    for name, right in expected.items():
        try:
            mine = content(runs / name)
            n.differences += [f"{runs.parent.name}/{name}: {key}" for key in right if mine[key] != right[key]]
            n.runs += 1
        except Exception as error:  # a file that is missing, torn or of another form
            n.lost.append(f"{runs.parent.name}/{name}: {error!r}")
    n.lost += [f"left over: {path}" for path in runs.glob("soak-*/.unfinished-*")]


def verdict(count: Count, kills: int) -> int:
    """Prints what came of it; returns the exit status."""
    print(count, *count.differences, *count.lost, sep="\n")
    return 1 if count.differences or count.lost or count.kills < kills else 0


def soak(kills: int, base: Path, seed: int = 0, workers: int = 2, fork: bool = False) -> Count:
    """Kills `kills` times in all, by `workers` at once, each with folders of its own."""
    shapes = base / "shapes"
    drawn.write(shapes, train=IMAGES, test=100, seed=1)
    (base / "whole").mkdir()
    (base / "whole" / "soak.toml").write_text(ROWS, encoding="utf-8")
    began = time.monotonic()
    if start(base / "whole", shapes).wait() != 0:
        raise SystemExit((base / "whole" / "log").read_text())
    whole = time.monotonic() - began
    expected = {path.name: content(path) for path in (base / "whole" / "runs").glob("soak-*")}
    assert len(expected) == 2
    n = Count()
    threads = [
        threading.Thread(target=worker, args=(i, kills, base, shapes, expected, whole, seed, n, fork))
        for i in range(workers)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        threads[0].join(10)
        threads[-1].join(10)
        print(f"{time.monotonic() - began:5.0f} s: {n}", flush=True)
    return n


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        return verdict(soak(arguments.kills, Path(base), arguments.seed), arguments.kills)


if __name__ == "__main__":
    sys.exit(main())
