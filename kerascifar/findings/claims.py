"""The original's claims (`experiments/claims.toml`), each decided from records by a written rule.

Only full runs on CIFAR-10 count, with the seeds that the file names for each experiment. The seeds were fixed before
the first of these runs was trained, and no verdict is given until the last one is finished. Runs are compared in pairs:
same seed, same images. For every comparison, d = first − second. The standard error of its mean combines seeds and
images, which are crossed; p comes from Student's t with Satterthwaite's degrees of freedom
(`kerascifar/findings/statistics.py`; for a metric with one number per run, from Student's t over seeds). p is the
probability of a difference at least as extreme if what its cell says were true:

| the claim says | p for the claim | p against it |
|---|---|---|
| first is higher | d ≤ 0; set to 1 if the mean is below the margin | d ≥ margin |
| first is not higher | d ≥ margin | d ≤ 0; set to 1 if the mean is below the margin |
| first is other | d = 0, two-sided; set to 1 if the mean is within the margin | d ≥ margin or d ≤ −margin, the larger |

A claim holds only if all its comparisons hold: its p is the largest p for them. It fails if one comparison fails: the p
against it is the smallest p against its k comparisons, times k. If one comparison is enough for a claim (`decided_by =
"any"`), these two rules are swapped. Holm's method adjusts p for the number of claims in a family, such as the claims
about training. While a claim is pending, its p counts as 1 there. The verdicts:

- *supported*: the p for the claim is at most 0.025, so that the 95 % intervals are clear of zero (or of the margin);
  for *other*, whose p is two-sided, the 97.5 % intervals.
- *confirmed*: supported, and the p adjusted by Holm's method is at most 0.05.
- *contradicted* and *refuted*: the same for the p against the claim.
- *no clear difference*: the claim says that there is a difference, but the 95 % interval of each comparison lies within
  the margin.
- *undecided*: none of these; or the metric says nothing: it is 0 in every image of both rows, or a run has no value.
- *pending*: not all runs have been trained and measured, or there are fewer than three seeds.
"""

import dataclasses
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import terminal
from kerascifar.common.errors import UserError, suggest
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.findings import metrics, statistics
from kerascifar.findings.metrics import METRICS, OTHERS, Difference
from kerascifar.findings.statistics import LEVEL
from kerascifar.focus import measuring
from kerascifar.images import cifar10
from kerascifar.runs import selection
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

RULE = (__doc__ or "").partition("\n\n")[2].strip()  # shown with the tables
CLAIMS = EXPERIMENTS / "claims.toml"
CONFIRMED, SUPPORTED, NO_DIFFERENCE = "confirmed", "supported", "no clear difference"
CONTRADICTED, REFUTED, UNDECIDED, PENDING = "contradicted", "refuted", "undecided", "pending"
VERDICTS = (CONFIRMED, SUPPORTED, NO_DIFFERENCE, CONTRADICTED, REFUTED, UNDECIDED, PENDING)
KEYS = ("claim", "seeds", "frozen", "amended")  # of a file of claims
FIRST_IS = ("higher", "not higher", "other")
DECIDED_BY = ("all", "any")
FEWEST = 3  # seeds: two say too little about the spread
POWER = 0.8  # with which the number of seeds in `seeds_needed` decides a comparison
MOST = 100  # seeds: beyond this, only "more than 100" is shown


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
        return f"{first} {self.first_is} than {second}, {self.metric}"

    def p_for(self, d: Difference) -> float:
        """p for the claim, as in the table above."""
        if self.first_is == "not higher":
            return d.estimate.p_below(self.margin)
        mean = d.estimate.mean if self.first_is == "higher" else abs(d.estimate.mean)
        if mean < self.margin:
            return 1.0
        return d.estimate.p_above() if self.first_is == "higher" else d.estimate.p_other()

    def p_against(self, d: Difference) -> float:
        """p against the claim, as in the table above."""
        if self.first_is == "not higher":
            return d.estimate.p_above() if d.estimate.mean >= self.margin else 1.0
        below = d.estimate.p_below(self.margin)
        return below if self.first_is == "higher" else max(below, d.estimate.p_above(-self.margin))

    def is_within_margin(self, d: Difference) -> bool:
        """Whether the 95 % interval lies within the margin, although the claim says that there is a difference."""
        low, high = d.estimate.interval
        return self.first_is != "not higher" and -self.margin < low and high < self.margin


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

    def one_decides(self, toward: bool) -> bool:
        """Whether one of the comparisons is enough for a verdict; otherwise, all are needed.

        Args:
            toward: for the claim, not against it.
        """
        return toward == (self.decided_by == "any")

    def factor(self, toward: bool) -> int:
        """By which the smallest p of the comparisons is multiplied where one of them decides; otherwise 1."""
        return len(self.comparisons) if self.one_decides(toward) else 1

    def combined(self, p: Sequence[float], toward: bool) -> float:
        """The claim's p from those of its comparisons."""
        return min(1.0, self.factor(toward) * min(p)) if self.one_decides(toward) else max(p)


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
            raise UserError(f"{where}: {name} must be a text in quotes, not {values[name]!r}.")
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
            raise UserError(f'{where}: "{value}" is not known. {suggest(value, known)}')
    for comparison in claim.comparisons:
        if comparison.second_of and not comparison.of:
            raise UserError(f'{where}: "second_of" needs a class in "of".')
        if comparison.of and METRICS[comparison.metric].of_run:
            raise UserError(f'{where}: {comparison.metric} is one number per run and has none for a class. Omit "of".')


