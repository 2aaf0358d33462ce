"""Any table as text for a terminal, as Markdown and as CSV."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascifar.common import files

if TYPE_CHECKING:
    import pandas as pd
    import rich.table

SHORT = 20  # characters: a text up to this length stays on one line in a terminal


def as_rich(table: "pd.DataFrame", title: str = "", bold: str | None = None) -> "rich.table.Table":
    """A table of texts and numbers for a terminal.

    The first column and short texts are not wrapped, and `terminal.print_table` does not cut them. Long texts wrap.
    Lines with a cell `bold` are bold.
    """
    import rich.box
    import rich.table
    from rich.text import Text

    title_text = Text(title) if title else None
    drawn = rich.table.Table(title=title_text, box=rich.box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    texts = table.map(cell)
    for place, column in enumerate(texts.columns):
        numbers = all(re.fullmatch(r"([+-]?[\d,.]+.*)?", text) for text in texts[column])
        longest = max([len(column), *map(len, texts[column])])
        short = place == 0 or longest <= SHORT
        drawn.add_column(
            column,
            justify="right" if numbers else "left",
            no_wrap=short or numbers,
            min_width=longest if short else None,
        )
    for line in texts.itertuples(index=False):
        drawn.add_row(*map(Text, line), style="bold" if bold in line else None)
    return drawn


def number(value: float) -> str:
    """Two decimals, or two digits below 0.1; nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:,.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:#.2g}"


def cell(value: Any) -> str:
    """A cell's text: numbers as `number` writes them, whole ones with commas, and nothing for missing values."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def plain_markdown(table: "pd.DataFrame") -> str:
    """A table as Markdown; see `cell`. The uncertainty in a column "x ±" stands beside the value in "x"."""
    text = table.map(cell)
    for name in [name for name in text if f"{name} ±" in text]:
        half = text.pop(f"{name} ±")
        text[name] = text[name].where(half == "", text[name] + " ± " + half)
    return str(text.to_markdown(index=False, disable_numparse=True))


def save(
    table: "pd.DataFrame", path: Path, title: str, remarks: Sequence[str], *, shown: "pd.DataFrame | None" = None
) -> Path:
    """Writes `path`.csv and, with the remarks, `path`.md, whose path it returns: of the same table, or of `shown`."""
    text = plain_markdown(table if shown is None else shown)
    # Processors differ in the last of sixteen digits of a sum. A table must not change with the machine that writes it.
    csv = table.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    files.write_text(path.with_suffix(".csv"), csv)
    page = path.with_suffix(".md")
    files.write_text(page, "\n\n".join([f"# {title}", *remarks, text]) + "\n")
    return page
