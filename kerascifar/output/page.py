"""Makes one page from records, `index.html`: what came out, claims, curves, where the models look. It works offline.

The template is `page.html`, with `page.css` and `page.js`. Charts (`charts.py`) are drawn twice: here as SVG, for
readers without JavaScript, and in the browser, with tooltips and controls, as wide as the screen allows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import files
from kerascifar.common.paths import CHECKOUT
from kerascifar.common.terminal import listed
from kerascifar.findings import (
    ablation,
    agreement,
    analyses,
    changes,
    claims,
    maps_compared,
    metrics,
    sensitivity,
    statistics,
)
from kerascifar.findings.faithfulness import FAITHFUL
from kerascifar.findings.metrics import METRICS
from kerascifar.focus import methods
from kerascifar.images import cifar10
from kerascifar.output import charts, gallery, report, tables
from kerascifar.runs import measurements, original, records, rows_in_words, selection
from kerascifar.runs.records import Record
from kerascifar.training import models

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

DOCS = CHECKOUT / "docs"
DOCUMENTS = {  # in the appendix, by the name in `docs/`
    "assumptions": "What the original leaves open, and our assumptions",
    "second-study": "The second study",
    "glossary": "Glossary",
}
# The look of a verdict, by its word; any other word looks open. Those that a few seeds only suggest are outlined.
LOOKS = {
    "confirmed": "good",
    "supported": "good outlined",
    "refuted": "bad",
    "contradicted": "bad outlined",
}
SHORT = {  # of comparisons, in charts
    " not higher than ": " ≤ ",
    " higher than ": " > ",
    " other than ": " ≠ ",
    r"^(\S+) \((.+)\) (.) (\S+) \(\2\)$": r"\2: \1 \3 \4",  # the same class in two rows
    r"^(\S+) \((.+)\) (.) \1 \((.+)\)$": r"\1: \2 \3 \4",  # two classes in the same row
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
FIRST_SHOWN = ("M1", "M5")  # curves: the original's comparison without and with augmentation
NUMBER = re.compile(r"[+−-]?\d[\d,.]*")


@dataclass(frozen=True)
class Drawn:
    """A chart: the name that its permalink uses, its title, and SVG."""

    name: str
    title: str
    svg: str


class _Charts(dict[str, dict[str, Any]]):
    """All charts of the page by name, for the browser to draw again."""

    def add(self, name: str, title: str, chart: charts.Chart, width: int = 560) -> Drawn:
        self[name] = charts.specification(chart)
        return Drawn(name, title, charts.svg(self[name], width))


def write(own: Sequence[Record], published: Sequence[Record], dataset: cifar10.Dataset | None, out: Path) -> Path:
    """Writes the page about the runs that `report.shown` selects into `out`; returns its path.

    Args:
        own: the user's runs.
        published: shown beside the user's runs in the results. They decide the claims, if there are any.
        dataset: for the gallery of focus maps; without it, the page says how to get one.
    """
    pool, shown, drawn = report.pool(own, published), report.shown(own, published), _Charts()
    main = report.main_rows(shown)
    compared = {metric: (agreement.rows(main, metric), title) for metric, title in AXES.items()}
    rows = compared[agreement.TEST_ACCURACY][0]
    known = rows[rows["agrees"] != agreement.UNKNOWN]
    declared = claims.read()
    verdict_lines = claims.table([*published] or [*own], declared)
    found = {result.name: result for result in analyses.results(pool)}
    maps = gallery.gallery(shown, dataset) if dataset is not None else None
    curves = {name: charts.summarized(runs) for name, runs in records.by_name(shown).items()}
    documents = {
        name: path.read_text(encoding="utf-8").partition("\n")[2]
        for name in DOCUMENTS
        if (path := DOCS / f"{name}.md").is_file()
    }
    first_shown = [name for name in FIRST_SHOWN if name in curves] or list(curves)[:2]
    # Long but flat: one line for each thing that the template shows.
    page = _template().render(
        synthetic=any(r.is_synthetic for r in pool),
        by="the published" if published else "your own",
        counts=_counts(verdict_lines),
        rows=rows.to_dict("records"),
        inside=(len(known[known["agrees"] == agreement.AGREES]), len(known), int(rows["original"].notna().sum())),
        runs=len(main),
        others=len(pool) - len(main),
        hours=sum(r.duration for r in pool) / 3600,
        agreement=[
            (
                drawn.add(metric.replace(" ", "-"), f"{metric.capitalize()} by row", charts.agreement(table, title)),
                agreement.conclusion(table, metric),
            )
            for metric, (table, title) in compared.items()
        ],
        changes=_changes(found.get("changes"), drawn),
        claims=_claims(verdict_lines, drawn),
        rule=f"{claims.RULE}\n\n{declared.note}",
        curves=drawn.add("curves", "Training curves", charts.curves(curves, first_shown)),
        rows_of_curves=list(curves),
        first_shown=first_shown,
        lengths=_lengths(main),
        gallery=maps,
        faithful=_faithful(found, drawn),
        next=_next(found, drawn),
        models=_models(main),
        sensitivity=_sensitivity(found.get("sensitivity-compared"), drawn),
        results=[
            (report.entitled(experiment), tables.readable(table, whole=True), notes)
            for experiment, table, notes in report.results(own, published)
            if experiment != sensitivity.EXPERIMENT  # which has its own table
        ],
        verdict_lines=verdict_lines,
        analyses=list(found.values()),
        confusions=_confusions(shown),
        documents=documents,
        terms=_terms(documents.get("glossary", "")),
        titles=DOCUMENTS,
        outdated=listed(original.outdated(published)),
        made=_environment(shown),
        commands=_commands(shown),
        data={"charts": drawn, "curves": curves, "settling": statistics.SETTLING, "gallery": maps},
        vega=_vega(),
    )
    path = out / "index.html"
    files.write_text(path, page)
    return path


def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kerascifar.output", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cells": _cells, "markdown": _markdown, "script": _script}
    return environment.get_template("page.html")


@cache
def _vega() -> str:
    """The library that draws the charts in the browser, as a script."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")).replace("</script", "<\\/script")


