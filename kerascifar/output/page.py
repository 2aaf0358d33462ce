"""Makes one page from records, `index.html`: verdicts, tables, curves, and where the models look. It works offline.

The template is `page.html`. Charts are made with Vega-Lite: drawn once as SVG, for readers without JavaScript, and
again in the browser, with tooltips, zoom and controls.
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

EACH = 4  # validation images of each class in the gallery: the first in the official order
SEARCHED = 50  # validation images of each class, to find one that is predicted wrong
COLOURS = "cividis"  # distinct with any colour vision, and in grey
CURVES = {"loss": "loss (cross-entropy, nats)", "accuracy": "accuracy (%)"}


def write(
    own: Sequence[Record],
    published: Sequence[Record],
    figures: Sequence[Path],
    dataset: cifar10.Dataset | None,
    out: Path,
) -> Path:
    """Writes the page about the user's runs, or the published ones if there are none, into `out`; returns its path.

    Args:
        own: the user's runs.
        published: shown beside the user's runs in the results.
        figures: PNG files; the ones in a folder `architecture` show models.
        dataset: for the gallery of focus maps; without it, the page says how to get one.
    """
    import jinja2
    import vl_convert

    shown = [*own] or [*published]
    curves = _curves([r for r in shown if r.experiment != records.CHOICES] or shown)
    maps = gallery(shown, dataset) if dataset is not None else None
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
        gallery=_script(maps) if maps else None,
        first=[e for e in maps["entries"] if e["first"]] if maps else [],
        originals=maps["pictures"] if maps else [],
        measures=[(a.title, _html(a.table), _markdown(a.text)) for a in analyses.results(shown)],
        assumptions=_markdown(_section("## What the report leaves open")),
        made=_environment(shown),
        reproduce=_reproduce(shown),
    )
    path = out / "index.html"
    files.write_text(path, page)
    return path


def _script(value: Any) -> str:
    """JSON for a script element."""
    return json.dumps(value).replace("<", "\\u003c")


def _html(table: "pd.DataFrame") -> str:
    """A table as HTML, escaped."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return tables.number(value)
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    return str(table.map(text).to_html(index=False, border=0, escape=True))


def _results(own: Sequence[Record], published: Sequence[Record]) -> list[tuple[str, str, list[str]]]:
    """Title, table and notes of each experiment."""
    sections = []
    for experiment in dict.fromkeys(r.experiment for r in [*own] or [*published]):
        if experiment in (records.CHOICES, sensitivity.EXPERIMENT):  # these have their own tables
            continue
        own_runs, published_runs = ([r for r in runs if r.experiment == experiment] for runs in (own, published))
        table = tables.readable(tables.results(own_runs, published_runs), whole=True)
        html = str(table.to_html(index=False, border=0, escape=True))
        notes = tables.notes(own_runs, published_runs)
        sections.append((report.TITLES.get(experiment, experiment), html, notes))
    return sections


def _markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def _section(heading: str) -> str:
    """README's text below a heading, up to the next one; empty if the package was installed without README."""
    page = readme.README.read_text(encoding="utf-8") if readme.README.is_file() else ""
    return page.partition(heading)[2].partition("\n")[2].partition("\n## ")[0]


def _layers(shown: Sequence[Record]) -> dict[str, str]:
    """For each model, the content of its diagram in words."""
    layers_of = {}
    for run in shown:
        if (name := run.row.model) in models.BUILDERS and name not in layers_of:
            network = models.build(name, **run.row.model_options)
            shapes = ("×".join(map(str, layer.output.shape[1:])) for layer in network.layers)
            layers_of[name] = ", ".join(
                f"{type(layer).__name__} {s}" for layer, s in zip(network.layers, shapes, strict=True)
            )
    return layers_of


