"""Records → one page, `index.html`: the verdicts, the tables, the curves, where the models look; no network needed.

The template is `page.html`. Charts are Vega-Lite's: drawn once as SVG, so that they are there without JavaScript, and
again in the browser with tooltips, zoom and choices.
"""

import base64
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common import files, terminal
from kerascifar.common.errors import UserError
from kerascifar.findings import analyses, claims, sensitivity
from kerascifar.focus import methods, pictures
from kerascifar.images import cifar10
from kerascifar.output import readme, report, tables
from kerascifar.runs import measurements, records
from kerascifar.runs.records import Record
from kerascifar.training import models

if TYPE_CHECKING:
    import keras
    import pandas as pd

EACH = 4  # validation images of a class in the gallery, the first ones in the official order
LOOKED_AT = 50  # of each class, for one that is predicted wrong
COLOURS = "cividis"  # told apart with any colour vision, and in grey
CURVES = {"loss": "loss (cross-entropy, nats)", "accuracy": "accuracy (%)"}


def write(
    own: Sequence[Record],
    published: Sequence[Record],
    figures: Sequence[Path],
    dataset: cifar10.Dataset | None,
    out: Path,
) -> Path:
    """Writes the page about your runs, or about the published ones if you have none, into `out`, and returns its path.

    Args:
        published: stand beside one's own in the results.
        figures: PNG files; those in a folder `architecture` are of models.
        dataset: for the gallery of focus maps; without it the page says how to get one.
    """
    import jinja2
    import vl_convert

    shown = [*own] or [*published]
    curves = _curves([r for r in shown if r.experiment != records.CHOICES] or shown)
    found = gallery(shown, dataset) if dataset is not None else None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kerascifar.output", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    judged = claims.table([*published] or [*own], claims.read())
    verdicts = claims.verdicts(judged, between="\n")
    page = environment.get_template("page.html").render(
        synthetic=any(r.is_synthetic for r in shown),
        verdicts=verdicts.to_dict("records"),
        counts={v: int((verdicts["verdict"] == v).sum()) for v in (claims.HOLDS, claims.NOT, claims.UNDECIDED)},
        so_far={way: int((verdicts["so far"] == way).sum()) for way in claims.SO_FAR.values()},
        by="the published" if published else "your own",
        rule=_markdown(claims.RULE),
        judged=_html(judged.drop(columns=["words", "note"])),
        results=_results(own, published),
        chart=_script(curves),
        drawn=vl_convert.vegalite_to_svg(curves),
        vega=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed").replace("</script", "<\\/script"),
        pictures=[_picture(path) for path in figures if path.parent == out],
        curves=[_picture(path) for path in figures if path.parent.name == "curves"],
        diagrams=[_picture(path) for path in figures if path.parent.name == "architecture"],
        layers=_layers(shown),
        classes=_classes(shown),
        gallery=_script(found) if found else None,
        first=[e for e in found["entries"] if e["first"]] if found else [],
        originals=found["pictures"] if found else [],
        measures=[(a.title, _html(a.table), _markdown(a.note)) for a in analyses.results(shown)],
        assumptions=_markdown(_section("## What the report leaves open")),
        made=_environment(shown),
        reproduce=_reproduce(shown),
    )
    path = out / "index.html"
    files.write_text(path, page)
    return path


def _script(value: Any) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(value).replace("<", "\\u003c")


