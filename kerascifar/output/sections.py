"""The sections of the page: for each, its charts, its conclusion, and what stands below them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common.terminal import listed
from kerascifar.findings import (
    ablation,
    agreement,
    analyses,
    changes,
    maps_compared,
    metrics,
    verdicts,
)
from kerascifar.findings.faithfulness import FAITHFUL
from kerascifar.findings.metrics import METRICS
from kerascifar.findings.rule import Decision
from kerascifar.output import charts
from kerascifar.runs import grouping, model_facts, records, rows_in_words
from kerascifar.runs.records import Record
from kerascifar.training import models

if TYPE_CHECKING:
    import pandas as pd

# The look of a verdict, by its word; any other word looks open. Those that a few seeds only suggest are outlined.
LOOKS = {
    "confirmed": "good",
    "supported": "good outlined",
    "refuted": "bad",
    "contradicted": "bad outlined",
}
AXES = {  # of the charts of rows beside the original
    agreement.TEST_ACCURACY: "test accuracy (%)",
    agreement.TRAINING_ACCURACY: "training accuracy (%)",
    agreement.EPOCHS: "epochs",
}
IN_WORDS = {  # what the measures in `FAITHFUL` do
    "road": "Pixels are removed and filled in from around them, the most or the least relevant first.",
    "deletion": "The most relevant pixels are greyed first: the class should soon be less probable.",
    "insertion": "The most relevant pixels of a blurred image become sharp first: the class should soon be probable.",
    "background": "The half with the least evidence is replaced by another image's: the prediction should not change.",
}


@dataclass(frozen=True)
class Drawn:
    """A chart: the name that its permalink uses, its title, and SVG."""

    name: str
    title: str
    svg: str


class Charts(dict[str, dict[str, Any]]):
    """All charts of the page by name, for the browser to draw again."""

    def add(self, name: str, title: str, chart: charts.Chart, width: int = 560) -> Drawn:
        self[name] = charts.specification(chart)
        return Drawn(name, title, charts.svg(self[name], width))


def beside_original(tables: "Mapping[str, pd.DataFrame]", drawn: Charts) -> list[tuple[Drawn, str]]:
    """For each metric of `AXES`, given its table of `agreement.rows`, a chart and its conclusion."""
    return [
        (
            drawn.add(metric.replace(" ", "-"), f"{metric.capitalize()} by row", charts.agreement(table, AXES[metric])),
            agreement.conclusion(table, metric),
        )
        for metric, table in tables.items()
    ]


def effects_of_changes(result: analyses.Result | None, drawn: Charts) -> dict[str, Any] | None:
    """What each change contributes, beside the original's own difference."""
    if result is None:
        return None
    table = result.table
    label = table["change"] + "\t" + table["with"] + " − " + table["without"]
    label = label.str.replace(" instead of (.*)\t", "\tinstead of \\1, ", regex=True)
    chart = charts.effects(table, label, "difference in test accuracy (points)")
    figure = drawn.add("changes", result.title, chart)
    return {"figure": figure, "conclusion": changes.conclusion(table), "note": result.note}


def counts(decisions: Sequence[Decision]) -> list[tuple[str, int, str]]:
    """Each verdict's word, how many claims have it, and its look: the good ones first, the open ones last."""
    counts = verdicts.counts(decisions)
    order = sorted(counts, key=lambda word: [*LOOKS, word].index(word))
    return [(word, counts[word], LOOKS.get(word, "open")) for word in order]


