"""The pages about the library are built without a warning; docs/ names only what exists."""

import inspect
import os
import re
import shlex
import subprocess

import numpy as np
import pdoc
import pytest
from factories import ROOT

from kerascifar import __main__, api
from kerascifar.common.terminal import listed
from kerascifar.findings import agreement, choices, faithfulness, metrics, verdicts
from kerascifar.output import result_tables
from kerascifar.runs import grouping, model_facts, original, records
from kerascifar.training import models

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_api_pages_are_built_without_warnings(tmp_path):
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("kerascifar.api", "kerascifar.training.models", output_directory=tmp_path)
    page = (tmp_path / "kerascifar" / "api.html").read_text(encoding="utf-8")
    for name in api.__all__:
        assert f'id="{name}"' in page, name
    for function in (api.build, api.evaluate, api.focus_maps, api.load, api.train):
        text = inspect.getdoc(function)
        assert "Returns:" in text and "Raises:" in text, function
        assert [name for name in inspect.signature(function).parameters if f"\n    {name}: " not in text] == [], (
            function
        )


def test_the_architecture_names_every_module():
    """Fails if a module is added, moved or removed, and the lists in docs/architecture.md stay as they were."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    lists = dict(re.findall(r"^\*\*`(\w+)/`\*\*(.*?)^(?=\*\*`|`__main__`)", text, re.M | re.S))
    for folder, files in lists.items():
        modules = {path.stem for path in (ROOT / "kerascifar" / folder).glob("*.py")} - {"__init__"}
        if folder == "commands":  # named after the commands
            modules &= {"options", "training"}
        assert set(re.findall(r"`(\w+)`", files)) == modules, f"{folder}/ in docs/architecture.md"
    folders = {path.parent.name for path in (ROOT / "kerascifar").glob("*/__init__.py")}
    assert lists.keys() == folders


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


@pytest.fixture(scope="module")
def published():
    """The published runs by row."""
    runs = grouping.current(records.list_records(records.PUBLISHED))
    return {name: of_row for (_, name), of_row in grouping.by_row(runs).items()}


@pytest.fixture(scope="module")
def judged(published):
    """The decisions on the original's claims."""
    decisions = verdicts.of_original([run for runs in published.values() for run in runs])
    return {decision.claim.name: decision for decision in decisions}


def prose(name):
    return " ".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8").split())


def test_the_answers_in_the_assignment_match_the_records(published, judged):
    """Fails if new runs, another row or another claim make a typed figure wrong."""
    text, lines = prose("assignment"), original.rows()
    accuracy = {
        name: 100 * np.mean([run.results["test"]["accuracy"] for run in published[name]]) for name in ("M2", "M4")
    }
    assert f"M4 ends about {accuracy['M2'] - accuracy['M4']:.0f} points below M2" in text
    share = float(lines["M1"]["test_acc"]) / 100
    assert f"one accuracy is {100 * (share * (1 - share) / 10_000) ** 0.5:.2f} points" in text
    lead = float(lines["M2"]["test_acc"]) - float(lines["M1"]["test_acc"])
    assert f"M2's lead of {lead:.2f} points" in text
    pairs = metrics.difference(published["M2"], published["M1"], "test_accuracy")
    ours = f"{pairs.estimate.mean:.1f} ± {pairs.estimate.half:.1f}".replace("-", "−")
    assert len(pairs.seeds) == 8 and f"In our eight pairs, M2 minus M1 is {ours} points" in text
    small, large = (
        models.build(row.model, **row.model_options) for row in (published[n][0].row for n in ("M6", "Model4"))
    )
    parameters, cost = (
        count(large) / count(small) for count in (lambda m: model_facts.parameters(m)[0], model_facts.multiply_adds)
    )
    assert (
        f"Model4 has {parameters:.2f} times the parameters of M6, but needs {cost:.0f} times the multiplications"
        in text
    )
    table = faithfulness.against_centred(published["M6"])
    _, worse = faithfulness.compared_with_spot(table[table["map"] == "Grad-CAM"].iloc[0])
    assert len(worse) == 4 and "worse than the centred spot by all four main measures" in text
    assert judged["C14b"].verdict == "undecided"
    assert len(published["M4"]) == 8 and "undecided even with eight seeds (claim C14b)" in text