def _html(table: "pd.DataFrame") -> str:
    """A table, escaped."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return tables.number(value)
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    return str(table.map(text).to_html(index=False, border=0, escape=True))


def _results(own: Sequence[Record], published: Sequence[Record]) -> list[tuple[str, str, list[str]]]:
    """Title, table and notes of every experiment."""
    found = []
    for experiment in dict.fromkeys(r.experiment for r in [*own] or [*published]):
        if experiment in (records.CHOICES, sensitivity.EXPERIMENT):  # these have tables of their own
            continue
        mine, theirs = ([r for r in runs if r.experiment == experiment] for runs in (own, published))
        table = tables.readable(tables.results(mine, theirs), whole=True)
        html = str(table.to_html(index=False, border=0, escape=True))
        found.append((report.TITLES.get(experiment, experiment), html, tables.notes(mine, theirs)))
    return found


def _markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def _section(heading: str) -> str:
    """The text of README below a heading, up to the next one; empty where the package was installed without it."""
    page = readme.README.read_text(encoding="utf-8") if readme.README.is_file() else ""
    return page.partition(heading)[2].partition("\n")[2].partition("\n## ")[0]


def _layers(shown: Sequence[Record]) -> dict[str, str]:
    """Per model what its diagram shows, in words."""
    found = {}
    for run in shown:
        if (name := run.row.model) in models.BUILDERS and name not in found:
            network = models.build(name, **run.row.model_options)
            shapes = ("×".join(map(str, layer.output.shape[1:])) for layer in network.layers)
            found[name] = ", ".join(
                f"{type(layer).__name__} {s}" for layer, s in zip(network.layers, shapes, strict=True)
            )
    return found


def _classes(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """For each explained row how its test images are predicted: what its confusion matrix shows, as a table."""
    import pandas as pd

    found = []
    for experiment, name in report.EXPLAINED:
        if runs := [r for r in shown if (r.experiment, r.name) == (experiment, name)]:
            names = runs[0].dataset["class_names"]
            table = pd.DataFrame(tables.confusion(runs), index=names, columns=names).rename_axis("label \\ predicted")
            found.append((name, _html(table.reset_index())))
    return found


def _picture(path: Path) -> tuple[str, str]:
    from PIL import Image

    with Image.open(path) as picture:
        return path.stem, _inline(np.asarray(picture.convert("RGB")))


def _inline(pixels: np.ndarray) -> str:
    """A picture, uint8 (height, width, 3), for an `img`: lossless WebP, which takes a third of PNG's room or less."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "webp", lossless=True, quality=100)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _curves(shown: Sequence[Record]) -> dict[str, Any]:
    """Vega-Lite's description of the training curves: one row of the experiments at a time, seeds on and off."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["row", "seed", "split", "epoch", *CURVES])
    for run in shown:
        for split, prefix in (("training", ""), ("validation", "val_")):
            values = zip(*(run.history[prefix + name] for name in CURVES), strict=True)
            for epoch, (loss, accuracy) in enumerate(values, 1):
                writer.writerow([run.name, run.seed, split, epoch, f"{loss:.4f}", f"{100 * accuracy:.2f}"])
    rows = list(dict.fromkeys(r.name for r in shown))
    seeds = sorted({r.seed for r in shown})
    params: list[dict[str, Any]] = [
        {"name": "row", "value": rows[0], "bind": {"input": "select", "options": rows, "name": "row "}}
    ]
    params += [{"name": f"seed{s}", "value": True, "bind": {"input": "checkbox", "name": f"seed {s} "}} for s in seeds]
    on = " || ".join(f"(datum.seed == {s} && seed{s})" for s in seeds)
    seeds_of = {name: sorted({r.seed for r in shown if r.name == name}) for name in rows}
    axis = {"labelColor": "currentColor", "titleColor": "currentColor", "gridOpacity": 0.3, "tickColor": "currentColor"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": "Training and validation loss and accuracy by epoch, one line per seed",
        "usermeta": {"seeds": seeds_of},
        "data": {"values": table.getvalue(), "format": {"type": "csv"}},
        "params": params,
        "transform": [{"filter": "datum.row == row"}, {"filter": on}],
        "hconcat": [
            {
                "width": 380,
                "height": 260,
                "mark": {"type": "line", "point": {"size": 8}, "strokeWidth": 1.2},
                "params": [
                    # The wheel alone goes on scrolling the page.
                    {
                        "name": f"zoom_{name}",
                        "select": {"type": "interval", "zoom": "wheel![event.ctrlKey]"},
                        "bind": "scales",
                    }
                ],
                "encoding": {
                    "x": {"field": "epoch", "type": "quantitative", "title": "epoch"},
                    "y": {"field": name, "type": "quantitative", "title": title, "scale": {"zero": False}},
                    "color": {
                        "field": "split",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": ["training", "validation"], "range": ["#3d8fd1", "#D55E00"]},
                        "legend": {"orient": "top"},
                    },
                    "strokeDash": {"field": "split", "type": "nominal", "legend": None},
                    "detail": {"field": "seed"},
                    "tooltip": [
                        {"field": field, "type": "nominal"} for field in ("row", "seed", "split", "epoch", name)
                    ],
                },
            }
            for name, title in CURVES.items()
        ],
        "config": {
            "background": "transparent",
            "view": {"stroke": None},
            "axis": axis,
            "legend": {"labelColor": "currentColor"},
            "font": "system-ui, sans-serif",
        },
    }


def gallery(shown: Sequence[Record], dataset: cifar10.Dataset) -> dict[str, Any] | None:
    """For the explained rows and every method: validation images of each class, and their focus maps.

    The first ones in the official order, and the first one that the row predicts wrong. None where no run has weights.
    """
    usable = [
        r for r in shown if (r.folder / records.MODEL).is_file() and r.dataset["train"] == dataset.fingerprint["train"]
    ]
    explained = [next((r for r in usable if (r.experiment, r.name) == key), None) for key in report.EXPLAINED]
    validation = np.sort(cifar10.split(dataset.labels)[1])
    shown_images: dict[int, str] = {}
    entries: list[dict[str, Any]] = []
    for record in filter(None, explained):
        try:
            model = records.load_model(record)
        except UserError as problem:  # one damaged model must not hide the rest of the page
            print(f"Left out of the gallery: {problem}", file=sys.stderr)
            continue
        indices, predicted = _chosen(model, validation, dataset)
        labels, images = dataset.labels[indices], cifar10.scale(dataset.images[indices])
        shown_images |= {int(index): _inline(dataset.images[index]) for index in indices}
        for method in terminal.track(tuple(methods.METHODS), f"Focus maps of {record.name}"):
            found = methods.focus_maps(model, images, labels, method=method)
            entries += [
                {
                    "row": record.name,
                    "method": methods.title(method),
                    "made": pictures.way(model, None, method),
                    "class": dataset.class_names[label],
                    "source": pictures.describe(dataset, int(index)),
                    "predicted": dataset.class_names[guess],
                    "right": bool(guess == label),
                    "first": method == "gradcam" and bool(place == 0 or label != labels[place - 1]),
                    "empty": not shown_map.any(),
                    "picture": int(index),
                    "map": _inline(_coloured(shown_map)),
                }
                for place, (index, label, guess, shown_map) in enumerate(
                    zip(indices, labels, predicted, found, strict=True)
                )
            ]
    return {"pictures": shown_images, "entries": entries} if entries else None


def _chosen(
    model: "keras.Sequential", validation: np.ndarray, dataset: cifar10.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images to show, class by class, and what the model predicts for them."""
    indices, predicted = [], []
    for label in range(10):
        group = validation[dataset.labels[validation] == label][:LOOKED_AT]
        guesses = np.asarray(model.predict(cifar10.scale(dataset.images[group]), verbose=0)).argmax(axis=1)
        places = np.union1d(np.arange(min(EACH, len(group))), np.flatnonzero(guesses != label)[:1])
        indices.append(group[places])
        predicted.append(guesses[places])
    return np.concatenate(indices), np.concatenate(predicted)