def claims(decisions: Sequence[Decision], drawn: Charts) -> list[dict[str, Any]]:
    """Each claim with its verdict, a chart for each metric of its comparisons, and the comparisons as a table."""
    lines = verdicts.table(decisions)
    lines["label"] = [comparison.short for decision in decisions for comparison in decision.claim.comparisons]
    words = lines["metric"].map({name: metric.words for name, metric in METRICS.items()})
    lines["title"] = words + (", " + lines["unit"]).mask(lines["unit"] == "epochs", "")  # their metrics count epochs
    # Differences in one unit share an axis, so that claims can be compared.
    of_maps = lines["metric"].isin(metrics.OF_MAPS)
    axis = lines["unit"] + of_maps.map({True: " of evidence", False: ""})
    ends = lines[["difference", "low", "high", "reported", "margin"]].astype("float64")
    low = ends.min(axis=1).groupby(axis).min().clip(upper=-lines["margin"].groupby(axis).max())
    high = ends.max(axis=1).groupby(axis).max()
    found = []
    for decision in decisions:
        claim = decision.claim
        group = lines[lines["claim"] == claim.name]
        figures = []
        for metric, part in group.groupby("metric", sort=False):
            unit = axis[part.index[0]]
            limits = (1.05 * low[unit], 1.05 * high[unit])
            title = f"Claim {claim.name}: {part['title'].iloc[0]}"
            figures.append(drawn.add(f"{claim.name}-{metric}", title, charts.forest(part, limits), 420))
        found.append(
            {
                "name": claim.name,
                "words": claim.words,
                "verdict": decision.verdict,
                "look": LOOKS.get(decision.verdict, "open"),
                "sentence": re.sub(r"(?<!\w)-(?=\d)", "−", verdicts.sentence(decision)),
                "note": claim.note,
                "seeds": decision.seeds,
                "figures": figures,
                "comparisons": _comparisons(group),
            }
        )
    return found


def _comparisons(group: "pd.DataFrame") -> "pd.DataFrame":
    """A claim's comparisons in numbers."""

    def signed(column: str) -> list[str]:
        values = zip(group[column].astype("float64"), group["metric"], strict=True)
        return [f"{value:+z.{METRICS[metric].digits}f}" if value == value else "" for value, metric in values]

    table = group[["label"]].rename(columns={"label": "comparison"}).assign(difference=signed("difference"))
    table["95 % interval"] = [f"{a} … {b}" if a else "" for a, b in zip(signed("low"), signed("high"), strict=True)]
    table = table.assign(original=signed("reported"), margin=group["margin"].map("{:g}".format), n=group["n"])
    return table.assign(measured=group["title"])


def lengths(main: Sequence[Record]) -> str:
    """The conclusion of the curves: how long the rows train that have no fixed schedule."""
    rows = grouping.by_name([r for r in main if not r.row.schedule] or main)
    epochs = {name: np.median([r.epochs_trained for r in runs]) for name, runs in rows.items()}
    shortest, longest = min(epochs, key=lambda name: epochs[name]), max(epochs, key=lambda name: epochs[name])
    if epochs[shortest] == epochs[longest]:
        trains, s = "trains" if len(epochs) == 1 else "train", "" if epochs[longest] == 1 else "s"
        return f"{listed(list(epochs))} {trains} for {epochs[longest]:.0f} epoch{s}."
    return (
        f"{longest} trains longest, for {epochs[longest]:.0f} epochs (median over seeds), and {shortest} "
        f"stops first, after {epochs[shortest]:.0f}."
    )


def faithful(found: analyses.Findings, drawn: Charts) -> dict[str, Any] | None:
    """Charts of the kinds of map against the centred spot, one for each measure, and of how the measures agree."""
    result, compared, agreeing = (found.get(name) for name in ("centred", "maps-compared", "measures-agree"))
    if result is None or compared is None:
        return None
    figures = []
    for measure in FAITHFUL:
        title = measure.upper() if measure in charts.NO_UNIT else measure.capitalize()
        figure = drawn.add(f"faithful-{measure}", title, charts.faithful(result.table, measure), 360)
        of_rows = []
        for line in compared.table[compared.table["measure"].str.startswith(f"{measure} ")].to_dict("records"):
            best = maps_compared.IN_WORDS.get(line["best"], line["best"])
            of_rows.append(f"{best or 'no map'} for {line['row']}")
        figures.append((figure, f"{IN_WORDS[measure]} Clearly best: {listed(of_rows)}."))
    conclusion = f"{result.summary} {compared.summary}".strip()
    parts: dict[str, Any] = {"figures": figures, "conclusion": conclusion, "note": result.note}
    if agreeing:
        figure = drawn.add("measures-agree", agreeing.title, charts.rank_correlations(agreeing.table))
        parts["agreeing"] = (figure, agreeing.summary)
    return parts


