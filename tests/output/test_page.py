"""The page in a browser: its numbers are the records', its choices work, it fetches nothing, and it is accessible."""

import html
import re
import shutil
from html.parser import HTMLParser

import factories
import numpy as np
import pytest

from kerascifar.__main__ import main
from kerascifar.findings import claims, rule, verdicts
from kerascifar.focus import methods
from kerascifar.images import cifar10
from kerascifar.output import gallery, page, result_tables
from kerascifar.runs import records

PATIENCE = 1000 * factories.HANG  # milliseconds, instead of Playwright's 30 seconds
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
        accuracy = 0.0961 if name == "Model4" else 0.61 + seed / 100
        results = factories.results(accuracy)
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
    """The page's file, and its gallery, in which both rows are right about the second of the first three images."""
    made = gallery.gallery(runs, dataset)
    for row in made["rows"]:
        for place, off in enumerate((1, 0, 1)):
            guess = (made["images"][place]["label"] + off) % 10
            row["probabilities"][place] = [100.0 * (label == guess) for label in range(10)]
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "gallery", lambda *words: asked.append(words) or made)
        path = page.write(runs, [], dataset, tmp_path_factory.mktemp("page"))
    ((shown, images),) = asked
    assert {run.folder for run in shown} == {run.folder for run in runs} and images is dataset
    return path, made


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
    """Fails if a table is of other runs, or rounded differently."""
    text = written.read_text(encoding="utf-8")
    cells = Cells(text).cells
    table = result_tables.readable(result_tables.results(runs[:2], []), whole=True)
    assert "61.50 ± 0.71" in cells and set(table.to_numpy().ravel()) <= {*cells, ""}
    for claim in claims.read().claims:
        assert {*map(str, claim.comparisons)} <= set(cells)
        block = text.partition(f'id="{claim.name}"')[2].partition("</summary>")[0]
        assert claim.words[1:] in html.unescape(block)  # its first letter is a capital


def test_the_first_screen_counts_the_claims_by_their_verdicts(runs, tmp_path, monkeypatch):
    """By hand: two of 17 claims get other verdicts. The words decide how a claim looks."""
    made = {"C1": "supported", "C2a": "refuted"}
    monkeypatch.setattr(rule.Decision, "verdict", property(lambda each: made.get(each.claim.name, "undecided")))
    monkeypatch.setattr(verdicts, "sentence", lambda decision: "A finding in a sentence.")
    text = page.write(runs, [], None, tmp_path).read_text(encoding="utf-8")
    assert "1 supported · 1 refuted · 15 undecided" in text
    assert [*re.findall(r'class="claim ([^"]+)"', text)] == ["good outlined", "bad"] + ["open"] * 15
    assert text.count("<p>A finding in a sentence.</p>") == 17


def test_the_first_screen_counts_the_rows_that_the_original_agrees_with(tmp_path):
    """By hand: 67.97 lies in 68 ± 5 for M1, 66.24 in 66.3 ± 2.9 for M3, 64.48 above 60 for M4; M5 has one run.

    M1_slower is not the original's: there is nothing to judge.
    """
    shares = {
        "M1": (0.67, 0.68, 0.69),
        "M3": (0.66, 0.66, 0.67),
        "M4": (0.60, 0.60, 0.60),
        "M5": (0.7,),
        "M1_slower": (0.6,),
    }
    rates = {"M3": 0.005, "M4": 0.01}
    runs = [
        factories.run(
            tmp_path / f"{name}-{seed}",
            row={"name": name, "learning_rate": rates.get(name, 0.001), "augment": name == "M5"},
            seed=seed,
            results=factories.results(share),
            seconds=[1800.0],
            predictions=dict.fromkeys(("test_label", "test_predicted"), np.zeros(10_000, "uint8")),
        )
        for name, values in shares.items()
        for seed, share in enumerate(values)
    ]
    text = page.write(runs, [], None, tmp_path).read_text(encoding="utf-8")
    assert "fits our runs in 2 of 3 rows that we can judge" in re.sub("<[^>]+>", "", text)
    assert "2 <small>of 3 rows</small>" in text and "; 1 more cannot be judged yet" in text
    assert "11 <small>runs</small>" in text and "5.5 hours of training" in text