def _coloured(values: np.ndarray) -> np.ndarray:
    """A map, 0..1, in colours: uint8 (32, 32, 3); in 32 steps, so that the file is small."""
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURS](np.round(values * 31) / 31, bytes=True)[..., :3])


def _environment(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """Where and with what the runs were made."""
    found: dict[str, list[str]] = {}
    for run in shown:
        made = run.environment
        values = {key: str(made.get(key) or "") for key in ("device", "processor", "instructions", "backend", "commit")}
        values["versions"] = ", ".join(f"{k} {v}" for k, v in (made.get("versions") or {}).items())
        values["precision"] = run.row.precision
        values["images"] = (
            f"{run.dataset['name']}, SHA-256 {run.dataset['train'][:16]}… and {run.dataset['test'][:16]}…"
        )
        for key, value in values.items():
            if value and value not in found.setdefault(key, []):
                found[key].append(value)
    return [(key, "; ".join(values)) for key, values in found.items() if values]


def _measure(run: Record) -> str:
    """The command that measures where a run looks, by the methods that were measured."""
    there = measurements.read(run)
    measured = " ".join(kind for kind in methods.METHODS if f"{kind}/road" in there)
    published = " --published" if run.folder.parent == records.PUBLISHED else ""
    return f"python -m kerascifar focus{published} --rows {run.name} --seeds {run.seed} --methods {measured}"


def _reproduce(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """For every row the command that trains it; then those that measure, judge and draw."""
    found = []
    for name, experiment in {r.name: r.experiment for r in shown if r.experiment in report.TITLES}.items():
        runs = [r for r in shown if r.name == name]
        seeds = " ".join(str(r.seed) for r in runs)
        precision = runs[0].row.precision
        options = "" if precision == "float32" else f" --precision {precision}"
        again = f"\npython -m kerascifar verify {name} --seed {runs[0].seed}"
        published = again if runs[0].folder.parent == records.PUBLISHED else ""
        command = f"python -m kerascifar run experiments/{experiment}.toml --rows {name} --seeds {seeds}{options}"
        found.append((name, command + published))
    return [
        *found,
        ("what the report leaves open", "make choices"),
        ("sensitivity", "python -m kerascifar run experiments/sensitivity.toml"),
        *(("where the models look: " + r.label, _measure(r)) for r in shown if measurements.read(r)),
        ("claims and verdicts", "python -m kerascifar findings"),
        ("this page", "make report"),
    ]