def _script(value: Any) -> str:
    """JSON for a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    drawn = str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
    return re.sub(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>', r"\1", drawn)  # the page is alone, without other files


def _terms(glossary: str) -> dict[str, str]:
    """Each term's meaning as plain text."""
    lines = re.findall(r"^\| (.+?) \| (.+?)(?: \*Not:\*.*)? \|$", glossary, re.MULTILINE)
    return {term: re.sub(r"[*`]| \(\[.*?\)\)", "", meaning) for term, meaning in lines}


def _cells(table: "pd.DataFrame") -> list[list[tuple[str, bool]]]:
    """A table's cells as text, and whether each is a number."""
    return [[(cell, bool(NUMBER.match(cell))) for cell in line] for line in table.map(tables.cell).to_numpy()]


def _changes(result: analyses.Result | None, drawn: _Charts) -> dict[str, Any] | None:
    """What each change contributes, beside the original's own difference."""
    if result is None:
        return None
    table = result.table
    label = table["change"] + "\t" + table["with"] + " − " + table["without"]
    label = label.str.replace(" instead of (.*)\t", "\tinstead of \\1, ", regex=True)
    chart = charts.effects(table, label, "difference in test accuracy (points)")
    figure = drawn.add("changes", result.title, chart)
    return {"figure": figure, "conclusion": changes.conclusion(table), "note": result.note}


def _counts(verdict_lines: "pd.DataFrame") -> list[tuple[str, int, str]]:
    """Each verdict's word, how many claims have it, and its look: the good ones first, the open ones last."""
    counts = claims.counts(verdict_lines)
    order = sorted(counts, key=lambda word: [*LOOKS, word].index(word))
    return [(word, counts[word], LOOKS.get(word, "open")) for word in order]


