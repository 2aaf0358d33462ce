"""The page's charts, declared with Altair. Each is one table of inline data, drawn as wide as the space that it gets.

Colours can be read on a light and on a dark background; text takes the colour of the page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from kerascifar.findings import statistics
from kerascifar.findings.faithfulness import FAITHFUL
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

Chart = alt.LayerChart | alt.FacetChart  # as Altair declares its methods
HERE, ORIGINAL, BAND = "#3b82c4", "#e06c1f", "#8a9099"
# Okabe and Ito's palette, its yellow and black replaced by ones that are legible on both backgrounds.
SERIES = ("#3b82c4", "#e06c1f", "#0f9d76", "#c2689e", "#b8860b", "#7a6fd0", "#8a9099", "#4fb0d8")
FACES = {"labelColor": "currentColor", "titleColor": "currentColor"}
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "mark": {"aria": False},  # the page says what a chart shows, and has its numbers as a table
    "axis": FACES
    | {
        "gridColor": BAND,
        "gridOpacity": 0.22,
        "domain": False,
        "ticks": False,
        "labelFontSize": 12,
        "labelPadding": 6,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 280,
        "labelFlush": False,
        "tickCount": 7,
        "titleAnchor": "end",
    },
    "legend": FACES | {"labelFontSize": 12, "symbolStrokeWidth": 2, "symbolOpacity": 1, "orient": "top", "title": None},
}
# A label is "row<tab>details<tab>more", or less. On a phone, it takes two lines: "row, more" and "details".
NARROW = "containerSize()[0] < 500"
PARTS = "split(datum.label, '\t')"
TWO_LINES = f"[{PARTS}[0] + (length({PARTS}) > 2 ? ', ' + {PARTS}[2] : ''), {PARTS}[1]]"
LABEL = f"{NARROW} ? {TWO_LINES} : replace(replace(datum.label, '\t', '\u2003'), '\t', ', ')"
SPLITS = ("training", "validation")
CURVES = {"loss": "loss (nats)", "accuracy": "accuracy (%)"}
NO_UNIT = ("road",)


def specification(chart: Chart) -> dict[str, Any]:
    """The chart in Vega-Lite, as wide as its container."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    with alt.data_transformers.enable("default", consolidate_datasets=False, max_rows=None):
        drawn: dict[str, Any] = chart.properties(width="container", autosize=fit).configure(**CONFIG).to_dict()
    return drawn


