"""The page of a run in a browser, from a file and without a network."""

import shutil
from pathlib import Path

import pytest
from needed import absent
from pages import DEFENSES, arguments
from playwright.sync_api import sync_playwright

CAPTIONS = Path(__file__).parents[1] / "workflow/report"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000
"""Milliseconds that a busy machine may take to show a page."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium as the system has it; only outside continuous integration may it miss."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        absent(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, timeout=PATIENCE)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def seen():
    """What the page asked for, and what it complained of."""
    return {"requests": [], "complaints": []}


@pytest.fixture(scope="module")
def tab(browser, seen, stage, tmp_path_factory):
    """The page of two grids, opened from its file, its charts drawn."""
    given = arguments(tmp_path_factory.mktemp("page"), CAPTIONS)
    stage("page")(**given)
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(PATIENCE)
    tab.on("request", lambda request: seen["requests"].append(request.url))
    tab.on("console", lambda said: seen["complaints"].append(said.text))
    tab.on("pageerror", lambda error: seen["complaints"].append(str(error)))
    tab.goto(given["html"].as_uri())
    for i in range(tab.locator(".chart").count()):
        tab.locator(".chart").nth(i).locator("svg").wait_for()
    return tab


@pytest.fixture
def results(tab):
    """The table of results of the grid with attacks."""
    return tab.locator("section.grid", has=tab.locator("#attacked")).locator(".sortable")


def column(table, number):
    return [row.split("\t")[number] for row in visible(table)]


def visible(table):
    """Text of each row that is shown, its cells parted by tabs."""
    return [row.inner_text() for row in table.locator("tbody tr").all() if row.is_visible()]


def test_the_page_loads_nothing_but_itself_and_complains_of_nothing(tab, seen):
    loaded = [url for url in seen["requests"] if not url.startswith("data:")]
    assert loaded == [tab.url]
    assert seen["complaints"] == []


def test_every_chart_draws_a_mark_per_defense(tab):
    charts = tab.locator(".chart")
    assert charts.count() == 4  # three of the attacked grid, one of the other
    for i in range(charts.count()):
        marks = charts.nth(i).locator(".mark-symbol path").count()
        # of a scenario with 4 defenses, with 2 runs each, and over 3 rounds; of 2 in peace
        assert marks == (4 + 8, 12, 12, 6)[i]


def test_unticking_a_defense_takes_it_from_the_charts(tab):
    box = tab.locator(".charts").first
    box.locator("input[value=krum]").uncheck()
    marks = box.locator(".chart").first.locator(".mark-symbol path")
    tab.wait_for_function(
        "document.querySelectorAll('.chart .mark-symbol')[0].children.length == 3"
    )
    box.locator("input[value=krum]").check()
    tab.wait_for_function(
        "document.querySelectorAll('.chart .mark-symbol')[0].children.length == 4"
    )
    assert marks.count() == len(DEFENSES) * (1 + 2)  # and the dots of two runs each


def test_a_filter_leaves_the_rows_that_have_the_value(results):
    assert len(visible(results)) == 8
    results.locator("select").last.select_option("sieve")
    assert column(results, 2) == ["sieve", "sieve"]
    assert results.locator("output").inner_text() == "2 of 8 rows"
    results.locator("select").last.select_option("")
    assert len(visible(results)) == 8


def test_a_heading_sorts_up_and_then_down_by_keyboard(results):
    heading = results.get_by_role("button", name="accuracy", exact=True)
    cells = results.locator("tbody tr td:nth-child(4)")
    heading.focus()
    heading.press("Enter")
    up = [float(cell.get_attribute("data-v")) for cell in cells.all()]
    heading.press("Enter")
    down = [float(cell.get_attribute("data-v")) for cell in cells.all()]
    assert up == sorted(up)
    assert down == up[::-1] != up


def test_a_link_in_the_table_opens_the_scenario(tab, results):
    results.get_by_role("link", name="krum").first.click()
    opened = tab.locator("details[open] > details[open]")
    opened.first.wait_for()
    assert "aggregate: {use: krum}" in opened.first.inner_text()


@pytest.mark.parametrize("width", [390, 320], ids=["phone", "1280 pixels at 400 per cent"])
def test_a_narrow_page_does_not_scroll_sideways(tab, width):
    tab.set_viewport_size({"width": width, "height": 700})
    tab.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_every_image_says_what_it_shows(tab):
    images = tab.locator("img")
    assert images.count() == 2
    assert all(image.get_attribute("alt").strip() for image in images.all())


def test_every_control_has_a_name(tab):
    for role in ("button", "combobox", "checkbox"):
        found = tab.get_by_role(role)
        assert found.count()
        for control in found.all():
            name = control.evaluate(
                "(e) => (e.labels?.[0] ?? e).textContent.trim() || e.querySelector('img')?.alt"
            )
            assert name