def test_a_page_is_one_file_of_at_most_5_mb_that_names_no_other(written):
    text = written.read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    text = re.sub(r"(?s)(<script>).*?</script>", r"\1</script>", text)  # what scripts fetch, the browser's tests see
    assert not re.findall(
        r"""<(?:link|iframe|object|embed)\b|<script[^>]+src|@import|url\((?!['"]?(?:data:|#))""", text
    )
    assert set(re.findall(r'<img[^>]+src="([a-z]+:)', text)) <= {"data:"}


def test_links_stay_in_the_page_and_lead_somewhere(written):
    """Fails if a document in the appendix links to a file beside it, which nobody has who was sent the page."""
    text = re.sub(r"(?s)<script.*?</script>", "", written.read_text(encoding="utf-8"))
    links = set(re.findall(r'href="([^"]+)"', text))
    assert {link[1:] for link in links if link.startswith("#")} <= set(re.findall(r'id="([^"]+)"', text))
    assert all(link.startswith(("#", "https://")) for link in links) and "#glossary" in links


def test_the_page_names_the_rows_that_were_published_with_earlier_settings(runs, tmp_path):
    sentence = 'published with earlier settings; <a href="#second-study">a second study is in progress</a>'
    assert sentence in page.write([], runs, None, tmp_path).read_text(encoding="utf-8")
    assert sentence not in page.write(runs, [], None, tmp_path).read_text(encoding="utf-8")


def test_a_terms_meaning_is_plain_text_without_what_it_does_not_mean():
    glossary = "| term | meaning |\n| kept epoch | The *best* epoch ([how](a.md)). *Not:* last epoch. |\n"
    assert page._terms(glossary)["kept epoch"] == "The best epoch."


def test_without_images_the_page_says_how_to_get_the_gallery(runs, tmp_path):
    text = page.write(runs, [], None, tmp_path).read_text(encoding="utf-8")
    assert "make report DATA=DIR" in text and 'id="gallery"' not in text


def test_the_gallery_takes_the_first_validation_images_and_the_maps_of_every_method(written_with, dataset):
    made = written_with[1]
    validation = np.sort(cifar10.split(dataset.labels)[1])
    expected = validation[dataset.labels[validation] == 2][: gallery.EACH]
    birds = [image["source"].split()[2] for image in made["images"] if image["label"] == 2]
    assert birds[: gallery.EACH] == [str(i) for i in expected] and len(birds) <= gallery.EACH + 2
    assert made["methods"] == [methods.title(method) for method in methods.METHODS]
    assert [row["name"] for row in made["rows"]] == ["M6 seed 0", "Model4 seed 0"]
    for row in made["rows"]:
        assert [len(maps) for maps in row["maps"]] == [len(made["images"])] * len(methods.METHODS)
        np.testing.assert_allclose(np.sum(row["probabilities"], axis=1), 100, atol=0.6)  # ten rounded to 0.1
    assert gallery.gallery([factories.record()], dataset) is None  # no weights


def test_the_verdicts_are_by_the_published_runs_where_the_users_do_not_decide(runs, tmp_path):
    """Fails if a user's trial run takes the answers away."""
    images = dict.fromkeys(("test_label", "test_predicted"), np.zeros(10_000, "uint8"))
    known = factories.record(row={"name": "M5"}, seed=20, history=runs[0].history, predictions=images)
    text = page.write(runs[:1], [known], None, tmp_path).read_text(encoding="utf-8")
    assert "tested here, judged by the published runs, 17 are" in text
    assert "judged by your own runs" in page.write([known], [], None, tmp_path).read_text(encoding="utf-8")


def test_markup_in_a_record_stays_text(runs, tmp_path):
    """A record's texts are checked when it is read; the page trusts them no more than that."""
    run = factories.record(
        history=runs[0].history,
        predictions=runs[0].predictions,
        environment={"device": "</script><i>x</i>", "processor": "<b>M6</b>"},
        dataset=runs[0].dataset,
    )
    text = page.write([run], [], None, tmp_path).read_text(encoding="utf-8")
    assert "<b>M6" not in text and "<i>x</i>" not in text


