"""Published records → the results in README, between two marks, and the tables and pictures in `docs/results/`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerascifar import choices, files, records, report, sensitivity, tables

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "docs" / "results"
START, END = "<!-- results -->\n", "<!-- /results -->"
SHOWN = ("validation.png", "augmentation.png", "classes.png", "confusion-*.png", "focus-*.png")


def results(published: Sequence[records.Record], pictures: Path = RESULTS) -> str:
    """What README says of the published runs, as Markdown; empty while there are none."""
    parts: list[str] = []
    for experiment, title in report.TITLES.items():
        if runs := [r for r in published if r.experiment == experiment]:
            parts += [f"### {title}", tables.as_markdown(tables.results([], runs)), *tables.notes([], runs)]
    for _, title, table, note in comparisons(published):
        parts += [f"### {title}", table.to_markdown(index=False), note]
    drawn = [path for name in SHOWN for path in sorted(pictures.glob(name))]
    parts += [f"![{path.stem}](docs/results/{path.name})" for path in drawn]
    return "\n\n".join(parts) + "\n" if parts else ""


def comparisons(published: Sequence[records.Record]) -> "list[tuple[str, str, pd.DataFrame, str]]":
    """File name, title, table and note of what stands beside the two experiments, where there is something to show."""
    found = [
        ("choices-compared", "What the rule decided", choices.table(published), choices.NOTE),
        ("sensitivity-compared", "Sensitivity", sensitivity.table(published), sensitivity.NOTE),
    ]
    return [entry for entry in found if len(entry[2])]


def write_results(
    published: Sequence[records.Record], draw_focus: Callable[[str, Path], None], say: Callable[[str], None] = print
) -> list[Path]:
    """Makes the tables and pictures of the published records; returns what was written.

    Args:
        published: as `records.current` gives them.
        draw_focus: draws the ten classes' focus maps of a row into a file.
        say: called with what a user should know.
    """
    written = report.write([], published, RESULTS, say)
    for name, title, table, note in comparisons(published):
        tables.save_plain(table, RESULTS / name, title, [note])
        written += [RESULTS / f"{name}.csv", RESULTS / f"{name}.md"]
    for _, row in report.EXPLAINED:
        if any(r.name == row and (r.folder / records.MODEL).is_file() for r in published):
            draw_focus(row, RESULTS / f"focus-{row}.png")
            written.append(RESULTS / f"focus-{row}.png")
    return written


def update(published: Sequence[records.Record]) -> Path:
    """Writes the results into README; another README than a checkout's is left as it is."""
    before, start, rest = README.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if start and end:
        files.write_text(README, before + START + results(published) + END + after)
    return README