@dataclass(frozen=True)
class _Decision:
    """A claim with what the runs say about it.

    Attributes:
        differences: one per comparison; None where no two runs can be compared.
        complete: whether all seeds are there for all comparisons.
        p: for and against the claim.
        needed: the number of seeds that a verdict takes.
    """

    claim: Claim
    differences: tuple[Difference | None, ...]
    complete: bool
    p: tuple[float, float]
    needed: int = FEWEST

    def verdict(self, adjusted: tuple[float, float]) -> str:
        """The verdict, given p for and against the claim, adjusted by Holm's method."""
        if not self.complete:
            return PENDING
        (p_for, p_against), (holm_for, holm_against) = self.p, adjusted
        if p_for <= LEVEL / 2:
            return CONFIRMED if holm_for <= LEVEL else SUPPORTED
        if all(d and c.is_within_margin(d) for c, d in zip(self.claim.comparisons, self.differences, strict=True)):
            return NO_DIFFERENCE
        if p_against <= LEVEL / 2:
            return REFUTED if holm_against <= LEVEL else CONTRADICTED
        return UNDECIDED

    def telling(self, verdict: str) -> int:
        """The position of the comparison on which the verdict rests: for the claim, its weakest link.

        All comparisons have differences, or the verdict would be pending.
        """
        toward = verdict not in (REFUTED, CONTRADICTED)
        pairs = zip(self.claim.comparisons, self.differences, strict=True)
        p = [(c.p_for(d) if toward else c.p_against(d)) for c, d in pairs if d is not None]
        return int(np.argmin(p) if self.claim.one_decides(toward) else np.argmax(p))


def _decide(claim: Claim, runs: Mapping[str, Sequence[Record]], seeds: Mapping[str, tuple[int, ...]]) -> _Decision:
    differences = []
    for c in claim.comparisons:
        sides = (runs.get(c.first, ()), runs.get(c.second, ()))
        differences.append(metrics.difference(*sides, c.metric, of=c.of, second_of=c.second_of, kind=c.kind))
    pairs = list(zip(claim.comparisons, differences, strict=True))
    p_for = [c.p_for(d) if d else 1.0 for c, d in pairs]
    p_against = [c.p_against(d) if d else 1.0 for c, d in pairs]
    p = (claim.combined(p_for, toward=True), claim.combined(p_against, toward=False))
    expected = [_expected(c, runs, seeds) for c in claim.comparisons]
    complete = all(
        d is not None and len(d.seeds) >= FEWEST and wanted <= {*d.seeds}
        for wanted, d in zip(expected, differences, strict=True)
    )
    # While seeds are missing, interim results must not change the verdicts on other claims.
    return _Decision(
        claim, tuple(differences), complete, p if complete else (1.0, 1.0), max(FEWEST, *map(len, expected))
    )


def _expected(
    comparison: Comparison, runs: Mapping[str, Sequence[Record]], seeds: Mapping[str, tuple[int, ...]]
) -> set[int]:
    """The seeds that both rows must have: those declared for both experiments, as far as the rows have runs."""
    experiments = {r.experiment for row in (comparison.first, comparison.second) for r in runs.get(row, ())}
    declared = [{*seeds[experiment]} for experiment in experiments if experiment in seeds]
    return set.intersection(*declared) if declared else set()


