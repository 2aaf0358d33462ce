"""Kinds of map by measures of faithfulness: which is best, does it beat the baselines, and do the measures agree?"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common.terminal import listed, spanned
from kerascifar.findings import faithfulness, focus_means, statistics
from kerascifar.findings.faithfulness import Values, values_of
from kerascifar.focus import measuring, methods
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

BETTER = {name: measure.better for name, measure in measuring.MEASURES.items() if measure.better}
IN_WORDS = {"centred": "the spot itself", "random": "noise"}  # the baselines' titles, in a sentence
FEWEST = 4  # kinds of map that a rank correlation needs
NOTE = (
    "Mean ± half-width of the 95 % interval over seeds and test images (of one seed, from images alone), in the units "
    "of the table of means; ↑: higher is better, ↓: lower. Differences are paired: the same models and images. *best*: "
    "the best map, if the interval of its difference to the second best excludes zero. *beat the spot*: the maps that "
    "are better than a spot in the middle of every image, by the same rule. *no better than noise*: those that are not "
    "better than a random map. The baselines depend on no model, so likeness, smooth likeness, other class and "
    "sensitivity do not apply to them; coherency is perfect for both, and the spot's pointing, complexity and "
    "sparseness are constants. Only road, deletion, insertion, background, and drop, increase and gain compare "
    "faithfulness. *n*: the fewest and the most seeds of a kind; the table of means gives it for each. One seed says "
    "nothing about others. Compare likeness with its value by chance, not between kinds; a kind that hardly "
    "changes with random weights must not be trusted, however often it is best. Intervals are not adjusted for the "
    "number of comparisons."
)
AGREE_NOTE = (
    "Spearman's rank correlation between two measures over the kinds of map, the baselines included, with each measure "
    "turned so that higher is better: the mean over the runs on which at least four kinds were measured. 1: both "
    "rank the maps alike; 0: one says nothing about the other. On most runs only four kinds were measured, two of "
    "them baselines, so a correlation rests on few points, which are not independent. ADCC and ARCC contain other "
    "measures of this table."
)


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """One line per row and measure: each kind of map's mean over seeds and images, and its half-width; see `NOTE`.

    Columns: row, measure, n (seeds of a kind, the fewest and the most), each kind's title and "<title> ±", best, beat
    the spot, no better than noise.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for name, runs in faithfulness.measured_by_row(records).items():
        for measure, sign in BETTER.items():
            of_kind = {kind: values for kind in measuring.KINDS if (values := values_of(runs, kind, measure))}
            if not of_kind:
                continue
            line: dict[str, Any] = {"row": name, "measure": f"{measure} {'↑' if sign > 0 else '↓'}"}
            counts = [len(values) for values in of_kind.values()]
            line["n"] = spanned(counts)
            means = {}
            for kind, values in of_kind.items():
                count = min(map(len, values.values()))
                estimate = statistics.of_seeds_and_images(np.array([each[:count] for each in values.values()]))
                means[kind] = sign * estimate.mean
                factor = measuring.MEASURES[measure].factor
                line |= {measuring.title(kind): factor * estimate.mean}
                line |= {f"{measuring.title(kind)} ±": factor * estimate.half}
            first, *others = sorted(means, key=means.__getitem__, reverse=True)
            clear = bool(others) and _is_better(of_kind[first], of_kind[others[0]], sign)
            line["best"] = measuring.title(first) if clear else ""
            spot, noise = (of_kind.get(kind, {}) for kind in ("centred", "random"))
            of_model = {measuring.title(kind): values for kind, values in of_kind.items() if kind in methods.METHODS}
            beat = [title for title, values in of_model.items() if _is_better(values, spot, sign)]
            no_better = [title for title, values in of_model.items() if noise and not _is_better(values, noise, sign)]
            lines.append(line | {"beat the spot": ", ".join(beat), "no better than noise": ", ".join(no_better)})
    return pd.DataFrame(lines)


