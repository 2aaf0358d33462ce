"""The original's claims, or a user's own, as their file states them (`experiments/claims.toml`)."""

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascifar.common.errors import UserError, suggest
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.findings.metrics import METRICS, OF_MAPS, OTHERS
from kerascifar.focus import measuring
from kerascifar.images import cifar10
from kerascifar.runs import selection
from kerascifar.runs.records import Record

CLAIMS = EXPERIMENTS / "claims.toml"
KEYS = ("claim", "seeds", "frozen", "amended")  # of a file of claims
FIRST_IS = ("higher", "not higher", "other")
DECIDED_BY = ("all", "any")


@dataclass(frozen=True)
class Comparison:
    """One row against another: by `metric`, `first` is `first_is` than `second`; see `experiments/claims.toml`.

    `of` and `second_of` name the class whose images count, or `OTHERS`. By default all images count, and `second_of` is
    the same as `of`. `kind` is the kind of map that is measured, one of `measuring.KINDS`.
    """

    first: str
    second: str
    metric: str
    first_is: str
    margin: float
    of: str = ""
    second_of: str = ""
    kind: str = "gradcam"

    def __str__(self) -> str:
        first, second = (
            f"{row} ({of})" if of else row
            for row, of in ((self.first, self.of), (self.second, self.second_of or self.of))
        )
        relation = "different from" if self.first_is == "other" else f"{self.first_is} than"
        return f"{first} {relation} {second}, {self.metric}"

    @property
    def short(self) -> str:
        """For charts, which name the metric: "M1 > M5", "airplane: Model4 > M6", "M6: truck ≤ other classes"."""
        sign, second_of = {"higher": ">", "not higher": "≤", "other": "≠"}[self.first_is], self.second_of or self.of
        if not (self.of or second_of):
            return f"{self.first} {sign} {self.second}"
        if self.of == second_of:
            return f"{self.of}: {self.first} {sign} {self.second}"
        if self.first == self.second:
            return f"{self.first}: {self.of or 'all'} {sign} {second_of}"
        return f"{self.first} ({self.of or 'all'}) {sign} {self.second} ({second_of})"


@dataclass(frozen=True)
class Claim:
    """A claim in the original, in a few words, with the comparisons that decide it.

    Attributes:
        family: the claims over which Holm's method adjusts.
        decided_by: "all" comparisons must hold, or "any" of them.
        note: what the comparisons leave unanswered.
    """

    name: str
    words: str
    comparisons: tuple[Comparison, ...]
    family: str = ""
    decided_by: str = "all"
    note: str = ""


@dataclass(frozen=True)
class Claims:
    """A file of claims.

    Attributes:
        seeds: by experiment, the seeds that decide; runs of other experiments do not count. If empty, all runs
            count, and none is waited for.
        frozen: the commit that fixed claims, margins, rule and seeds; empty if none is named.
        amended: what was known at that commit, and what was changed afterwards, in a few sentences.
    """

    claims: tuple[Claim, ...]
    seeds: Mapping[str, tuple[int, ...]]
    frozen: str = ""
    amended: str = ""

    @property
    def note(self) -> str:
        """Says when they were fixed; empty if no commit is named."""
        when = "before the first of the runs that decide them was trained"
        fixed = f"Claims, margins, rule and seeds were fixed in commit {self.frozen}, {when}." if self.frozen else ""
        return f"{fixed} {self.amended}".strip()

    @property
    def rows(self) -> list[str]:
        """The names of the rows in the comparisons."""
        sides = (row for claim in self.claims for c in claim.comparisons for row in (c.first, c.second))
        return list(dict.fromkeys(sides))

    def deciding(self, pools: Sequence[Iterable[Record]]) -> list[Record]:
        """The full runs of every row, yours or the published ones: yours decide if they have all the file's seeds."""
        return selection.of_every_row([[r for r in pool if r.is_full] for pool in pools], self.seeds)

    def counted(self, records: Iterable[Record]) -> list[Record]:
        """The runs that count: full ones on CIFAR-10 of these rows, with the file's seeds if it names any."""
        rows = self.rows
        return [
            r
            for r in records
            if r.is_full
            and any(selection.is_meant(r, row) for row in rows)
            and (not self.seeds or r.seed in self.seeds.get(r.experiment, ()))
        ]