def table(records: Sequence[Record], declared: Claims) -> "pd.DataFrame":
    """One line per comparison, with its claim's verdict. Differences are first − second, in the metric's unit.

    Columns: claim, words, family, decided_by, verdict, sentence, comparison, metric, margin, unit, reported, n (seeds),
    first, second, difference, low, high (95 % interval), by seed, "p for" and "p against" (of the comparison), "p for
    (Holm)" and "p against (Holm)" (of the claim), note.
    """
    import pandas as pd

    runs: dict[str, list[Record]] = {}
    for record in declared.counted(records):
        for name in (record.name, f"{record.experiment}/{record.name}"):
            runs.setdefault(name, []).append(record)
    for name in declared.rows:
        selection.check_unambiguous(name, runs.get(name, ()))
    decisions = [_decide(claim, runs, declared.seeds) for claim in terminal.track(declared.claims, "Claims")]
    families: dict[str, list[_Decision]] = {}
    for decision in decisions:
        families.setdefault(decision.claim.family, []).append(decision)
    adjusted: dict[str, tuple[float, float]] = {}
    for members in families.values():
        p_for, p_against = (statistics.holm([member.p[side] for member in members]) for side in (0, 1))
        names = [member.claim.name for member in members]
        adjusted |= dict(zip(names, zip(p_for, p_against, strict=True), strict=True))
    return pd.DataFrame(
        line
        for decision in decisions
        for line in _lines(decision, adjusted[decision.claim.name], len(families[decision.claim.family]))
    )


def _lines(decision: _Decision, adjusted: tuple[float, float], family: int) -> Iterable[dict[str, Any]]:
    claim, verdict = decision.claim, decision.verdict(adjusted)
    sentence = _sentence(decision, verdict, family)
    for comparison, d in zip(claim.comparisons, decision.differences, strict=True):
        line = {
            "claim": claim.name,
            "words": claim.words,
            "family": claim.family,
            "decided_by": claim.decided_by,
            "verdict": verdict,
            "sentence": sentence,
            "comparison": str(comparison),
            "metric": comparison.metric,
            "margin": comparison.margin,
            "unit": METRICS[comparison.metric].unit,
            "reported": _reported(comparison),
            "note": claim.note,
            "n": 0,
        }
        if d is not None:
            low, high = d.estimate.interval
            line |= {
                "n": len(d.seeds),
                "first": d.levels[0],
                "second": d.levels[1],
                "difference": d.estimate.mean,
                "low": low,
                "high": high,
                "by seed": "; ".join(f"{value:+.3g}" for value in d.by_seed),
                "p for": comparison.p_for(d),
                "p against": comparison.p_against(d),
            }
        yield line | {"p for (Holm)": adjusted[0], "p against (Holm)": adjusted[1]}


def _reported(comparison: Comparison) -> float:
    return math.nan if comparison.of else metrics.reported(comparison.first, comparison.second, comparison.metric)


def _sentence(decision: _Decision, verdict: str, family: int) -> str:
    """What the comparison on which the verdict rests shows, in plain words."""
    comparisons = decision.claim.comparisons
    if verdict == PENDING:  # without the differences so far: they must not tempt anyone to stop early
        there = min(len(d.seeds) if d else 0 for d in decision.differences)
        if not there:
            return "Some of its rows have not yet been trained and measured with all planned seeds."
        have = "has" if there == 1 else "have"
        return f"{there} of the {decision.needed} seeds that a verdict needs {have} been trained and measured."
    place = decision.telling(verdict)
    comparison, d = comparisons[place], decision.differences[place]
    assert d is not None  # or the verdict would be pending
    if d.flaw:
        return f"{d.flaw}, so it cannot test the claim."
    text = _in_words(comparison, d)
    if len(comparisons) > 1:
        toward = verdict not in (REFUTED, CONTRADICTED)
        which = "clearest" if decision.claim.one_decides(toward) else "weakest"
        text = f"The {which} of {len(comparisons)} comparisons: {text}"
    if verdict == UNDECIDED:
        needed = seeds_needed(comparison, d, family, decision.claim.factor(toward=_is_toward(comparison, d)))
        seeds = (
            f"about {needed} seeds would probably decide it" if needed else f"even {MOST} seeds would hardly decide it"
        )
        text += f" If mean and spread stayed as they are, {seeds}."
    return text