def svg(specification: dict[str, Any], width: int) -> str:
    """The chart as SVG, `width` pixels wide inside its axes."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg({**specification, "width": width}))


def agreement(table: "pd.DataFrame", title: str) -> Chart:
    """A metric by row: each seed, their mean, the interval of one more run, and the original's figure."""
    values = table[["experiment", "row", "settings", "original", "here", "low", "high", "n", "seeds"]]
    settings = values["settings"].str.replace(r", (augmented|\d Dropout)$", "\t\\1", regex=True)
    base = alt.Chart(_inline(values.assign(label=values["row"] + "\t" + settings))).encode(_labels(152, 285))
    tooltip = _tooltip("row:N settings:N original:Q here:Q low:Q high:Q n:Q")
    low = alt.X("low:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(format="d"))
    return alt.layer(
        _range(base).encode(low, x2="high"),
        base.transform_flatten(["seeds"]).mark_tick(color=HERE, opacity=0.75, height=9).encode(alt.X("seeds:Q")),
        base.mark_circle(color=HERE, size=80, opacity=1).encode(alt.X("here:Q"), tooltip=tooltip),
        _diamond(base, "original:Q").encode(tooltip=tooltip),
    ).properties(**_high(table))


def forest(lines: "pd.DataFrame", limits: tuple[float, float]) -> Chart:
    """Comparisons in one unit: difference, interval, the original's difference, and the margin shaded."""
    values = lines[["label", "difference", "low", "high", "reported", "margin", "n"]].assign(below=-lines["margin"])
    width = _pixels(145, 185)  # the same for all, so that the charts stand in one column
    same_place = alt.Axis(minExtent=width, maxExtent=width, labelLimit=width)
    y = alt.Y("label:N", sort=None, title=None, axis=same_place, scale=alt.Scale(padding=0))
    base = alt.Chart(_inline(values)).encode(y)
    scale = alt.Scale(domain=list(limits), nice=False)
    x = alt.X("difference:Q", title=lines["title"].iloc[0], scale=scale, axis=alt.Axis(tickCount=5))
    tooltip = _tooltip("label:N difference:Q low:Q high:Q reported:Q margin:Q n:Q")
    return alt.layer(
        base.mark_bar(color=BAND, opacity=0.28, height={"band": 1}).encode(alt.X("below:Q"), x2="margin"),
        _zero(base),
        base.mark_rule(color=HERE, strokeWidth=2).encode(alt.X("low:Q"), x2="high"),
        base.mark_circle(color=HERE, size=70, opacity=1).encode(x, tooltip=tooltip),
        _diamond(base, "reported:Q").encode(tooltip=tooltip),
    ).properties(height=24 * len(lines))


def summarized(runs: Sequence[Record]) -> dict[str, Any]:
    """One row's curves over its seeds: median, lowest and highest while half of the runs were training; epochs kept."""
    curves: dict[str, Any] = {"kept": sorted(r.epoch_kept for r in runs)}
    for split, prefix in zip(SPLITS, ("", "val_"), strict=True):
        for metric, factor in zip(CURVES, (1, 100), strict=True):
            _, summary = statistics.over_seeds([run.history[prefix + metric] for run in runs])
            curves[f"{split} {metric}"] = _plain((factor * summary).tolist())
    return curves


def curves(rows: dict[str, dict[str, Any]], shown: Sequence[str]) -> Chart:
    """Medians and bands of the loss of the rows `shown`. The browser puts other rows into the same chart."""
    values = [
        {"row": row, "split": split, "epoch": epoch, "median": middle, "low": low, "high": high}
        | {"kept": split == "validation" and epoch in rows[row]["kept"]}
        for row in shown
        for split in SPLITS
        for epoch, (middle, low, high) in enumerate(zip(*rows[row][f"{split} loss"], strict=True), 1)
    ]
    known = [v for v in values if v["low"] is not None]
    settled = [v for v in known if v["epoch"] > statistics.SETTLING] or known
    low, high = min((v["low"] for v in settled), default=0), max((v["high"] for v in settled), default=1)
    of = ["row", "split", "epoch"]
    nearest = alt.selection_point(name="nearest", nearest=True, fields=of, on="pointerover", clear="pointerout")
    base = alt.Chart(alt.InlineData(values=values)).encode(
        alt.X("epoch:Q", title="epoch", scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=10)),
        alt.Color("row:N", sort=None, title=None, scale=alt.Scale(range=list(SERIES)), legend=alt.Legend()),
    )
    dashes = alt.Scale(domain=list(SPLITS), range=[[1, 0], [5, 3]])
    dash = alt.StrokeDash("split:N", title=None, scale=dashes, legend=alt.Legend())
    scale = alt.Scale(domain=[low, high], zero=False)
    y = alt.Y("median:Q", title=CURVES["loss"], scale=scale)
    return alt.layer(
        base.mark_area(opacity=0.16, clip=True).encode(
            alt.Y("low:Q", title=CURVES["loss"], scale=scale), y2="high", detail="split:N"
        ),
        base.mark_line(strokeWidth=1.8, clip=True).encode(y, dash),
        base.mark_point(filled=True, size=60, opacity=1, clip=True).encode(y).transform_filter("datum.kept"),
        base.mark_point(size=90, strokeWidth=2, clip=True, tooltip=alt.TooltipContent("data"))
        .encode(y, opacity=alt.condition(nearest, alt.value(1), alt.value(0), empty=False))
        .add_params(nearest),
    ).properties(height=340)


def faithful(table: "pd.DataFrame", measure: str) -> Chart:
    """How much more faithful each kind of map is than the centred spot, by one measure."""
    better = FAITHFUL[measure].better * table[measure]
    values = table[["row", "map", "n"]].assign(better=better, half=table[f"{measure} ±"])
    values = values.assign(low=values["better"] - values["half"], high=values["better"] + values["half"])
    base = alt.Chart(_inline(values)).encode(
        alt.Y("map:N", sort=None, title=None),
        alt.YOffset("row:N", sort=None),
        tooltip=_tooltip("row:N map:N better:Q low:Q high:Q n:Q"),
    )
    title = f"{measure}: more faithful →" + ("" if measure in NO_UNIT else " (points)")
    color = alt.Color("row:N", sort=None, title=None, scale=alt.Scale(range=list(SERIES)), legend=alt.Legend())
    return alt.layer(
        base.mark_bar(opacity=0.85).encode(alt.X("better:Q", title=title, axis=alt.Axis(tickCount=5)), color),
        base.mark_rule(color="currentColor", strokeWidth=1.2).encode(alt.X("low:Q"), x2="high"),
    ).properties(height=14 * len(table))


