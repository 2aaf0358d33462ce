"""Which runs does a name mean? One rule for every command: your runs, or the published ones if you have none.

A name is a row (`M6`: all of its seeds), a row with a seed (`M6-seed0`), or a run's folder. A row that several
experiments have is named with its experiment (`experiment1/M6`). `--published` means the published runs even where you
have trained the same row.
"""

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from kerascifar.common import errors
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10
from kerascifar.runs import grouping, original, records
from kerascifar.runs.records import Record


def is_published(record: Record) -> bool:
    return record.folder.resolve().parent == records.PUBLISHED.resolve()


def whose(record: Record) -> str:
    return "published" if is_published(record) else "yours"


def pools(
    runs: Path, published_only: bool = False, usable: Callable[[Record], bool] = lambda record: True
) -> list[list[Record]]:
    """Your current runs, then the published ones: the first pool that has what a name means is used."""
    folders = [records.PUBLISHED] if published_only else [runs, records.PUBLISHED]
    return [grouping.current(filter(usable, records.list_records(folder))) for folder in folders]


def parse(name: str) -> tuple[str, int | None]:
    """`M6-seed0` → ("M6", 0); `M6` → ("M6", None)."""
    row, seed = re.fullmatch(r"(.*?)(?:-seed(\d+))?", name, re.S).groups()  # type: ignore[union-attr]
    return row, None if seed is None else int(seed)


def row_and_seed(row: str, seed: int | None) -> tuple[str, int | None]:
    """For `--row M6-seed0` and `--seed 0`, which name a seed alike.

    Raises:
        UserError: they name different seeds.
    """
    name, of_row = parse(row)
    if None not in (seed, of_row) and seed != of_row:
        raise UserError(f"{row} and --seed {seed} name different seeds.\nUse only one of them.")
    return name, of_row if seed is None else seed


def short_name(record: Record) -> str:
    return f"{record.name}-seed{record.seed}"


def is_meant(record: Record, row: str | None, seed: int | None = None) -> bool:
    """Whether a run has this row, `M6` or `experiment1/M6`, and this seed; None means any."""
    return row in (None, record.name, f"{record.experiment}/{record.name}") and seed in (None, record.seed)


def find(name: str, runs: Path, published_only: bool = False) -> list[Record]:
    """The runs that `name` means.

    Raises:
        UserError: it is neither a row with runs nor the folder of a finished run.
    """
    beside = [records.PUBLISHED / name, runs / name] if published_only else [runs / name, records.PUBLISHED / name]
    for folder in (Path(name), *beside):
        if records.finished(folder):
            return [records.read(folder)]
    row, seed = parse(name)
    searched = pools(runs, published_only)
    for pool in searched:
        if found := [r for r in pool if is_meant(r, row, seed)]:
            check_unambiguous(row, found)
            return found
    where = "the published runs" if published_only else f"{runs} or among the published runs"
    raise UserError(unknown(name, grouping.in_order(r for pool in searched for r in pool), where))


def unknown(name: str, searched: Sequence[Record], where: str) -> str:
    """The error message for a name that means none of the runs searched."""
    row, _ = parse(name)
    known = [short_name(r) for r in searched if r.name == row] or [r.name for r in searched if not r.is_candidate]
    return (
        f'"{errors.printable(name)}" is neither the folder of a finished run nor a row in {where}.\n'
        f"{errors.suggest(name, known)}"
    )


def check_unambiguous(row: str, found: Iterable[Record]) -> None:
    """Raises a `UserError` if runs with this row's name belong to different experiments."""
    experiments = sorted({record.experiment for record in found})
    if len(experiments) > 1:
        names = ", ".join(f"{experiment}/{row}" for experiment in experiments)
        raise UserError(f"{row} is a row of several experiments.\nExpected one of: {names}.")


def of_every_row(
    pools: Sequence[Iterable[Record]], needed: Mapping[str, Iterable[int]] = MappingProxyType({})
) -> list[Record]:
    """The runs of every row: for each row, those of the first pool that has it with all needed seeds.

    Args:
        pools: your runs, then the published ones.
        needed: seeds by experiment. If no pool has all of them, the last one that has the row is used.
    """
    chosen: dict[tuple[str, str], list[Record]] = {}
    for pool in pools:
        for row, group in grouping.by_row(pool).items():
            if {*needed.get(row[0], ())} <= {r.seed for r in group}:
                chosen.setdefault(row, group)
    for pool in reversed(pools):
        for row, group in grouping.by_row(pool).items():
            chosen.setdefault(row, group)
    return grouping.in_order(r for group in chosen.values() for r in group)


