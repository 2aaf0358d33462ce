"""The pages about the library are built without a warning; docs/ names what is there."""

import os
import re
import shlex
import subprocess

import numpy as np
import pdoc
import pytest
from factories import ROOT

from kerascifar import __main__, api

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


def test_the_example_of_grad_cam_gives_its_map(capsys):
    """Fails if the code in docs/gradcam.md does not run, or prints something other than what stands below it."""
    text = (ROOT / "docs" / "gradcam.md").read_text(encoding="utf-8")
    (code,), (shown,) = (re.findall(rf"```{language}\n(.*?)```", text, re.S) for language in ("python", "text"))
    names = {}
    exec(compile(code, "docs/gradcam.md", "exec"), names)
    assert capsys.readouterr().out == shown
    by_hand = np.zeros((8, 8))
    by_hand[1:4, 1:4] = 2 / 64
    np.testing.assert_allclose(names["focus_map"], by_hand, atol=1e-7)


def commands(page):
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [*lines, *re.findall(r"^\| `([^`]+)`", page.read_text(encoding="utf-8"), re.M)]


@pytest.mark.parametrize(
    "line", [line for page in PAGES for line in commands(page) if line.startswith((".venv/bin/kerascifar ", "make "))]
)
def test_commands_can_be_pasted(line):
    """Fails if an option is misspelt, a target is gone, or a placeholder such as <this> remains."""
    assert not re.search(r"<|…|\.\.\.", line)
    program, *words = shlex.split(line)
    if program == "make":
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        made = subprocess.run(["make", "-n", *words], cwd=ROOT, env=clean, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    else:
        assert __main__._parser().parse_args(words).command == words[0]


def test_the_glossary_is_alphabetical_and_has_each_term_once():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    _, *terms = [term.lower() for term in re.findall(r"^\| ([^|]+) \| [^-]", text, re.M)]  # without the heading
    assert len(terms) > 40 and terms == sorted(set(terms))


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
