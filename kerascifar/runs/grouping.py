"""Lists of records: in order, by row, those that tables and figures show, and what they were computed on."""

import math
from collections import Counter
from collections.abc import Iterable

from kerascifar.runs.records import EXPLAINED, Record


def current(all_records: Iterable[Record]) -> list[Record]:
    """Selects the runs for tables and figures: for each experiment and row, one configuration and one run per seed.

    The configuration is that of the run that finished last; full runs take precedence over shortened ones. Runs on
    synthetic data are selected only if there are no others, so that a table never mixes the two.
    """
    pool = list(all_records)
    pool = [r for r in pool if not r.is_synthetic] or pool
    order = sorted(pool, key=lambda r: (not r.shortened, str(r.environment.get("finished", ""))))
    group = {(r.experiment, r.name): r.group for r in order}  # the last one of each row wins
    chosen = {(r.group, r.seed): r for r in order if r.group == group[r.experiment, r.name]}
    return in_order(chosen.values())


def in_order(unsorted: Iterable[Record]) -> list[Record]:
    """Sorts records by experiment, candidates last, row in natural order, and seed."""
    return sorted(unsorted, key=lambda r: (r.is_candidate, r.experiment, _natural(r.name), r.seed))


def machines(runs: Iterable[Record]) -> str:
    """What these runs were computed on: `1 core, AMD EPYC; 2 cores, AMD EPYC`."""
    return "; ".join(dict.fromkeys(run.machine for run in runs))


def by_row(unsorted: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """The runs of each row, by experiment and name, in the order of their first runs."""
    rows: dict[tuple[str, str], list[Record]] = {}
    for record in unsorted:
        rows.setdefault((record.experiment, record.name), []).append(record)
    return rows


def explained(unsorted: Iterable[Record]) -> list[list[Record]]:
    """The runs of each of the `EXPLAINED` rows that has any."""
    rows = by_row(unsorted)
    return [rows[key] for key in EXPLAINED if key in rows]


def by_name(unsorted: Iterable[Record]) -> dict[str, list[Record]]:
    """The runs of each row by its name, or by `experiment/name` where several experiments have a row of this name."""
    rows = by_row(unsorted)
    counts = Counter(name for _, name in rows)
    return {name if counts[name] == 1 else f"{experiment}/{name}": runs for (experiment, name), runs in rows.items()}


def _natural(name: str) -> tuple[str, float]:
    """A sort key that puts M2 before M10."""
    head = name.rstrip("0123456789")
    return head, float(name[len(head) :] or math.inf)