def rank_correlations(table: "pd.DataFrame") -> Chart:
    """How alike two measures rank the kinds of map: a grid of rank correlations, blue for alike, red for opposite."""
    values = table.melt("measure", var_name="other", value_name="correlation")
    base = alt.Chart(_inline(values)).encode(
        alt.X("other:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45)),
        alt.Y("measure:N", sort=None, title=None),
        tooltip=[*_tooltip("measure:N other:N"), alt.Tooltip("correlation:Q", format=".2f")],
    )
    color = alt.Color("correlation:Q", scale=alt.Scale(scheme="redblue", domain=[-1, 1]), title="rank correlation")
    strong = alt.condition("abs(datum.correlation) > 0.6", alt.value("white"), alt.value("black"))
    return alt.layer(
        base.mark_rect().encode(color),
        base.mark_text(fontSize=10).encode(alt.Text("correlation:Q", format=".1f"), color=strong),
    ).properties(height=26 * len(table))


def effects(table: "pd.DataFrame", label: "pd.Series", title: str) -> Chart:
    """The difference that each change makes, with its 95 % interval.

    Args:
        table: n, difference, low, high, and perhaps the original's difference, "original", and the half-width of a
            prediction interval, "one more pair".
        label: of each line, as in `PARTS`.
        title: of the axis of differences.
    """
    values = table.reindex(columns=["n", "difference", "low", "high", "original"]).assign(label=label)
    half = table.get("one more pair", np.nan)
    values = values.assign(lowest=values["difference"] - half, highest=values["difference"] + half)
    tooltip = _tooltip("label:N difference:Q low:Q high:Q original:Q n:Q")
    base = alt.Chart(_inline(values)).encode(_labels(150, 370), tooltip=tooltip)
    return alt.layer(
        _zero(base),
        _range(base).encode(alt.X("lowest:Q"), x2="highest"),
        base.mark_rule(color=HERE, strokeWidth=2).encode(alt.X("low:Q"), x2="high"),
        base.mark_circle(color=HERE, size=80, opacity=1).encode(alt.X("difference:Q", title=title)),
        _diamond(base, "original:Q"),
    ).properties(**_high(table))


def cost(table: "pd.DataFrame", column: str, title: str) -> Chart:
    """Test accuracy against what it costs, a column of `cost.table`: one dot per row, with its standard deviation."""
    values = table[["row", column, "Test_acc", "n"]].assign(
        low=table["Test_acc"] - table["Test_acc ±"], high=table["Test_acc"] + table["Test_acc ±"]
    )
    tooltip = _tooltip(f"row:N {column}:Q Test_acc:Q low:Q high:Q n:Q")
    logarithmic = alt.Scale(type="log", nice=False, padding=40)
    base = alt.Chart(_inline(values)).encode(alt.X(f"{column}:Q", title=title, scale=logarithmic), tooltip=tooltip)
    scale = alt.Scale(zero=False, padding=20)
    y = alt.Y("Test_acc:Q", title="test accuracy (%)", scale=scale)
    return alt.layer(
        base.mark_rule(color=HERE, strokeWidth=2).encode(alt.Y("low:Q", scale=scale), y2="high"),
        base.mark_circle(color=HERE, size=80, opacity=1).encode(y),
        base.mark_text(dy=-12, color="currentColor", fontSize=12).encode(y, text="row:N"),
    ).properties(height=260)


def _zero(base: alt.Chart) -> alt.Chart:
    """A line at no difference, from top to bottom."""
    return base.mark_rule(color=BAND).encode(x=alt.datum(0), y=alt.value(0), y2=alt.value("height"))


def _range(base: alt.Chart) -> alt.Chart:
    """A prediction interval."""
    return base.mark_bar(height=9, opacity=0.35, color=HERE, cornerRadius=4)


def _diamond(base: alt.Chart, field: str) -> alt.Chart:
    """The original's figure."""
    return base.mark_point(color=ORIGINAL, shape="diamond", size=70, strokeWidth=2, opacity=1).encode(alt.X(field))


def _tooltip(fields: str) -> list[alt.Tooltip]:
    """Ready-made, as Altair takes longer to turn words into tooltips than to draw the chart."""
    return [alt.Tooltip(field) for field in fields.split()]


def _high(table: "pd.DataFrame") -> dict[str, Any]:
    """The height of a chart with `_labels`; `page.js` takes the second one on a phone, where labels have two lines."""
    return {"height": 22 * len(table), "usermeta": {"narrow": 31 * len(table)}}


def _labels(narrow: int, wide: int) -> alt.Y:
    """The axis of rows, with labels that start in one column of the given width in pixels."""
    width = _pixels(narrow, wide)
    axis = alt.Axis(
        grid=True,
        labelExpr=LABEL,
        labelAlign="left",
        labelPadding=width,
        labelLimit=width,
        labelLineHeight=12,
        labelFontSize=_pixels(11, 12),
        labelOffset=_pixels(-6, 0),
    )
    return alt.Y("label:N", sort=None, title=None, axis=axis)


def _pixels(narrow: int, wide: int) -> alt.ExprRef:
    return alt.ExprRef(expr=f"{NARROW} ? {narrow} : {wide}")


def _inline(values: "pd.DataFrame") -> alt.InlineData:
    """Rounded to four significant digits; NaN becomes null."""
    records = values.to_dict("records")
    return alt.InlineData(values=[{key: _plain(value) for key, value in line.items()} for line in records])


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.4g}")
    return value