def test_report_writes_the_page_and_says_what_is_missing(tmp_path, monkeypatch, capsys, runs):
    """Without images at hand nothing is fetched."""
    monkeypatch.setenv("KERASCIFAR_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "none")  # to judge them all takes long
    shutil.copytree(runs[0].folder, tmp_path / "runs" / "M6")
    assert main(["report", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert str(tmp_path / "out" / "index.html") in printed.out
    assert "The gallery of focus maps is left out." in printed.err


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as play:
        flags += ["--disable-sync", "--no-first-run"]
        started = play.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture
def opened(browser, written):
    """The page, opened from disk; the test fails on a console message, an error, or a request for anything else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    faults = []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    own = ("data:", "blob:", written.as_uri())
    tab.on("request", lambda request: faults.append(request.url) if not request.url.startswith(own) else None)
    tab.goto(written.as_uri())
    tab.wait_for_selector("[data-chart=curves].vega-embed")
    yield tab
    assert faults == []
    context.close()


def test_curves_of_any_rows_lie_over_each_other_and_stay_in_the_address(opened):
    lines = opened.locator("[data-chart=curves] g.mark-line path")
    form = opened.locator("#curve-controls")
    assert lines.count() == 2 * 2  # two rows, training and validation
    form.get_by_text("Model4", exact=True).click()
    opened.wait_for_function("document.querySelectorAll('[data-chart=curves] g.mark-line path').length === 2")
    form.get_by_label("training").uncheck()
    opened.wait_for_function("document.querySelectorAll('[data-chart=curves] g.mark-line path').length === 1")
    form.get_by_label("show").select_option("accuracy")
    form.get_by_label("smooth").fill("3")
    opened.wait_for_function("document.querySelector('[data-chart=curves]').textContent.includes('accuracy (%)')")
    opened.reload()
    opened.wait_for_selector("[data-chart=curves].vega-embed")
    assert lines.count() == 1 and "accuracy (%)" in opened.locator("[data-chart=curves]").text_content()
    assert not form.get_by_label("Model4").is_checked() and form.get_by_label("smooth").input_value() == "3"


def test_a_smoothed_curve_is_the_mean_of_its_neighbours(opened):
    """By hand: with one neighbour on each side; at an end and beside a gap, of those that are there."""
    assert opened.evaluate("smoothed([3, 6, 9, null], 1)") == [4.5, 6, 7.5, 9]


def test_the_nearest_point_of_a_curve_says_what_it_is(opened):
    chart = opened.locator("[data-chart=curves] svg")
    chart.scroll_into_view_if_needed()
    box, tooltip = chart.bounding_box(), opened.locator("#vg-tooltip-element.visible")
    for step in range(4 * factories.HANG):  # Vega draws anew after a choice, and what was pointed at may be gone
        opened.mouse.move(box["x"] + box["width"] / 2 + step % 5, box["y"] + box["height"] / 2)
        if tooltip.count():
            break
        opened.wait_for_timeout(250)
    text = tooltip.inner_text()
    assert "epoch" in text and "median" in text and re.search("M6|Model4", text)


def test_the_gallery_shows_an_image_as_each_row_sees_it(opened, written_with):
    made = written_with[1]
    now, looks = opened.locator("#image-now"), opened.locator("#looks-now .look")
    assert now.inner_text() == f"{made['images'][0]['source']}, 1 of {len(made['images'])}"
    assert [looks.nth(i).locator("h3").inner_text() for i in (0, 1)] == ["M6 seed 0", "Model4 seed 0"]
    assert looks.locator(".bars li").count() == 2 * 10 and looks.locator(".strip button").count() == 2 * 7
    best = max(range(10), key=lambda c: made["rows"][0]["probabilities"][0][c])
    assert f"predicts {made['classes'][best]}" in looks.nth(0).inner_text()
    assert ("✗ wrong" in looks.nth(0).inner_text()) == (best != made["images"][0]["label"])
    opened.locator("#gallery [name=next]").focus()
    opened.keyboard.press("ArrowRight")
    assert ", 2 of " in now.inner_text()
    looks.nth(1).get_by_text("SmoothGrad", exact=True).click()
    assert "SmoothGrad, pixels" in looks.nth(0).inner_text()
    opened.locator("#gallery-controls").get_by_label("class").select_option("7")
    assert f"({made['classes'][7]})" in now.inner_text()
    before = now.inner_text()
    opened.locator("#gallery-controls").get_by_label("map").fill("25")
    opened.reload()
    assert now.inner_text() == before and "SmoothGrad, pixels" in looks.nth(0).inner_text()
    assert opened.evaluate("getComputedStyle(document.querySelector('.stack img + img')).opacity") == "0.25"


def test_only_wrong_predictions_can_be_shown(opened):
    """The second image, about which both rows are right, is passed over."""
    opened.locator("#gallery-controls").get_by_label("only wrong predictions").check()
    assert ", 1 of " in opened.locator("#image-now").inner_text()
    opened.locator("#gallery [name=next]").click()
    assert ", 3 of " in opened.locator("#image-now").inner_text()


def test_a_permalink_unfolds_what_it_points_to(opened, written):
    for name in ("M6", "C4", "commands", "results-1"):
        assert opened.locator(f"[id='{name}']").count() == 1
    assert not opened.locator("[id='M6']").is_visible()
    opened.goto(f"{written.as_uri()}#M6")
    opened.locator("[id='M6']").wait_for()
    assert "61.50 ± 0.71" in opened.locator("[id='M6']").inner_text()


def test_a_table_sorts_by_numbers_and_downloads_as_csv(opened):
    opened.get_by_text("The rows in numbers").click()
    table = opened.locator("#answer table")
    heads = lambda: table.locator("tbody th").all_inner_texts()  # noqa: E731
    assert [head.split()[0] for head in heads()] == ["M6", "Model4"]
    opened.locator("#answer th button", has_text="here").click()
    up = heads()
    assert [head.split()[0] for head in up] == ["Model4", "M6"]  # 9.61 and 61.50: not in the order of texts
    opened.locator("#answer th button", has_text="here").click()
    assert heads() == up[::-1] and table.locator("th[aria-sort=descending]").inner_text().startswith("here")
    with opened.expect_download() as download:
        opened.get_by_label("CSV of Test accuracy by row").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == "row,original,here,95 % interval,differs by" and len(lines) == 1 + 2
    assert any("61.50 ± 0.71" in line for line in lines)


@pytest.mark.parametrize("kind, start", [("SVG", "<svg"), ("CSV", "experiment,row,settings,original,here")])
def test_a_figure_downloads(opened, kind, start):
    with opened.expect_download() as download:
        opened.get_by_label(f"{kind} of test-accuracy").click()
    assert download.value.path().read_text(encoding="utf-8").startswith(start)


def test_a_command_is_copied(opened):
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.locator("#commands summary").click()
    opened.locator("#commands pre").first.get_by_text("Copy").click()
    opened.get_by_text("Copied").wait_for()
    assert opened.evaluate("navigator.clipboard.readText()") == "make choices"


def test_the_theme_can_be_chosen(opened):
    paper = "getComputedStyle(document.body).backgroundColor"
    before = opened.evaluate(paper)
    opened.locator("#theme").click()
    assert opened.evaluate(paper) == before and "theme=light" in opened.url
    opened.locator("#theme").click()
    assert opened.evaluate(paper) != before and "theme=dark" in opened.url


def test_what_is_drawn_without_javascript_can_be_read(browser, written):
    """The numbers, charts, and one focus map of each class and row."""
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    tab.goto(written.as_uri())
    assert tab.locator("figure svg path").count() > 20 and "61.50 ± 0.71" in tab.locator("main").text_content()
    assert tab.locator("noscript figure").count() == 2 * 10 and not tab.locator("#gallery").is_visible()
    assert not tab.locator("button").locator("visible=true").count()
    context.close()


@pytest.mark.parametrize("width, scheme", [(390, "light"), (1280, "dark")])
def test_the_page_is_accessible_and_fits(browser, written, width, scheme):
    """At each width, which decides the layout, and in each scheme, which decides the colours.

    With everything unfolded, axe-core finds no violation, and only what scrolls for itself is wider than the screen.

    Folded, the page is no longer than twelve screens of a phone, and the answer is on the first one.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    tab.goto(written.as_uri())
    tab.wait_for_selector("[data-chart=curves].vega-embed")
    assert tab.evaluate("document.documentElement.scrollHeight") < 12 * 900
    assert all(tile.bounding_box()["y"] < 700 for tile in tab.locator(".tile").all())
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    tab.wait_for_timeout(500)
    found = axe.Axe().run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
