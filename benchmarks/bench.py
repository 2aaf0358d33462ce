"""Measures kerascifar against what a user would write without it, alternately side by side, and prints ratios.

Writes `bench.json` (every single value, machine, versions), `bench.md`, and its table into docs/benchmarks.md.
PyTorch's lines appear where torch is installed. Wants a machine with nothing else to do; takes under 15 minutes.
"""

import argparse
import concurrent.futures
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from measured import in_mb

from kerascifar.common import files
from kerascifar.images import drawn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGES = ["tensorflow", "keras", "numpy", "scipy", "opencv-python-headless", "torch"]
ONE_ROW = '[[row]]\nname = "A"\nmodel = "{model}"\nbatch_size = 400\nepochs = 1\n'
AT_ONCE = {"M6": 50_000, "Model4": 5_000}  # images of each, a fifth of them to validate

Values = dict[str, list[float]]
Environment = Mapping[str, str]  # added to the present one
NO_CHANGE: Environment = MappingProxyType({})


def python(*words: str, cwd: Path = ROOT, env: Environment = NO_CHANGE) -> str:
    """What a Python command prints, with `env` added to the environment."""
    result = subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}, check=False
    )
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with status {result.returncode}:\n{result.stderr[-3000:]}")
    return result.stdout


def seconds(*words: str, cwd: Path = ROOT, env: Environment = NO_CHANGE) -> float:
    began = time.perf_counter()
    python(*words, cwd=cwd, env=env)
    return time.perf_counter() - began


def epochs(script: str, *words: str, env: Environment = NO_CHANGE) -> tuple[float, float]:
    """Mean seconds of an epoch after the first, which holds the compilation, and the peak of memory in MB.

    The mean, as some epochs of a run wait for seconds (see `Batches.feed`), and that is what a user waits.
    """
    told = json.loads(python(str(HERE / script), *words, env=env).splitlines()[-1])
    return statistics.mean(told["seconds"][1:]), told["peak_mb"]


def alternately(rounds: int, **measures: Callable[[], float]) -> Values:
    """Each measure once per round, in turn, after nothing else: what slows one down slows the others down too."""
    values: Values = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure())
    return values


