"""A plan on paper: how long many runs take on many GPUs, simulated from measured seconds.

    python benchmarks/scaling.py [--seconds-of-a-run 60] [--overhead 8] [--runs 10 1000 100000] [--gpus 1 8 512]

Runs are independent, so a sweep is a queue that GPUs take from. What limits it beside the GPUs: the scheduler, which
starts so many tasks a second; a node's first copy of the data; the shared folder, which takes so many checkpoints a
second; and the last run, which all others wait for: hence the longest expected first. Default durations are those of
the published runs (their spread over rows is what makes the order matter), scaled to the mean that is asked for.
"""

import argparse
import datetime
import heapq
from collections.abc import Sequence

import numpy as np

from kerascifar.output import tables
from kerascifar.runs import grouping, records

OPTIONS: dict[str, tuple[int | float | None, str]] = {
    "seconds-of-a-run": (None, "mean; default: of the published runs, on the machine that their records name"),
    "overhead": (8.0, "seconds per run outside training: process, TensorFlow, evaluation, records"),
    "shares": (4, "runs that share a GPU"),
    "slowdown": (1.6, "how much longer a run takes when a GPU is shared by so many"),
    "starts": (100.0, "tasks that the scheduler starts per second"),
    "data": (5.0, "seconds until a node has the images, once"),
    "gpus-per-node": (8, "as many GPUs wait for the same copy"),
    "checkpoint": (2.0, "seconds between checkpoints of a run: one per epoch"),
    "writes": (500.0, "checkpoints per second that the shared folder takes"),
}


def simulate(seconds: Sequence[float], workers: int, starts: float, ready: Sequence[float]) -> float:
    """Seconds until the last run is done: each free worker takes the next run, the scheduler starts one at a time."""
    free = list(ready)
    heapq.heapify(free)
    last = 0.0
    for number, duration in enumerate(seconds):
        begin = max(heapq.heappop(free), number / starts)
        heapq.heappush(free, begin + duration)
        last = max(last, begin + duration)
    return last


def measured() -> list[float]:
    """Seconds that the published runs of the two experiments took."""
    found = grouping.current(records.list_records(records.PUBLISHED))
    return [sum(run.seconds) for run in found if run.experiment in ("experiment1", "experiment2")]


def expected(durations: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """What one thinks beforehand: early stopping makes a run half as long or twice as long as its row's guess."""
    return durations * generator.lognormal(0, 0.35, len(durations))


def hours(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 1000, 100_000])
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 512])
    for name, (default, text) in OPTIONS.items():
        parser.add_argument(f"--{name}", type=int if isinstance(default, int) else float, default=default, help=text)
    a = parser.parse_args()
    base = np.array(measured())
    if not len(base):
        raise SystemExit("No published run to take durations from.")
    if a.seconds_of_a_run:
        base = base * a.seconds_of_a_run / base.mean()
    print(
        f"A run: {base.mean():,.0f} s of training on average ({base.min():,.0f} … {base.max():,.0f} s), "
        f"{a.overhead:g} s besides; {a.shares} share a GPU, each then taking {a.slowdown:g} times as long.\n"
    )
    lines = []
    for runs in a.runs:
        generator = np.random.default_rng(0)
        training = generator.choice(base, runs) * a.slowdown
        order = np.argsort(-expected(training, generator))
        for gpus in a.gpus:
            workers = gpus * a.shares
            nodes = -(-gpus // a.gpus_per_node)
            ready = [a.data] * workers
            checkpoints = min(workers, runs) / a.checkpoint / a.slowdown  # per second
            durations = training * max(1.0, checkpoints / a.writes) + a.overhead  # what writes too often waits
            asked = simulate(durations, workers, a.starts, ready)
            longest = simulate(durations[order], workers, a.starts, ready)
            ideal = (training + a.overhead).sum() / workers
            limits = {
                "GPUs": ideal,
                "scheduler": runs / a.starts,
                "storage": runs * base.mean() / a.checkpoint / a.writes,
                "longest run": durations.max(),
            }
            lines.append(
                {
                    "runs": f"{runs:,}",
                    "GPUs": gpus,
                    "nodes": nodes,
                    "longest first": hours(longest),
                    "as asked": hours(asked),
                    "GPUs alone": hours(ideal),
                    "checkpoints/s": f"{min(checkpoints, a.writes):,.0f}",
                    "limit": max(limits, key=lambda name: limits[name]),
                }
            )
    import pandas as pd

    print(tables.plain_markdown(pd.DataFrame(lines)))


if __name__ == "__main__":
    main()
