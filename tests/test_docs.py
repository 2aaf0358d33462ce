"""The pages about the library are built without a warning; docs/ names what is there."""

import re

import pdoc
import pytest
from factories import ROOT

from kerascifar import api


# Docstrings of Keras and NumPy are not ours to mend.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_the_api_pages_are_built_without_warnings(tmp_path):
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("kerascifar.api", "kerascifar.training.models", output_directory=tmp_path)
    page = (tmp_path / "kerascifar" / "api.html").read_text(encoding="utf-8")
    for name in api.__all__:
        assert f'id="{name}"' in page, name
    assert "One record per seed" in page


def test_the_architecture_names_every_module():
    """Fails if a module is added, moved or removed, and the table in docs/architecture.md stays as it was."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for folder, files in re.findall(r"^\| `(\w+)/` \| (.*) \|$", text, re.M):
        modules = {path.stem for path in (ROOT / "kerascifar" / folder).glob("*.py")} - {"__init__"}
        if folder == "commands":  # named after the commands
            modules &= {"options", "training"}
        assert set(re.findall(r"`(\w+)`", files)) == modules, folder
    folders = {path.parent.name for path in (ROOT / "kerascifar").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/`", text, re.M)) == folders


def test_the_glossary_is_alphabetical_and_has_each_term_once():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    _, *terms = [term.lower() for term in re.findall(r"^\| ([^|]+) \| [^-]", text, re.M)]  # without the heading
    assert len(terms) > 40 and terms == sorted(set(terms))


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert page.parent.joinpath(link).exists(), link


def test_every_page_is_reached_from_readme():
    """Fails if a page in docs/ has no link that leads to it."""
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        links = re.findall(r"\]\((?!https?:)([^)#]+\.md)", page.read_text(encoding="utf-8"))
        new |= {(page.parent / link).resolve() for link in links} - reached
    assert set((ROOT / "docs").glob("*.md")) <= reached