class Table:
    """The lines measured so far."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, what: str, against: str, unit: str, target: str, ours: list[float], theirs: list[float]) -> None:
        """A line with the ratio theirs / ours where less is better, ours / theirs for rates ("…/s")."""
        rate = unit.endswith("/s")
        ratios = [a / b if rate else b / a for a, b in zip(ours, theirs, strict=True)]
        if target.startswith("≤"):  # stated as ours / theirs
            ratios = [1 / ratio for ratio in ratios]
        self.lines.append(
            {"what": what, "against": against, "unit": unit, "target": target, "ratio": ratios, "ours": ours}
            | {"theirs": theirs}
        )
        print(self.row(self.lines[-1]), flush=True)

    @staticmethod
    def row(line: dict) -> str:
        def shown(values: list[float], digits: int) -> str:
            low, middle, high = min(values), statistics.median(values), max(values)
            return f"{middle:,.{digits}f}" + (f" ({low:,.{digits}f} … {high:,.{digits}f})" if len(values) > 1 else "")

        digits = 0 if max(line["ours"] + line["theirs"]) >= 100 else 3 if max(line["ours"]) < 0.1 else 2
        middle, (sign, _, bound) = statistics.median(line["ratio"]), line["target"].partition(" ")
        missed = bool(sign) and (middle > float(bound) if sign == "≤" else middle < float(bound))
        cells = [line["what"], line["against"], shown(line["ratio"], 2), line["target"] + " (missed)" * missed]
        cells += [f"{shown(line['ours'], digits)} {line['unit']}", f"{shown(line['theirs'], digits)} {line['unit']}"]
        return "| " + " | ".join(cells) + " |"

    def markdown(self) -> str:
        head = "| what | against | ratio (range) | target | here | there |\n|---|---|---|---|---|---|\n"
        return head + "\n".join(self.row(line) for line in self.lines) + "\n"


def augmentation(table: Table, rounds: int) -> None:
    rates = json.loads(python(str(HERE / "augmentation.py"), str(rounds)))
    what, against = "augmentation, one core", "ImageDataGenerator"
    table.add(what, against, "images/s", "≥ 10", rates["ours"], rates["theirs"])


def memory(table: Table, folder: Path) -> None:
    """The peak of a whole run by the command, evaluation, records and figures included, against the plain script's."""
    words = [sys.executable, "-m", "kerascifar", "run", str(ROOT / "experiments" / "experiment1.toml")]
    words += ["--rows", "M6", "--epochs", "3", "--runs", str(folder / "memory")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    _, theirs = epochs("plain_keras.py", "M6")
    table.add("peak of memory, M6", "plain Keras", "MB", "≤ 0.8", [in_mb(used.ru_maxrss)], [theirs])


def training(table: Table, rounds: int) -> None:
    """Epochs of M6 on all images; of Model4, which takes ten times as long, on a tenth of them."""
    some = {"M6": (), "Model4": ("--images", "5000")}
    has_torch = importlib.util.find_spec("torch") is not None
    for row in some:

        def epoch(script: str, *words: str, row: str = row, env: Environment = NO_CHANGE) -> Callable[[], float]:
            return lambda: epochs(script, row, "--epochs", "3", *some[row], *words, env=env)[0]

        measures = {
            "ours": epoch("ours.py"),
            "plain": epoch("plain_keras.py"),
            "bare": epoch("ours.py", "--augment", "no"),
            "plain_bare": epoch("plain_keras.py", "--augment", "no"),
            "no_onednn": epoch("ours.py", env={"TF_ENABLE_ONEDNN_OPTS": "0"}),
            "half": epoch("ours.py", "--precision", "mixed_bfloat16"),
        }
        if row == "M6":
            measures["inexact"] = epoch("ours.py", "--exactness", "none")
            measures["deterministic"] = epoch("ours.py", "--exactness", "deterministic")
        if has_torch:
            measures["torch"] = epoch("plain_torch.py")
        v = alternately(rounds, **measures)
        what, ours = f"epoch of {row}", v["ours"]
        if row == "M6":
            table.add(what, "the same without augmentation", "s", "≤ 1.05", ours, v["bare"])
        table.add(what, "plain Keras", "s", "≥ 1.7" if row == "M6" else "≥ 1.1", ours, v["plain"])
        table.add(f"{what}, no augmentation", "plain Keras", "s", "≥ 1", v["bare"], v["plain_bare"])
        table.add(what, "with oneDNN off", "s", "", ours, v["no_onednn"])
        table.add(f"{what} in mixed_bfloat16", "float32", "s", "", v["half"], ours)
        for name, against in (("inexact", "without exact continuation"), ("deterministic", "with --deterministic")):
            if name in v:
                table.add(what, against, "s", "", ours, v[name])
        if has_torch:
            table.add(what, "plain PyTorch", "s", "", ours, v["torch"])


def start_up(table: Table, rounds: int, folder: Path) -> None:
    cli = ("-m", "kerascifar")
    drawn.write(folder / "images", train=500, test=100)
    (folder / "one.toml").write_text(ONE_ROW.format(model="model1"), encoding="utf-8")
    (folder / "wrong.toml").write_text("[[row]]\nnam = 3\n", encoding="utf-8")
    data = ("--data", str(folder / "images"))
    env = {"PYTHONPATH": str(ROOT), "KERASCIFAR_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    seconds(*cli, "run", "one.toml", *data, cwd=folder, env=env)  # fills the cache, and leaves a model to explain

    def mistake() -> float:
        began = time.perf_counter()
        status = subprocess.run(
            [sys.executable, *cli, "run", "wrong.toml"], cwd=folder, capture_output=True, env=os.environ | env
        )
        assert status.returncode == 2
        return time.perf_counter() - began

    def first_step() -> float:
        """From the command to the end of a first epoch of one step, its validation and checkpoint included."""
        shutil.rmtree(folder / "runs" / "again", ignore_errors=True)
        words = [sys.executable, *cli, "run", "one.toml", *data, "--runs", "runs/again"]
        began = time.perf_counter()
        with subprocess.Popen(
            words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | env
        ) as process:
            assert process.stdout is not None
            next(line for line in process.stdout if " epoch 1:" in line)
            took = time.perf_counter() - began
            process.kill()
        return took

    def make_help() -> float:
        began = time.perf_counter()
        subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, check=True)
        return time.perf_counter() - began

    v = alternately(
        max(rounds, 3),
        bare=lambda: seconds("-c", "import tensorflow", env=env),
        help=lambda: seconds(*cli, "--help", env=env),
        models_help=lambda: seconds(*cli, "models", "--help", env=env),
        mistake=mistake,
        make_help=make_help,
        first_step=first_step,
        focus=lambda: seconds("-m", "kerascifar.cam", "--class", "circle", *data, cwd=folder, env=env),
    )
    for name, what in [
        ("help", "`python -m kerascifar --help`"),
        ("models_help", "`models --help`"),
        ("mistake", "a configuration error"),
        ("make_help", "`make help`"),
    ]:
        table.add(what, "`import tensorflow`; ≤ 0.3 s", "s", "", v[name], v["bare"])
    over = [a - b for a, b in zip(v["first_step"], v["bare"], strict=True)]
    table.add("command to first step, over the import", "2 s", "s", "≤ 1", over, [2.0] * len(over))
    table.add("focus map", "`import tensorflow`", "s", "≤ 2.5", v["focus"], v["bare"])


def data_ready(table: Table, rounds: int, folder: Path) -> None:
    """The time that `python -m kerascifar data` says it took."""

    def took(cache: Path) -> float:
        printed = python("-m", "kerascifar", "data", env={"KERASCIFAR_CACHE": str(cache)})
        (seconds,) = re.findall(r"verified in ([0-9.]+) s", printed)
        return float(seconds)

    def anew() -> float:
        shutil.rmtree(folder / "anew", ignore_errors=True)
        return took(folder / "anew")

    v = alternately(max(rounds, 3), files=anew, cache=lambda: took(folder / "anew"))
    table.add("images ready from the original files", "3 s", "s", "≤ 1", v["files"], [3.0] * len(v["files"]))
    table.add("images ready from the cache", "0.3 s", "s", "≤ 1", v["cache"], [0.3] * len(v["cache"]))


def growth(table: Table) -> None:
    sizes = json.loads(python(str(HERE / "growth.py")).splitlines()[-1])
    table.add("resident memory after run 21", "after run 3, same process", "MB", "≤ 1", [sizes[20]], [sizes[2]])
    table.add("resident memory after run 41", "after run 21, same process", "MB", "≤ 1", [sizes[40]], [sizes[20]])


def cluster(table: Table, rounds: int, folder: Path) -> None:
    """What Ray adds: itself, once, and a new process with Keras for each run. One run, as here."""
    cores = str(machine()["cores"])
    experiment = str(ROOT / "experiments" / "experiment1.toml")
    command = ("-m", "kerascifar", "run", experiment, "--rows", "M6", "--epochs", "3")

    def took(seeds: int, *more: str) -> float:
        runs = folder / "cluster"
        shutil.rmtree(runs, ignore_errors=True)
        words = (*command, "--seeds", *map(str, range(seeds)), "--runs", str(runs), *more)
        return seconds(*words, env={"TF_NUM_INTRAOP_THREADS": cores})

    ray = ("--executor", "ray", "--cpus-per-run", cores)
    v = alternately(rounds, one=lambda: took(1), one_by_ray=lambda: took(1, *ray))
    table.add("1 run of 3 epochs by Ray", "the local executor", "s", "", v["one_by_ray"], v["one"])


def at_once(table: Table, rounds: int, images: dict[str, int]) -> None:
    """Training images per second: a run per core, each on one thread, as `--jobs` has them; and one run on all cores.

    The first epoch of a run, which holds the compilation, is left out. The runs are begun together and take about the
    same time, so that each has the others beside it nearly all the while.
    """
    cores = int(str(machine()["cores"]))

    def rate(row: str, runs: int) -> float:
        threads = str(cores // runs)
        env = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
        with concurrent.futures.ThreadPoolExecutor(runs) as beside:
            means = list(
                beside.map(lambda _: epochs("ours.py", row, "--images", str(images[row]), env=env)[0], range(runs))
            )
        return sum(images[row] * 4 // 5 / mean for mean in means)

    for row in images:
        v = alternately(rounds, many=partial(rate, row, cores), one=partial(rate, row, 1))
        what, against = f"{cores} runs of {row} at once, 1 thread each", f"1 run, {cores} threads"
        table.add(what, against, "images/s", "", v["many"], v["one"])


def instructions() -> str:
    """The widest vector instructions, by which oneDNN chooses its kernels: "AVX-512", "AVX2", or another set's name."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    names = [*found.get("baseline", []), *found.get("found", [])]
    last = names[-1] if names else "unknown"
    return {"X86_V4": "AVX-512", "X86_V3": "AVX2"}.get(last, "AVX-512" if "AVX512" in last else last)


def machine() -> dict[str, object]:
    versions = {
        p: importlib.metadata.version(p)
        for p in PACKAGES
        if importlib.util.find_spec(p.partition("-")[0].replace("opencv", "cv2"))
    }
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text(encoding="utf-8")) if cpuinfo.is_file() else []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": names[0] if names else platform.processor(),
        "instructions": instructions(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "date": datetime.date.today().isoformat(),
    }


def write(folder: Path, about: dict, table: Table) -> None:
    """What is measured so far."""
    versions = ", ".join(f"{package} {version}" for package, version in about["versions"].items())
    processor = f"{about['cores']} cores of {about['processor']} with {about['instructions']}"
    head = f"{processor}, Python {about['python']}, {versions}. {about['date']}."
    note = "Medians (ranges). With a target of ≤, the ratio is here / there; otherwise it is the speed-up here.\n"
    note += "Epochs of Model4 use a tenth of the images.\n"
    files.write_text(folder / "bench.json", json.dumps({"machine": about, "lines": table.lines}, indent=1) + "\n")
    files.write_text(folder / "bench.md", f"{head}\n\n{table.markdown()}\n{note}")


def main() -> int:
    sections = ["augmentation", "start-up", "data", "memory", "training", "jobs"]
    more = ["growth", "cluster"]  # several minutes for what hardly ever changes
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="3 gives ranges (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=[*sections, *more], default=sections)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for bench.json and bench.md")
    arguments = parser.parse_args()
    complete = arguments.out == HERE and set(arguments.only) >= set(sections)
    if arguments.out == HERE and not complete:
        parser.error("--only measures a part, which must not replace the whole table: name another folder with --out")
    table, about = Table(), machine()
    print(json.dumps(about))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measurements: dict[str, Callable[[], None]] = {
            "augmentation": lambda: augmentation(table, max(arguments.rounds, 5)),
            "start-up": lambda: start_up(table, arguments.rounds, folder),
            "data": lambda: data_ready(table, arguments.rounds, folder),
            "growth": lambda: growth(table),
            "memory": lambda: memory(table, folder),
            "training": lambda: training(table, arguments.rounds),
            "jobs": lambda: at_once(table, arguments.rounds, AT_ONCE),
            "cluster": lambda: cluster(table, 1, folder),
        }
        for section, work in measurements.items():
            if section in arguments.only:
                work()
                write(arguments.out, about, table)
    if complete:
        files.fill(ROOT / "docs" / "benchmarks.md", "bench", (HERE / "bench.md").read_text(encoding="utf-8"))
    print(f"\n{arguments.out / 'bench.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