def described(chosen: Iterable[Record]) -> str:
    """Says whose runs are used: `Runs used: M6 (yours); M1, M7 (published); M9 (yours, a shortened trial).`"""
    kinds: dict[str, list[str]] = {}
    for record in chosen:
        kind = whose(record) + ", a shortened trial" * record.shortened + ", SYNTHETIC DATA" * record.is_synthetic
        if record.name not in kinds.setdefault(kind, []):
            kinds[kind].append(record.name)
    return f"Runs used: {'; '.join(f'{_listed(names)} ({kind})' for kind, names in kinds.items())}."


def _listed(names: Sequence[str]) -> str:
    """At most a line of names."""
    return ", ".join(names) if len(names) <= 13 else f"{', '.join(names[:12])} and {len(names) - 12} more rows"


def to_explain(
    runs: Path, published_only: bool, *, dataset: cifar10.Dataset | None, row: str | None, seed: int | None
) -> tuple[Record, str]:
    """The run to explain, and a sentence that says why it was chosen.

    Args:
        dataset: only runs that were trained on it. Without one, runs on CIFAR-10 come before those on synthetic data.
        row: by default the row with the best mean validation accuracy over all its seeds, even those whose weights were
            not kept. Your runs come first, unless all of them ended at their limit of epochs; full runs come before
            shortened ones.
        seed: by default the row's lowest.
    Raises:
        UserError: there is no such run; the text lists the rows or seeds that exist.
    """

    def on_these_images(run: Record) -> bool:
        return dataset is None or run.fingerprint == dataset.fingerprint

    def usable(run: Record) -> bool:
        return on_these_images(run) and not run.diverged and not (row is None and run.is_candidate)

    def accuracy(group: Sequence[Record]) -> float:
        return statistics.fmean(r.accuracy("validation") for r in group)

    searched = pools(runs, published_only, usable)
    if row is None:  # a few epochs of yours are no better model than the published ones
        searched.sort(key=lambda pool: all(r.shortened or r.reached_limit for r in pool))
    if dataset is None:
        searched.sort(key=lambda pool: any(r.is_synthetic for r in pool))
    for pool in searched:
        if fitting := [r for r in pool if is_meant(r, row, seed) and records.has_weights(r)]:
            if row is not None:
                check_unambiguous(row, fitting)
            rows = grouping.by_row(pool)
            groups = [rows[key] for key in grouping.by_row(fitting)]
            best = min(groups, key=lambda group: (group[0].shortened, -accuracy(group), group[0].label))
            record = next(r for r in fitting if r in best)  # a pool is sorted by seed
            is_best = row is None and len(groups) > 1
            return record, _reason(record, accuracy(best), is_best)
    folders = [records.PUBLISHED] if published_only else [runs, records.PUBLISHED]
    everything = [r for folder in folders for r in records.list_records(folder) if records.has_weights(r)]
    meant = [r for r in everything if is_meant(r, row, seed)]
    if dataset is not None and meant and not any(map(on_these_images, meant)):
        was = f"{row} was not" if row else "No model was"
        raise UserError(
            f"{was} trained on the images of {dataset.name} in {dataset.source}.\n"
            "Use --data to name the images that a model was trained on.\nNothing was written."
        )
    trained = [r for pool in searched for r in pool if records.has_weights(r)]
    raise _nothing_to_explain(trained, row, seed)


def _reason(record: Record, accuracy: float, is_best: bool) -> str:
    """Why a run was chosen: its row's mean validation accuracy, which may be the best of several rows."""
    pool = "the published runs" if is_published(record) else "your runs"
    what = "best mean validation accuracy of a row" if is_best else "mean validation accuracy of the row"
    epochs = f"{record.epochs_trained} epoch{'s' * (record.epochs_trained > 1)}"
    trial = f"; a shortened trial of {epochs}, not a result" * record.shortened
    return f"{record.name}, seed {record.seed} of {pool} ({what}: {accuracy:.2f} %{trial})"


def _nothing_to_explain(trained: Sequence[Record], row: str | None, seed: int | None) -> UserError:
    """The error for a row or seed that none of the runs with weights has."""
    if not trained:
        return UserError(
            "There is no trained model yet to draw focus maps for.\n"
            "Train one: `kerascifar run experiment1 --rows M6 --epochs 1` (a trial; minutes). If your runs are kept "
            "elsewhere, use --runs DIR.\nNothing was written."
        )
    of_row = [r for r in trained if is_meant(r, row)]
    what, wrong, known = f"--row {row}", row or "", sorted({r.name for r in trained})
    if of_row:
        what, wrong, known = f"--seed {seed}", f"{seed}", [f"{s}" for s in sorted({r.seed for r in of_row})]
    more, line = "", original.rows().get(row or "M6")
    if line:
        command = f"kerascifar run experiment{line['experiment']} --rows {line['row']}"
        command += f" --seeds {seed}" * (seed is not None)
        more = f"To train another: `{command}`.\n"
    return UserError(
        f"{what}: no run with saved weights was found.\n{errors.suggest(wrong, known)}\n{more}Nothing was written."
    )