def test_the_verdicts_in_the_documents_match_the_records(judged):
    p = {name: judged[name].p[0] for name in ("C3", "C14b")}
    assert f"such as C3 (p = {p['C3']:.4f}) and C14b (p = {p['C14b']:.4f})" in prose("statistics")
    assert (judged["C3"].verdict, judged["C14b"].verdict) == ("supported", "undecided")
    for sentence in ("C3 was expected to be confirmed, but is only supported", "C14b stayed undecided"):
        assert sentence in prose("second-study")


def test_the_original_is_transcribed_once():
    """Fails if any digit of docs/original.md differs from experiments/reported.csv."""
    lines = re.findall(r"^\| (\w[\w ]*) \| (.*) \|$", (ROOT / "docs" / "original.md").read_text(encoding="utf-8"), re.M)
    for title, key in result_tables.FIGURES.items():
        cells = [cell for name, cells in lines if name == title for cell in cells.split(" | ")]
        assert cells == [line[key] for line in original.rows().values()], title


def test_the_figures_in_the_second_study_match_the_records(published):
    """Sections 1 and 4. Fails if a typed figure differs from the records or the original."""
    text = prose("second-study")

    def figures(row):
        return choices.figures(published[row][0].history, "val_loss", "kept")

    rows = {"M1": "M1_V7_signed", "M4": "M4_V7_signed", "M6": "M6_V7_signed_zero15", "M8": "M8_V7_signed"}
    here = listed([f"{np.exp(figures(row)[0]):.0f}" for row in rows.values()])
    there = listed([original.rows()[row]["epochs"] for row in rows])
    assert f"it trains for {here} epochs, and the original for {there}" in text
    training = {row: f"{figures(row)[2]:.0f} %" for row in ("M4_V5", "M4_W3", "M4_V7_signed")}
    reached = f"candidates V5 and W3 reach training accuracies of {training['M4_V5']} and {training['M4_W3']}"
    assert f"{reached}; with pixels in −1..1, V7 reaches {training['M4_V7_signed']}" in text
    validation = {row: f"{figures(row)[4]:.0f} %" for row in ("M4_V5", "M4_V5_keras")}
    too_low = (
        f"too low with PyTorch's initialisation ({validation['M4_V5']}) and with Keras's ({validation['M4_V5_keras']}"
    )
    assert f"{too_low}; original {original.rows()['M4']['valid_acc'][:2]} %)" in text
    everything = [run for runs in published.values() for run in runs]
    readings = choices.readings(everything).set_index("reading")["together"]
    loss = readings["kept epoch, watching val_loss"]
    accuracy = sum(readings[f"{epoch} epoch, watching val_accuracy"] for epoch in ("kept", "last"))
    assert f"(probability {loss:.2f}; {accuracy:.2f} that it watched the validation accuracy)" in text
    weight = choices.table(everything).query("`open choice` == 'augmentation'").set_index("candidate")
    weight = weight[[column for column in weight if column.startswith("weight")]]
    times = {
        name: sorted(weight.loc["V5_zero15"] / weight.loc[f"V5_{name}"]) for name in ("zero30", "zero45", "edge15")
    }
    least, most = times["zero30"][0], times["zero30"][-1]
    assert f"15 degrees are {least:.0f} to {most:.0f} times as probable as 30" in text
    assert f"and at least {times['zero45'][0]:.0f} times as probable as 45" in text
    assert f"zero fill is at least {times['edge15'][0]:.0f} times as probable as Keras's" in text
    table = agreement.table([run for run in everything if run.experiment == "experiment1"])
    agrees = table.groupby("metric")["agrees"].apply(lambda words: (words == agreement.AGREES).sum())
    assert agrees[agreement.TEST_ACCURACY] == 8 and "in the prediction interval of all eight rows" in text
    assert agrees.sum() == 24 - 5 and "Of the other 16 figures, five lie outside" in text


def commands(page):
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line.partition(" #")[0].strip() for b in blocks for line in b.replace("\\\n", " ").splitlines()]
    return [*lines, *re.findall(r"^\| `([^`]+)`", page.read_text(encoding="utf-8"), re.M)]


PROGRAMS = (".venv/bin/kerascifar ", "kerascifar ", "python -m kerascifar ", "make ")


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page) if line.startswith(PROGRAMS)])
def test_commands_can_be_pasted(line):
    """Fails if an option is misspelt, a target is gone, or a placeholder such as <this> remains."""
    assert not re.search(r"<|…|\.\.\.", line)
    program, *words = shlex.split(line.replace("python -m kerascifar", "kerascifar"))
    if program == "make":
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        made = subprocess.run(["make", "-n", *words], cwd=ROOT, env=clean, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    elif "--help" not in words:
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