def _in_words(comparison: Comparison, d: Difference) -> str:
    """A sentence that says which one is higher; the figures in brackets are positive in that direction."""
    metric, mean = METRICS[comparison.metric], d.estimate.mean
    direction = -1 if mean < 0 else 1
    low, high = sorted((direction * d.estimate.interval[0], direction * d.estimate.interval[1]))
    of = f"For {comparison.of} images, " if comparison.of else ""
    text = of + metric.compared.format(
        first=comparison.first,
        words=metric.words,
        size=f"{abs(mean):.{metric.digits}f}",
        unit=metric.unit,
        way=metric.ways[mean >= 0],
        second=comparison.second,
        other=_other(comparison),
    )
    if not math.isnan(low):
        text += f" (95 % interval {low:z.{metric.digits}f} … {high:z.{metric.digits}f}"
        reported = round(direction * _reported(comparison), metric.digits)
        sign = ", the opposite sign" * (reported < 0)
        text += ")" if math.isnan(reported) else f"; original {reported:z.{metric.digits}f}{sign})"
    return f"{text}."


def _other(comparison: Comparison) -> str:
    """The second side of a comparison, with the images that count if they are not those of the first."""
    images = "those of other classes" if comparison.second_of == OTHERS else f"{comparison.second_of} images"
    if comparison.second_of in ("", comparison.of):
        return f"{comparison.second}'s"
    return f"for {images}" if comparison.first == comparison.second else f"{comparison.second}'s for {images}"


def _mean(comparison: Comparison, d: Difference) -> float:
    """The mean difference, without its sign if the claim only says that there is a difference."""
    return abs(d.estimate.mean) if comparison.first_is == "other" else d.estimate.mean


def _is_toward(comparison: Comparison, d: Difference) -> bool:
    """Whether more seeds with the same mean would support the claim rather than contradict it."""
    return (_mean(comparison, d) >= comparison.margin) != (comparison.first_is == "not higher")


def seeds_needed(comparison: Comparison, d: Difference, family: int = 1, factor: int = 1) -> int | None:
    """How many seeds would decide an undecided comparison with probability `POWER` if mean and spread stayed the same.

    The mean has to clear an edge: 0 if it is at least the margin, otherwise the margin. The error from the images is
    assumed to stay.

    Args:
        family: the number of claims over which p is adjusted.
        factor: by which the claim's rule multiplies p.
    Returns:
        The number; None if it is more than `MOST`.
    """
    n = len(d.by_seed)
    if n < 2:
        return None
    mean = _mean(comparison, d)
    distance = mean if mean >= comparison.margin else comparison.margin - mean
    two_sided = comparison.first_is == "other" and mean >= comparison.margin
    level = min(LEVEL / 2, LEVEL / family) / factor / (1 + two_sided)
    image_error = math.sqrt(max(d.estimate.error**2 - float(np.var(d.by_seed, ddof=1)) / n, 0.0))
    for seeds in range(n + 1, MOST + 1):
        if statistics.power(distance, d.by_seed, image_error, n=seeds, level=level) >= POWER:
            return seeds
    return None


def counts(table: "pd.DataFrame") -> dict[str, int]:
    """The number of claims with each verdict, in the order of `VERDICTS`."""
    found = table.drop_duplicates("claim")["verdict"].tolist()
    return {word: found.count(word) for word in VERDICTS if word in found}


def verdicts(table: "pd.DataFrame") -> "pd.DataFrame":
    """One line per claim: claim, words, verdict, sentence, seeds (the fewest of its comparisons), and comparisons.

    The last one gives, for each comparison, the difference (in points unless another unit is named), its 95 % interval,
    the number of seeds and the reported difference. The claim's note comes last; each part has a line of its own.
    """
    import pandas as pd

    def text(line: dict[str, Any]) -> str:
        comparison = line["comparison"]
        digits = METRICS[line["metric"]].digits
        reported = "" if math.isnan(line["reported"]) else f"; reported {line['reported']:+z.{digits}f}"
        if not line["n"]:
            return f"{comparison}: not yet trained and measured with the planned seeds{reported}"
        if math.isnan(line["difference"]):
            return f"{comparison}: at least one run has no value{reported}"
        interval = "" if math.isnan(line["low"]) else f" ({line['low']:+z.{digits}f} … {line['high']:+z.{digits}f})"
        unit = "" if line["unit"] == "points" else f" {line['unit']}"
        return f"{comparison}: {line['difference']:+z.{digits}f}{unit}{interval}, n = {line['n']}{reported}"

    def enough(group: "pd.DataFrame") -> str:
        return "one of these is enough" * (len(group) > 1 and group["decided_by"].iloc[0] == "any")

    return pd.DataFrame(
        {
            "claim": name,
            **{key: group[key].iloc[0] for key in ("words", "verdict", "sentence")},
            "seeds": str(group["n"].min()),
            "comparisons": "\n".join(
                filter(None, [enough(group), *map(text, group.to_dict("records")), group["note"].iloc[0]])
            ),
        }
        for name, group in table.groupby("claim", sort=False)
    )