def _claims(verdict_lines: "pd.DataFrame", drawn: _Charts) -> list[dict[str, Any]]:
    """Each claim with its verdict, a chart for each metric of its comparisons, and the comparisons as a table."""
    lines = verdict_lines.assign(label=verdict_lines["comparison"].str.rpartition(", ")[0])
    for long, short in SHORT.items():
        lines["label"] = lines["label"].str.replace(long, short, regex=True)
    words = lines["metric"].map({name: metric.words for name, metric in METRICS.items()})
    lines["title"] = words + (", " + lines["unit"]).mask(lines["unit"] == "epochs", "")  # their metrics count epochs
    lines = lines.reindex(columns=[*lines.columns, *{"difference", "low", "high"}.difference(lines.columns)])
    # Differences in one unit share an axis, so that claims can be compared.
    of_maps = lines["metric"].isin(metrics.OF_MAPS)
    axis = lines["unit"] + of_maps.map({True: " of evidence", False: ""})
    ends = lines[["difference", "low", "high", "reported", "margin"]].astype("float64")
    low = ends.min(axis=1).groupby(axis).min().clip(upper=-lines["margin"].groupby(axis).max())
    high = ends.max(axis=1).groupby(axis).max()
    found = []
    for name, group in lines.groupby("claim", sort=False):
        figures = []
        for metric, part in group.groupby("metric", sort=False):
            unit = axis[part.index[0]]
            limits = (1.05 * low[unit], 1.05 * high[unit])
            title = f"Claim {name}: {part['title'].iloc[0]}"
            figures.append(drawn.add(f"{name}-{metric}", title, charts.forest(part, limits), 420))
        first = group.iloc[0]
        found.append(
            {
                "name": name,
                "words": first["words"],
                "verdict": first["verdict"],
                "look": LOOKS.get(first["verdict"], "open"),
                "sentence": re.sub(r"(?<!\w)-(?=\d)", "−", first["sentence"]),
                "note": first["note"],
                "seeds": int(group["n"].min()),
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


def _lengths(main: Sequence[Record]) -> str:
    """The conclusion of the curves: how long the rows train that have no fixed schedule."""
    rows = records.by_name([r for r in main if not r.row.schedule] or main)
    epochs = {name: np.median([r.epochs_trained for r in runs]) for name, runs in rows.items()}
    shortest, longest = min(epochs, key=lambda name: epochs[name]), max(epochs, key=lambda name: epochs[name])
    if epochs[shortest] == epochs[longest]:
        trains, s = "trains" if len(epochs) == 1 else "train", "" if epochs[longest] == 1 else "s"
        return f"{listed(list(epochs))} {trains} for {epochs[longest]:.0f} epoch{s}."
    return (
        f"{longest} trains longest, for {epochs[longest]:.0f} epochs (median over seeds), and {shortest} "
        f"stops first, after {epochs[shortest]:.0f}."
    )


def _faithful(found: Mapping[str, analyses.Result], drawn: _Charts) -> dict[str, Any] | None:
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


def _sensitivity(result: analyses.Result | None, drawn: _Charts) -> dict[str, Any] | None:
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


def _next(found: Mapping[str, analyses.Result], drawn: _Charts) -> dict[str, Any] | None:
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


def _models(shown: Sequence[Record]) -> dict[str, Any]:
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
                "parameters": models.parameters(network)[0],
                "blocks": blocks[:-1],
                "dense": blocks[-1],
            }
        )
    same = [listed(names) for names in alike.values() if len(names) > 1]
    sentences = [f"{names} differ only in their BatchNormalization and Dropout layers." for names in same]
    sentences += [f"{row}'s model is not a chain of layers; kerascifar models {row} lists them." for row in other]
    conclusion = " ".join(sentences)
    return {"columns": columns, "depth": max((len(c["blocks"]) for c in columns), default=0), "conclusion": conclusion}


def _confusions(shown: Sequence[Record]) -> list[tuple[str, "pd.DataFrame"]]:
    """The confusion matrix of each explained row."""
    import pandas as pd

    matrices = []
    for runs in records.explained(shown):
        names = runs[0].dataset["class_names"]
        table = pd.DataFrame(tables.confusion(runs).round(1), index=names, columns=names)
        matrices.append((runs[0].name, table.rename_axis("label \\ predicted").reset_index()))
    return matrices


def _environment(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """The hardware, software and data of the runs."""
    environment: dict[str, list[str]] = {}
    for run in shown:
        recorded = run.environment
        keys = ("device", "processor", "instructions", "backend", "commit")
        values = {key: str(recorded.get(key) or "") for key in keys}
        values["versions"] = ", ".join(f"{k} {v}" for k, v in (recorded.get("versions") or {}).items())
        values["precision"] = run.row.precision
        values["images"] = (
            f"{run.dataset['name']}, SHA-256 {run.dataset['train'][:16]}… and {run.dataset['test'][:16]}…"
        )
        for key, value in values.items():
            if value and value not in environment.setdefault(key, []):
                environment[key].append(value)
    return [(key, "; ".join(values)) for key, values in environment.items() if values]


def _measure(run: Record) -> str:
    """The command that repeats a run's measurements."""
    values = measurements.read(run)
    measured = " ".join(kind for kind in methods.METHODS if f"{kind}/road" in values)
    published = " --published" * selection.is_published(run)
    return f"python -m kerascifar focus{published} --rows {run.name} --seeds {run.seed} --methods {measured}"


def _commands(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """For each row, the command that trains it; then the commands that measure, judge and draw."""
    commands, outdated = [], original.outdated(shown)  # the files have other settings now than the latter's
    for name, runs in records.by_name(shown).items():
        first = runs[0]
        if first.experiment not in report.TITLES or first.name in outdated:
            continue
        seeds = " ".join(str(r.seed) for r in runs)
        options = "" if first.row.precision == "float32" else f" --precision {first.row.precision}"
        command = f"python -m kerascifar run {first.experiment} --rows {first.name} --seeds {seeds}{options}"
        again = f"\npython -m kerascifar verify {name} --seed {first.seed}"
        commands.append((name, command + again * selection.is_published(first)))
    return [
        *commands,
        ("open choices", "make choices"),
        ("sensitivity", "python -m kerascifar run sensitivity"),
        ("search", "python -m kerascifar run search"),
        *[("ablation", "python -m kerascifar run ablation")] * any(r.experiment == ablation.EXPERIMENT for r in shown),
        *(("where the models look: " + r.label, _measure(r)) for r in shown if measurements.read(r)),
        ("claims and verdicts", "python -m kerascifar findings"),
        ("this page", "make report"),
    ]
