"""Makes one page from records, `index.html`: what came out, claims, curves, where the models look. It works offline.

The template is `page.html`, with `page.css` and `page.js`. Charts (`charts.py`) are drawn twice: here as SVG, for
readers without JavaScript, and in the browser, with tooltips and controls, as wide as the screen allows.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascifar.common import files
from kerascifar.common.paths import CHECKOUT
from kerascifar.common.terminal import listed
from kerascifar.findings import (
    agreement,
    analyses,
    claims,
    rule,
    sensitivity,
    statistics,
    verdicts,
)
from kerascifar.images import cifar10
from kerascifar.output import appendix, charts, gallery, report, result_tables, sections, tables
from kerascifar.runs import grouping, original
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

DOCS = CHECKOUT / "docs"
DOCUMENTS = {  # in the appendix, by the name in `docs/`
    "assumptions": "What the original leaves open, and our assumptions",
    "second-study": "The second study",
    "glossary": "Glossary",
}
FIRST_SHOWN = ("M1", "M5")  # curves: the original's comparison without and with augmentation
NUMBER = re.compile(r"[+−-]?\d[\d,.]*")


def write(own: Sequence[Record], published: Sequence[Record], dataset: cifar10.Dataset | None, out: Path) -> Path:
    """Writes the page about the runs that `report.shown` selects into `out`; returns its path.

    Args:
        own: the user's runs.
        published: shown beside the user's runs in the results. As in `findings`, they decide the claims, except for
            rows that the user has trained with all the seeds that decide.
        dataset: for the gallery of focus maps; without it, the page says how to get one.
    """
    pool, shown, drawn = report.pool(own, published), report.shown(own, published), sections.Charts()
    main = report.main_rows(shown)
    compared = {metric: agreement.rows(main, metric) for metric in sections.AXES}
    rows = compared[agreement.TEST_ACCURACY]
    known = rows[rows["agrees"] != agreement.UNKNOWN]
    declared = claims.read()
    deciding = declared.deciding((own, published))
    decisions, counted = rule.decide(deciding, declared), declared.counted(deciding)
    pools = {"your own": own, "the published": published}
    by = [name for name, runs in pools.items() if any(r in runs for r in counted)]
    found = analyses.Findings(pool)
    maps = gallery.gallery(shown, dataset) if dataset is not None else None
    curves = {name: charts.summarized(runs) for name, runs in grouping.by_name(shown).items()}
    documents = {
        name: path.read_text(encoding="utf-8").partition("\n")[2]
        for name in DOCUMENTS
        if (path := DOCS / f"{name}.md").is_file()
    }
    first_shown = [name for name in FIRST_SHOWN if name in curves] or list(curves)[:2]
    # Long but flat: one line for each thing that the template shows.
    page = _template().render(
        synthetic=any(r.is_synthetic for r in pool),
        by=by,
        counts=sections.counts(decisions),
        rows=rows.to_dict("records"),
        inside=(len(known[known["agrees"] == agreement.AGREES]), len(known), int(rows["original"].notna().sum())),
        runs=len(main),
        others=len(pool) - len(main),
        hours=sum(r.duration for r in pool) / 3600,
        agreement=sections.beside_original(compared, drawn),
        changes=sections.effects_of_changes(found.get("changes"), drawn),
        claims=sections.claims(decisions, drawn),
        rule=f"{rule.RULE}\n\n{declared.note}",
        curves=drawn.add("curves", "Training curves", charts.curves(curves, first_shown)),
        rows_of_curves=list(curves),
        first_shown=first_shown,
        lengths=sections.lengths(main),
        gallery=maps,
        faithful=sections.faithful(found, drawn),
        next=sections.what_next(found, drawn),
        models=sections.architectures(main),
        sensitivity=sections.sensitivity(found.get("sensitivity-compared"), drawn),
        results=[
            (report.entitled(experiment), result_tables.readable(table, whole=True), notes)
            for experiment, table, notes in report.results(own, published)
            if experiment != sensitivity.EXPERIMENT  # which has its own table
        ],
        verdict_lines=verdicts.table(decisions),
        analyses=found.all(),
        confusions=appendix.confusions(shown),
        documents=documents,
        terms=_terms(documents.get("glossary", "")),
        titles=DOCUMENTS,
        outdated=listed(original.outdated(published)),
        made=appendix.environment(shown),
        commands=appendix.commands(shown),
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
    # The page is alone, without other files. A link's text may continue on the next line.
    return re.sub(r'(?s)<a href="(?!https?:|#)[^"]*">(.*?)</a>', r"\1", drawn)


def _terms(glossary: str) -> dict[str, str]:
    """Each term's meaning as plain text."""
    lines = re.findall(r"^\| (.+?) \| (.+?)(?: \*Not:\*.*)? \|$", glossary, re.MULTILINE)
    return {term: re.sub(r"[*`]| \(\[.*?\)\)", "", meaning) for term, meaning in lines}


def _cells(table: "pd.DataFrame") -> list[list[tuple[str, bool]]]:
    """A table's cells as text, and whether each is a number."""
    return [[(cell, bool(NUMBER.match(cell))) for cell in line] for line in table.map(tables.cell).to_numpy()]
