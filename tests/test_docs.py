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


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md"])
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert links or page == "docs/glossary.md"
    for link in links:
        assert (ROOT / page).parent.joinpath(link).is_file(), link