def summary(records: Sequence[Record], compared: "pd.DataFrame") -> str:
    """Says for each row which methods beat the spot by the measures of faithfulness, and which hardly need a model."""
    sentences = []
    measured = faithfulness.measured_by_row(records)
    rows = {record.name: record.row for record in faithfulness.counted(records)}
    for name, group in compared.groupby("row", sort=False):
        names = group["measure"].str.split().str[0]
        of_row = group[names.isin(faithfulness.FAITHFUL)]
        if not len(of_row) or "centred" not in of_row or of_row["centred"].isna().all():
            continue
        beats = of_row["beat the spot"].str.split(", ").explode()
        counts = beats[beats != ""].value_counts()
        shown = ", ".join(f"{title} on {count}" for title, count in counts.items()) or "none"
        main = f"the main measures of faithfulness ({listed(names[of_row.index].tolist())})"
        sentences.append(f"Methods that beat the spot for {name} on at least one of {main}: {shown}.")
        best = of_row.loc[of_row["best"] != "", "best"].value_counts()
        if len(best):
            shown = ", ".join(f"{IN_WORDS.get(title, title)} on {count}" for title, count in best.items())
            sentences.append(f"Clearly the best: {shown}.")
        seeds = {kind: len(values_of(measured[name], kind, "road")) for kind in methods.METHODS}
        if once := [methods.title(kind) for kind, count in seeds.items() if count == 1]:
            which = "All methods" if max(seeds.values()) == 1 else listed(once)
            was = "was" if which == once[0] else "were"
            sentences.append(f"{which} {was} measured on one run only, which says nothing about other seeds.")
        likeness = group[group["measure"].str.startswith("likeness ")].mean(numeric_only=True)
        by_chance = {measuring.title(kind): focus_means.by_chance(rows[name], kind) for kind in methods.METHODS}
        if alike := [title for title, chance in by_chance.items() if likeness.get(title, 0.0) > chance]:
            resemble = "resemble those of random weights more than chance would explain"
            sentences.append(
                f"The maps of {listed(alike)} {resemble}: even where they score well, this does not show that they "
                f"explain {name}."
            )
    return " ".join(sentences)


def rank_correlations(records: Sequence[Record]) -> "pd.DataFrame":
    """How alike two measures rank the kinds of map: see `AGREE_NOTE`. Columns: measure, and one per measure."""
    import pandas as pd

    found = []
    for runs in faithfulness.measured_by_row(records).values():
        for seed in runs:
            of_kind = {
                measuring.title(kind): {
                    measure: sign * float(np.nanmean(values[seed]))
                    for measure, sign in BETTER.items()
                    if (values := values_of({seed: runs[seed]}, kind, measure))
                }
                for kind in measuring.KINDS
            }
            means = pd.DataFrame.from_dict(of_kind, orient="index").dropna(how="all")
            if len(means) >= FEWEST:
                found.append(means.corr(method="spearman", min_periods=FEWEST))
    if not found:
        return pd.DataFrame()
    names = [measure for measure in BETTER if any(measure in each and each[measure].notna().any() for each in found)]
    mean = pd.concat(found).groupby(level=0).mean().reindex(index=names, columns=names)
    return mean.rename_axis("measure").reset_index()


def rank_summary(records: Sequence[Record], correlations: "pd.DataFrame") -> str:
    """Says which two measures agree most and least, and how many pairs do."""
    if not len(correlations):
        return ""
    square = correlations.set_index("measure")
    pairs = {
        (a, b): float(square.loc[a, b])
        for i, a in enumerate(square)
        for b in list(square)[i + 1 :]
        if not math.isnan(square.loc[a, b])
    }
    if not pairs:
        return ""
    most, least = max(pairs, key=pairs.__getitem__), min(pairs, key=pairs.__getitem__)
    agreeing, opposed = (sum(way * value > limit for value in pairs.values()) for way, limit in ((1, 0.7), (-1, 0.0)))
    text = (
        f"Of {len(pairs)} pairs of measures, {agreeing} rank the maps alike (correlation above 0.7), and {opposed} "
        f"have a negative correlation. The pair that agrees most is {most[0]} and {most[1]} ({pairs[most]:.2f}); the "
        f"one that agrees least is {least[0]} and {least[1]} ({pairs[least]:.2f})."
    )
    return text.replace("(-", "(−").replace("road", "ROAD")


def _is_better(values: Values, others: Values, sign: int) -> bool:
    """Whether the 95 % interval of the paired difference is on the better side of zero."""
    difference = faithfulness.paired_difference(values, others)
    return difference is not None and statistics.of_seeds_and_images(sign * difference).interval[0] > 0