def sensitivity(result: analyses.Result | None, drawn: Charts) -> dict[str, Any] | None:
    """The rows with one assumption changed, as dots."""
    if result is None:
        return None
    title = "difference in test accuracy from the unchanged row (points)"
    label = result.table["like"] + "\t" + result.table["changed"]
    figure = drawn.add("sensitivity", "One assumption changed", _effects(result.table, label, title))
    return {"figure": figure, "conclusion": result.summary, "note": result.note}


def _effects(table: "pd.DataFrame", label: "pd.Series", title: str) -> charts.Chart:
    """The chart of the test accuracy's columns in a table of `sensitivity.effect`."""
    names = {"test_accuracy": "difference", "test_accuracy low": "low", "test_accuracy high": "high"}
    return charts.effects(table.rename(columns=names), label, title)


def what_next(found: analyses.Findings, drawn: Charts) -> dict[str, Any] | None:
    """The answer to "what next?": what Experiment 3's models cost and reach, and how much each step contributes."""
    cost, steps, tried = (found.get(name) for name in ("cost", "ablation-steps", "search-ranked"))
    if cost is None:
        return None
    best = cost.table[cost.table["row"] == records.BEST[1]]
    first = cost.table["row"] == ablation.FIRST[1]
    figures = []
    # The best model with shorter training, and smaller models trained equally long.
    for column, title, fixed in (
        ("minutes", "minutes of training", "parameters"),
        ("parameters", "trainable parameters", "epochs"),
    ):
        alike = cost.table[cost.table[fixed].isin(best[fixed]) | first]
        figures.append(drawn.add(f"cost-{column}", f"Accuracy by {column}", charts.cost(alike, column, title), 420))
    parts: dict[str, Any] = {"figures": figures, "conclusion": cost.summary, "note": cost.note}
    if steps:
        title = "difference in test accuracy from the previous step (points)"
        label = steps.table["row"] + "\t" + steps.table["changed"]
        figure = drawn.add("ablation-steps", steps.title, _effects(steps.table, label, title))
        parts["steps"], parts["note"] = (figure, steps.summary), f"{cost.note}\n\n{steps.note}"
    if tried:
        parts["conclusion"] = f"{cost.summary} {tried.summary}".strip()
    return parts


def architectures(shown: Sequence[Record]) -> dict[str, Any]:
    """The layers of `Sequential` models, in blocks that start with a convolution, side by side."""
    import keras

    columns: list[dict[str, Any]] = []
    other = []
    alike: dict[str, list[str]] = {}
    groups: dict[tuple[str, str], list[Record]] = {}
    for run in shown:
        if run.row.model in models.BUILDERS:
            groups.setdefault((run.row.model, json.dumps(run.row.model_options, sort_keys=True)), []).append(run)
    for (name, _), runs in groups.items():
        network = models.build(name, **runs[0].row.model_options)
        if not isinstance(network, keras.Sequential):
            other.append(runs[0].name)
            continue
        blocks: list[list[dict[str, str]]] = []
        lasting = []
        for layer in network.layers:
            kind = type(layer).__name__
            if kind in ("Conv2D", "Flatten") or not blocks:
                blocks.append([])
            size = getattr(layer, "filters", getattr(layer, "units", getattr(layer, "rate", "")))
            shape = "×".join(map(str, layer.output.shape[1:]))
            blocks[-1].append({"kind": kind, "size": str(size), "shape": shape})
            lasting += [blocks[-1][-1]] if kind not in rows_in_words.TRAINING_ONLY else []
        if name not in alike.setdefault(str(lasting), []):  # with other options that change no layer's size
            alike[str(lasting)].append(name)
        rows = dict.fromkeys(r.name for r in runs)
        columns.append(
            {
                "name": name,
                "rows": ", ".join(rows) if len(rows) < 4 else f"{next(iter(rows))} … {list(rows)[-1]}",
                "parameters": model_facts.parameters(network)[0],
                "blocks": blocks[:-1],
                "dense": blocks[-1],
            }
        )
    same = [listed(names) for names in alike.values() if len(names) > 1]
    sentences = [f"{names} differ only in their BatchNormalization and Dropout layers." for names in same]
    sentences += [f"{row}'s model is not a chain of layers; kerascifar models {row} lists them." for row in other]
    conclusion = " ".join(sentences)
    return {"columns": columns, "depth": max((len(c["blocks"]) for c in columns), default=0), "conclusion": conclusion}