def _classes(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """The confusion matrix of each explained row, as a table."""
    import pandas as pd

    matrices = []
    for experiment, name in report.EXPLAINED:
        if runs := [r for r in shown if (r.experiment, r.name) == (experiment, name)]:
            names = runs[0].dataset["class_names"]
            table = pd.DataFrame(tables.confusion(runs), index=names, columns=names).rename_axis("label \\ predicted")
            matrices.append((name, _html(table.reset_index())))
    return matrices


def _picture(path: Path) -> tuple[str, str]:
    from PIL import Image

    with Image.open(path) as picture:
        return path.stem, _inline(np.asarray(picture.convert("RGB")))


def _inline(pixels: np.ndarray) -> str:
    """A picture, uint8 (height, width, 3), for an `img`: as lossless WebP, at most a third of the size of PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "webp", lossless=True, quality=100)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _curves(shown: Sequence[Record]) -> dict[str, Any]:
    """Vega-Lite's specification of the training curves: one row at a time, with a checkbox for each seed."""
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
                    # The wheel alone still scrolls the page.
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
    """Validation images of each class, with their focus maps for the explained rows and all methods.

    The first images in the official order, and the first one that the row predicts wrong. None if no run has weights.
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
            indices, found = _entries(record, validation, dataset)
        except UserError as problem:  # a model that is damaged or diverged must not hide the rest of the page
            print(f"Left out of the gallery: {problem}", file=sys.stderr)
            continue
        shown_images |= {int(index): _inline(dataset.images[index]) for index in indices}
        entries += found
    return {"pictures": shown_images, "entries": entries} if entries else None


def _entries(
    record: Record, validation: np.ndarray, dataset: cifar10.Dataset
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The indices of the images to show for a run, and an entry of the gallery for each image and method."""
    model = records.load_model(record)
    indices, predicted = _chosen(model, validation, dataset)
    labels, images = dataset.labels[indices], cifar10.scale(dataset.images[indices])
    entries: list[dict[str, Any]] = []
    for method in terminal.track(tuple(methods.METHODS), f"Focus maps of {record.name}"):
        maps = methods.focus_maps(model, images, labels, method=method)
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
            for place, (index, label, guess, shown_map) in enumerate(zip(indices, labels, predicted, maps, strict=True))
        ]
    return indices, entries


def _chosen(
    model: "keras.Sequential", validation: np.ndarray, dataset: cifar10.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the images to show, class by class, and the model's predictions for them."""
    indices, predicted = [], []
    for label in range(10):
        group = validation[dataset.labels[validation] == label][:SEARCHED]
        guesses = np.asarray(model.predict(cifar10.scale(dataset.images[group]), verbose=0)).argmax(axis=1)
        places = np.union1d(np.arange(min(EACH, len(group))), np.flatnonzero(guesses != label)[:1])
        indices.append(group[places])
        predicted.append(guesses[places])
    return np.concatenate(indices), np.concatenate(predicted)


def _coloured(values: np.ndarray) -> np.ndarray:
    """A map, 0..1, in colours: uint8 (32, 32, 3), in 32 steps to keep the file small."""
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURS](np.round(values * 31) / 31, bytes=True)[..., :3])


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
    published = " --published" if run.folder.parent == records.PUBLISHED else ""
    return f"python -m kerascifar focus{published} --rows {run.name} --seeds {run.seed} --methods {measured}"


def _reproduce(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """For each row, the command that trains it; then the commands that measure, judge and draw."""
    commands = []
    for name, experiment in {r.name: r.experiment for r in shown if r.experiment in report.TITLES}.items():
        runs = [r for r in shown if r.name == name]
        seeds = " ".join(str(r.seed) for r in runs)
        precision = runs[0].row.precision
        options = "" if precision == "float32" else f" --precision {precision}"
        again = f"\npython -m kerascifar verify {name} --seed {runs[0].seed}"
        published = again if runs[0].folder.parent == records.PUBLISHED else ""
        command = f"python -m kerascifar run experiments/{experiment}.toml --rows {name} --seeds {seeds}{options}"
        commands.append((name, command + published))
    return [
        *commands,
        ("open choices", "make choices"),
        ("sensitivity", "python -m kerascifar run experiments/sensitivity.toml"),
        *(("where the models look: " + r.label, _measure(r)) for r in shown if measurements.read(r)),
        ("claims and verdicts", "python -m kerascifar findings"),
        ("this page", "make report"),
    ]