def read(path: Path = CLAIMS) -> Claims:
    """The declared claims.

    Raises:
        UserError: wrong syntax, key or value; the message says where, and what was expected.
    """
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from None
    _check_keys(file, KEYS, str(path))
    seeds, blocks = file.get("seeds", {}), file.get("claim", [])
    if not (isinstance(seeds, dict) and all(_is_list(values, int) for values in seeds.values())):
        example = "a line [seeds], then lines such as experiment1 = [0, 1]"
        raise UserError(f"{path}: seeds must be a table of lists of whole numbers: {example}.")
    if not blocks or not _is_list(blocks, dict):
        raise UserError(f"{path}: there are no claims. Each begins with a line [[claim]]; see {CLAIMS.name}.")
    claims: list[Claim] = []
    for block in blocks:
        where = f"{path}, claim {block.get('name', '?')}"
        if not _is_list(block.get("comparisons", []), dict):
            raise UserError(f'{where}: comparisons must be a list of tables, such as [{{ first = "M7", … }}].')
        comparisons = tuple(_made(Comparison, values, where) for values in block.get("comparisons", ()))
        claims.append(_made(Claim, block | {"comparisons": comparisons}, where))
        _check(claims[-1], where)
        if claims[-1].name in [claim.name for claim in claims[:-1]]:
            raise UserError(f"{path}: two claims are named {claims[-1].name}. Give each claim a different name.")
    declared = {experiment: tuple(values) for experiment, values in seeds.items()}
    return Claims(tuple(claims), declared, str(file.get("frozen", "")), str(file.get("amended", "")))


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(type(each) is kind for each in value)


def _check_keys(values: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in values:
        if key not in known:
            raise UserError(f'{where}: there is no key "{key}". {suggest(key, known)}')


def _made(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    """A claim or comparison of these values, if they have the right keys and types."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    _check_keys(values, tuple(fields), where)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and values.get(name) in (None, (), ""):
            raise UserError(f'{where}: the key "{name}" is missing or empty.')
        if field.type is str and not isinstance(values.get(name, ""), str):
            raise UserError(f"{where}: {name} must be text in quotes, not {values[name]!r}.")
    return kind(**values)


def _check(claim: Claim, where: str) -> None:
    classes = ("", *cifar10.CLASS_NAMES)
    values: list[tuple[str, Sequence[str]]] = [(claim.decided_by, DECIDED_BY)]
    for comparison in claim.comparisons:
        values += [
            (comparison.metric, tuple(METRICS)),
            (comparison.first_is, FIRST_IS),
            (comparison.of, classes),
            (comparison.second_of, (OTHERS, *classes)),
            (comparison.kind, measuring.KINDS),
        ]
        if not (type(comparison.margin) in (int, float) and comparison.margin >= 0):
            raise UserError(f"{where}: margin must be a number, 0 or more.")
    for value, known in values:
        if value not in known:
            raise UserError(f'{where}: "{value}" is not known. {suggest(value, filter(None, known))}')
    for comparison in claim.comparisons:
        if comparison.second_of and not comparison.of:
            raise UserError(f'{where}: "second_of" needs a class in "of".')
        if comparison.kind != "gradcam" and comparison.metric not in OF_MAPS:
            raise UserError(f'{where}: "kind" names a kind of map, but {comparison.metric} is not a measure of maps.')
        if comparison.of and METRICS[comparison.metric].of_run:
            raise UserError(f'{where}: {comparison.metric} is one number per run and has none for a class. Omit "of".')
