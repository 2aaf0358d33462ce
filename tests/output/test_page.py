"""The page in a browser: its numbers are the records', its choices work, it fetches nothing, and it is accessible."""

import re
import shutil
from html.parser import HTMLParser

import factories
import numpy as np
import pytest

from kerascifar.__main__ import main
from kerascifar.findings import claims
from kerascifar.images import cifar10
from kerascifar.output import page, tables
from kerascifar.runs import records
from kerascifar.training import models

# Keras 3.15 asks its variables for arrays in the way of NumPy 1 when it saves a model.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def dataset(shapes):
    return cifar10.load(shapes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, dataset):
    """M6 with seeds 0 and 1, and Model4, untrained, on the drawn shapes; each with a history of its own."""
    folder = tmp_path_factory.mktemp("runs")
    where = {"name": "CIFAR-10", "class_names": list(dataset.class_names), **dataset.fingerprint}
    found = []
    for experiment, name, model, seed in [
        ("experiment1", "M6", "model1", 0),
        ("experiment1", "M6", "model1", 1),
        ("experiment2", "Model4", "model4", 0),
    ]:
        row = {"name": name, "model": model, "augment": True}
        results = {s: {"loss": 1.0, "accuracy": 0.61 + seed / 100} for s in ("train", "validation", "test")}
        found.append(
            factories.run(
                folder / f"{name}-{seed}",
                row=row,
                seed=seed,
                experiment=experiment,
                dataset=where,
                results=results,
                per_class=dict.fromkeys(("validation", "test"), dict.fromkeys(dataset.class_names, 0.7)),
            )
        )
    return found


@pytest.fixture(scope="module")
def written_with(runs, dataset, tmp_path_factory):
    """The page's file, and the gallery that was made for it."""
    made, gallery = [], page.gallery
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "gallery", lambda *words: made.append(gallery(*words)) or made[0])
        return page.write(runs, [], [], dataset, tmp_path_factory.mktemp("page")), made[0]


@pytest.fixture(scope="module")
def written(written_with):
    return written_with[0]


