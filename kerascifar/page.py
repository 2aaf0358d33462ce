"""Records → one page, `index.html`: the verdicts, the tables, the curves, where the models look; no network needed.

The template is `page.html`. Charts are Vega-Lite's: drawn once as SVG, so that they are there without JavaScript, and
again in the browser with tooltips, zoom and choices.
"""

import base64
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar import (
    cam,
    choices,
    claims,
    cleaner,
    data,
    files,
    looking,
    maps,
    readme,
    records,
    report,
    sensitivity,
    tables,
    why,
)
from kerascifar.records import Record

if TYPE_CHECKING:
    import pandas as pd

EACH = 4  # validation images of a class in the gallery, the first ones in the official order
COLOURS = "cividis"  # told apart with any colour vision, and in grey
CURVES = {"loss": "loss (cross-entropy, nats)", "accuracy": "accuracy (%)"}


def write(
    own: Sequence[Record],
    published: Sequence[Record],
    figures: Sequence[Path],
    dataset: data.Dataset | None,
    out: Path,
) -> Path:
    """Writes the page about one's own runs, or else the published ones, into `out`, and returns its path.

    Args:
        published: stand beside one's own in the results.
        figures: PNG files; those in a folder `architecture` are of models.
        dataset: for the gallery of focus maps; without it the page says how to get one.
    """
    import jinja2
    import vl_convert

    shown = [*own] or [*published]
    curves = _curves([r for r in shown if r.experiment != choices.EXPERIMENT] or shown)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kerascifar", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    verdicts = claims.verdicts(claims.table(shown, claims.read()), between="\n")
    cleaned = cleaner.table(shown)
    measures = [
        ("Where the models look, measured", looking.table(shown), looking.NOTE),
        ("What stands behind the verdicts", why.table(shown), why.NOTE),
        ("On cleaner test images", cleaned, cleaner.remark(cleaned) if len(cleaned) else ""),
        *(entry[1:] for entry in readme.comparisons(shown)),
    ]
    page = environment.get_template("page.html").render(
        synthetic=any(r.is_synthetic for r in shown),
        verdicts=verdicts.to_dict("records"),
        counts={v: int((verdicts["verdict"] == v).sum()) for v in (claims.HOLDS, claims.NOT, claims.UNDECIDED)},
        rule=_markdown(claims.RULE),
        results=_results(own, published),
        chart=_script(curves),
        drawn=vl_convert.vegalite_to_svg(curves),
        vega=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed").replace("</script", "<\\/script"),
        pictures=[_picture(path) for path in figures if path.parent == out],
        diagrams=[_picture(path) for path in figures if path.parent.name == "architecture"],
        gallery=_script(found) if dataset is not None and (found := gallery(shown, dataset)) else None,
        measures=[(title, _html(table), _markdown(note)) for title, table, note in measures if len(table)],
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
    """A table, escaped; numbers with two decimals, nothing where there is no value."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:,.2f}"
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    return str(table.map(text).to_html(index=False, border=0, escape=True))


def _results(own: Sequence[Record], published: Sequence[Record]) -> list[tuple[str, str, list[str]]]:
    """Title, table and notes of every experiment."""
    found = []
    for experiment in dict.fromkeys(r.experiment for r in [*own] or [*published]):
        if experiment in (choices.EXPERIMENT, sensitivity.EXPERIMENT):  # these have tables of their own
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


def _picture(path: Path) -> tuple[str, str]:
    return path.stem, _data(path.read_bytes())


def _data(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


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
    axis = {"labelColor": "currentColor", "titleColor": "currentColor", "gridOpacity": 0.3, "tickColor": "currentColor"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": "Training and validation loss and accuracy by epoch, one line per seed",
        "data": {"values": table.getvalue(), "format": {"type": "csv"}},
        "params": params,
        "transform": [{"filter": "datum.row == row"}, {"filter": on}],
        "hconcat": [
            {
                "width": 380,
                "height": 260,
                "mark": {"type": "line", "point": {"size": 8}, "strokeWidth": 1.2},
                "params": [{"name": f"zoom_{name}", "select": "interval", "bind": "scales"}],
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


def gallery(shown: Sequence[Record], dataset: data.Dataset) -> dict[str, Any] | None:
    """For the explained rows and every method: the first validation images of each class, and their focus maps.

    Images are chosen by their place in the official order alone. None where no run has weights.
    """
    usable = [
        r for r in shown if (r.folder / records.MODEL).is_file() and r.dataset["train"] == dataset.fingerprint["train"]
    ]
    explained = [next((r for r in usable if (r.experiment, r.name) == key), None) for key in report.EXPLAINED]
    validation = np.sort(data.split(dataset.labels)[1])
    indices = np.concatenate([validation[dataset.labels[validation] == label][:EACH] for label in range(10)])
    labels = dataset.labels[indices]
    pictures = [_data(_png(image)) for image in dataset.images[indices]]
    entries: list[dict[str, Any]] = []
    for record in filter(None, explained):
        model = records.load_model(record)
        images = data.scale(dataset.images[indices])
        predicted = np.asarray(model.predict(images, verbose=0)).argmax(axis=1)
        for method in maps.METHODS:
            found = maps.focus_maps(model, images, labels, method=method)
            entries += [
                {
                    "row": record.name,
                    "method": maps.title(method),
                    "made": cam.way(model, None, method),
                    "class": dataset.class_names[label],
                    "source": cam.describe(dataset, int(index)),
                    "predicted": dataset.class_names[guess],
                    "right": bool(guess == label),
                    "picture": place,
                    "map": _data(_png(_coloured(shown_map))),
                }
                for place, (index, label, guess, shown_map) in enumerate(
                    zip(indices, labels, predicted, found, strict=True)
                )
            ]
    return {"pictures": pictures, "entries": entries} if entries else None


def _coloured(values: np.ndarray) -> np.ndarray:
    """A map, 0..1, in colours: uint8 (32, 32, 3); in 32 steps, so that the file is small."""
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURS](np.round(values * 31) / 31, bytes=True)[..., :3])


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", optimize=True)
    return file.getvalue()


def _environment(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """Where and with what the runs were made."""
    found: dict[str, list[str]] = {}
    for run in shown:
        made = run.environment
        values = {key: str(made.get(key) or "") for key in ("device", "processor", "python", "backend", "commit")}
        values["versions"] = ", ".join(f"{k} {v}" for k, v in (made.get("versions") or {}).items())
        values["precision"] = str(run.row.get("precision", "float32"))
        values["images"] = (
            f"{run.dataset['name']}, SHA-256 {run.dataset['train'][:16]}… and {run.dataset['test'][:16]}…"
        )
        for key, value in values.items():
            if value and value not in found.setdefault(key, []):
                found[key].append(value)
    return [(key, "; ".join(values)) for key, values in found.items() if values]


def _reproduce(shown: Sequence[Record]) -> list[tuple[str, str]]:
    """For every row the command that trains it, and the one that compares a new run with the published one."""
    rows = {r.name: r.experiment for r in shown if r.experiment in report.TITLES}
    seeds = {name: sorted(r.seed for r in shown if r.name == name) for name in rows}
    return [
        (
            name,
            f'make {experiment} ROWS={name} SEEDS="{" ".join(map(str, seeds[name]))}"\n'
            f"make verify ROW={name} SEED={seeds[name][0]}",
        )
        for name, experiment in rows.items()
    ]