class Cells(HTMLParser):
    """The text of every cell of a page's tables."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, text):
        if self.inside:
            self.cells[-1] += text


def test_what_stands_in_the_page_is_what_the_records_give(written, runs):
    """Fails if a table is of other runs, rounded differently, or if a verdict is typed."""
    cells = Cells(written.read_text(encoding="utf-8")).cells
    table = tables.readable(tables.results(runs[:2], []), whole=True)
    assert "61.50 ± 0.71" in cells and set(table.to_numpy().ravel()) <= {*cells, ""}
    judged = claims.table(runs, claims.read())
    assert set(judged["comparison"]) <= set(cells)
    verdicts = claims.verdicts(judged, between="\n")
    for column in ("claim", "words", "evidence"):
        assert set(verdicts[column]) <= set(cells)
    assert sum("undecided" in cell for cell in cells) >= len(verdicts)


def test_the_page_says_where_undecided_claims_point(tmp_path):
    """M7 has the same answers as M6, with both seeds: that M6 is higher has all against it."""
    answers = dict.fromkeys(("test_label", "test_predicted"), np.zeros(10_000, "uint8"))
    runs = [
        factories.run(tmp_path / f"{name}-{seed}", row={"name": name}, seed=seed, predictions=answers)
        for name in ("M6", "M7")
        for seed in (0, 1, 2)
    ]
    text = page.write(runs, [], [], None, tmp_path).read_text(encoding="utf-8")
    assert "(0 supported so far, 1 contradicted so far)" in text
    assert [cell for cell in Cells(text).cells if "d so far" in cell] == ["? undecidedcontradicted so far"]


def test_a_page_is_one_file_of_at_most_5_mb_that_names_no_other(written):
    text = written.read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    text = re.sub(r"(?s)(<script>).*?</script>", r"\1</script>", text)  # what scripts fetch, the browser's tests see
    assert not re.findall(
        r"""<(?:link|iframe|object|embed)\b|<script[^>]+src|@import|url\((?!['"]?(?:data:|#))""", text
    )
    assert set(re.findall(r'<img[^>]+src="([a-z]+:)', text)) <= {"data:"}


def test_without_images_the_page_says_how_to_get_the_gallery(runs, tmp_path):
    text = page.write(runs, [], [], None, tmp_path).read_text(encoding="utf-8")
    assert "make report DATA=DIR" in text and 'id="gallery"' not in text


def test_the_gallery_takes_the_first_validation_images_and_the_maps_of_every_method(written_with, dataset):
    made = written_with[1]
    validation = np.sort(cifar10.split(dataset.labels)[1])
    birds = [e for e in made["entries"] if e["class"] == dataset.class_names[2] and e["row"] == "M6"]
    expected = validation[dataset.labels[validation] == 2][: page.EACH]
    shown = [e["source"].split()[2] for e in birds if e["method"] == "Saliency"]
    assert shown[: page.EACH] == [str(i) for i in expected] and len(shown) <= page.EACH + 1
    assert {e["method"] for e in birds} == {
        "Grad-CAM",
        "Grad-CAM++",
        "Layer-CAM",
        "Score-CAM",
        "Saliency",
        "SmoothGrad",
    }
    assert page.gallery([factories.record()], dataset) is None  # no weights


def test_the_gallery_also_has_the_first_image_of_a_class_that_is_predicted_wrong(dataset):
    """Fails if "predicted wrong" has nothing to show where the first images of a class are all right."""

    class Guesses:
        """Right, but for class 3 from its sixth image on and class 4 from its second."""

        def predict(self, images, verbose):
            label = labels.pop(0)
            right = {3: 5, 4: 1}.get(label, len(images))
            return np.eye(10)[[label if place < right else 9 for place in range(len(images))]]

    labels, validation = list(range(10)), np.sort(cifar10.split(dataset.labels)[1])
    indices, predicted = page._chosen(Guesses(), validation, dataset)
    counts = np.bincount(dataset.labels[indices])
    assert counts[3] == page.EACH + 1 and (np.delete(counts, 3) == page.EACH).all()
    wrong = indices[predicted != dataset.labels[indices]]
    of_three, of_four = (validation[dataset.labels[validation] == label] for label in (3, 4))
    assert wrong.tolist() == [of_three[5], *of_four[1 : page.EACH]]


def test_a_model_that_is_damaged_or_diverged_is_left_out_of_the_gallery(runs, dataset, tmp_path, capsys):
    shutil.copytree(runs[0].folder, tmp_path / "M6")
    (tmp_path / "M6" / records.MODEL).write_bytes(b"no zip")
    diverged = models.build("model4")
    diverged.set_weights([np.full_like(w, np.nan) for w in diverged.get_weights()])
    shutil.copytree(runs[2].folder, tmp_path / "Model4")
    diverged.save(tmp_path / "Model4" / records.MODEL)
    assert page.gallery([records.read(tmp_path / "M6"), records.read(tmp_path / "Model4")], dataset) is None
    assert capsys.readouterr().err.count("Left out of the gallery") == 2


def test_the_verdicts_are_by_the_published_runs_where_there_are_some(runs, tmp_path):
    """Fails if a trial run of one's own takes the answers away."""
    other = factories.record(row={"name": "M5"}, history=runs[0].history)
    other.__dict__["predictions"] = runs[0].predictions
    text = page.write(runs[:1], [other], [], None, tmp_path).read_text(encoding="utf-8")
    assert "by the published runs" in text
    assert "by your own runs" in page.write(runs[:1], [], [], None, tmp_path).read_text(encoding="utf-8")


def test_markup_in_a_record_stays_text(runs, tmp_path):
    """A record's texts are checked when it is read; the page trusts them no more than that."""
    run = factories.record(
        history=runs[0].history,
        environment={"device": "</script><i>x</i>", "processor": "<b>M6</b>"},
        dataset=runs[0].dataset,
    )
    run.__dict__["predictions"] = runs[0].predictions
    text = page.write([run], [], [], None, tmp_path).read_text(encoding="utf-8")
    assert "<b>M6" not in text and "<i>x</i>" not in text


def test_report_writes_the_page_and_says_what_is_missing(tmp_path, monkeypatch, capsys, runs):
    """Without images at hand nothing is fetched."""
    monkeypatch.setenv("KERASCIFAR_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "none")  # to judge them all takes long
    shutil.copytree(runs[0].folder, tmp_path / "runs" / "M6")
    assert main(["report", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert str(tmp_path / "out" / "index.html") in printed.out and "Omitting the gallery of focus maps." in printed.err


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-sync", "--no-first-run"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, written):
    """The page, opened from disk; the test fails on a console message, an error, or a request for anything else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    faults = []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "request",
        lambda request: faults.append(request.url) if not request.url.startswith(("data:", written.as_uri())) else None,
    )
    tab.goto(written.as_uri())
    tab.wait_for_selector("#chart .vega-bindings")
    yield tab
    assert faults == []
    context.close()


def test_the_chart_shows_the_chosen_row_and_seeds(opened):
    lines = opened.locator("#chart g.mark-line path")
    assert lines.count() == 2 * 2 * 2  # two charts, two splits, two seeds
    opened.get_by_label("seed 1").uncheck()
    assert lines.count() == 2 * 2
    opened.locator("#chart select").select_option("Model4")
    opened.get_by_label("seed 1").wait_for(state="detached")  # it has no such seed
    assert opened.get_by_label("seed 0").is_checked() and lines.count() == 2 * 2
    assert opened.evaluate("document.activeElement.tagName") == "SELECT"  # the keyboard stays where it was
    point, tooltip = opened.locator("#chart g.mark-symbol path").first, opened.locator("#vg-tooltip-element")
    for _ in range(40):  # Vega draws anew after a choice, and what was pointed at may be gone
        opened.mouse.move(0, 0)
        point.hover(force=True)
        if tooltip.count():
            break
        opened.wait_for_timeout(250)
    assert "Model4" in tooltip.inner_text()


def test_the_chart_starts_anew_with_every_row_and_leaves_the_wheel_to_the_page(opened):
    """Fails if one row's zoom is another's: its lines would lie outside; or if scrolling stops at the chart."""
    ticks = opened.locator("#chart g.role-axis-label").first
    whole = ticks.text_content()
    opened.locator("#chart").scroll_into_view_if_needed()
    box = opened.locator("#chart svg").bounding_box()
    opened.mouse.move(box["x"] + 150, box["y"] + 150)
    before = opened.evaluate("scrollY")
    opened.mouse.wheel(0, 200)
    opened.wait_for_function(f"scrollY > {before}")
    assert ticks.text_content() == whole
    opened.keyboard.down("Control")
    opened.mouse.move(box["x"] + 150, opened.locator("#chart svg").bounding_box()["y"] + 150)
    opened.mouse.wheel(0, -400)
    opened.keyboard.up("Control")
    opened.wait_for_function(
        "text => document.querySelector('#chart g.role-axis-label').textContent !== text", arg=whole
    )
    opened.locator("#chart select").select_option("Model4")
    opened.get_by_label("seed 1").wait_for(state="detached")
    assert opened.locator("#chart g.role-axis-label").first.text_content() == whole


def test_the_gallery_changes_image_class_row_and_order(opened):
    caption = opened.locator("#caption")
    first, drawn = caption.inner_text(), opened.locator("#picture").get_attribute("src")
    assert first.startswith("M6, Grad-CAM, layer") and re.search(rf"of ({page.EACH}|{page.EACH + 1})\.$", first)
    opened.locator("#next").focus()
    opened.keyboard.press("Enter")
    assert "Image 2" in caption.inner_text() and opened.locator("#picture").get_attribute("src") != drawn
    opened.locator("#row").select_option("Model4")
    opened.locator("#method").select_option("SmoothGrad")
    assert caption.inner_text().startswith("Model4, SmoothGrad, pixels") and "Image 2" in caption.inner_text()
    right = set()
    for option in opened.locator("#class option").all_inner_texts():
        opened.locator("#class").select_option(option)
        opened.locator("#order").select_option("wrong")
        right.add("(wrong)" in caption.inner_text())
    assert True in right


def test_what_is_drawn_without_javascript_can_be_read(browser, written):
    """The numbers, a chart, and one focus map of each class and row."""
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(written.as_uri())
    assert tab.locator("#chart svg path").count() > 4 and "61.50 ± 0.71" in tab.locator("main").inner_text()
    assert tab.locator("noscript figure").count() == 2 * 10 and not tab.locator("#gallery").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_accessible_and_fits(browser, written, scheme, width):
    """axe-core finds no serious violation, and nothing but tables and charts is wider than the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(written.as_uri())
    tab.wait_for_selector("#chart .vega-bindings")
    found = axe.Axe().run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
