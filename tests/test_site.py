"""The documentation as a site: complete, consistent, and without anything from a network."""

import importlib.util
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import numpy as np
import pytest
from needed import absent
from PIL import Image
from test_docs import SCHEMA, blocks, merged, snippets
from test_page_browser import PATIENCE
from test_page_browser import browser as browser

from fedsieve import registry
from fedsieve.settings import check

ROOT = Path(__file__).parents[1]
LOADING = ("link", "script", "img", "iframe", "source", "object", "embed")
"""Elements that make a browser load what they name."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site"), pytest.mark.timeout(900)]


class Reader(HTMLParser):
    """What a page loads, where it leads, and its anchors."""

    def __init__(self, html):
        super().__init__()
        self.loads, self.links, self.menu, self.anchors = [], [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
            if re.search("md-(nav|tabs)__link", attributes.get("class") or ""):
                self.menu.append(attributes["href"])
        if tag in LOADING:
            self.loads += [attributes[k] for k in ("src", "href", "data") if attributes.get(k)]


def targets(site, page, links):
    """File and anchor of each link of a page to another place of the site."""
    for link in links:
        path, anchor = urldefrag(link)
        if not urlsplit(link).scheme:
            yield (
                (site / page).parent.joinpath(unquote(path)).resolve() if path else site / page,
                anchor,
            )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly; only outside continuous integration may its builder be missing."""
    if importlib.util.find_spec("mkdocs") is None:
        absent("MkDocs is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | quiet, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Each page, read."""
    return {
        str(path.relative_to(site)): Reader(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


def test_no_page_loads_anything_from_outside(pages):
    loaded = {url for page in pages.values() for url in page.loads}
    assert len(loaded) > 10
    assert not [url for url in loaded if re.match(r"(\w+:)?//", url)]


def test_no_style_sheet_loads_anything_from_outside(site):
    sheets = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    named = [url for sheet in sheets for url in re.findall(r"url\(['\"]?([^'\")]*)|@import", sheet)]
    assert len(sheets) >= 3
    assert not [url for url in named if re.match(r"(\w+:)?//", url)]


def test_every_page_of_the_repository_can_be_reached_by_the_menu(site, pages):
    reached, waiting = set(), [site / "index.html"]
    while waiting:
        path = waiting.pop()
        if path not in reached and path.is_file():
            reached.add(path)
            name = str(path.relative_to(site))
            waiting += [found for found, _ in targets(site, name, pages[name].menu)]
    names = {str(path.relative_to(site)) for path in reached}
    sources = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert {str(path.with_suffix(".html")) for path in sources} <= names
    top = {"readme.html", "configuration.html", "changelog.html", "contributing.html"}
    assert top <= names


def test_links_of_the_site_lead_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        if name == "404.html":  # its links begin at the root of a server
            continue
        for path, anchor in targets(site, name, page.links):
            known = pages[str(path.relative_to(site))].anchors if path.suffix == ".html" else ()
            if not path.is_file() or (anchor and path.suffix == ".html" and anchor not in known):
                broken.append((name, str(path), anchor))
    assert not broken


@pytest.mark.parametrize("kind", registry.CONTRACTS)
def test_the_api_has_every_plugin_and_its_functions(pages, kind):
    anchors = pages[f"api/{kind}.html"].anchors
    first = registry.CONTRACTS[kind][-1]
    for name in registry.available(kind):
        assert f"fedsieve.{kind}.{name}" in anchors
        text = registry.find(kind, name).read_text(encoding="utf-8")
        assert (f"def {first}(" in text) == (f"fedsieve.{kind}.{name}.{first}" in anchors)


def test_the_search_knows_every_method_of_the_menu(site):
    index = (site / "search/search_index.js").read_text(encoding="utf-8")
    assert all(name in index for name in ("Multi-Krum", "FoolsGold", "cluster_majority"))


def test_search_and_pages_work_from_files_and_ask_no_network(request, site):
    tab = request.getfixturevalue("browser").new_page()
    tab.set_default_timeout(PATIENCE)
    asked, complaints = [], []
    tab.on("request", lambda made: asked.append(made.url))
    tab.on("console", lambda said: complaints.append(said.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto((site / "index.html").as_uri())
    query = tab.locator("[data-md-component=search-query]").first
    found = tab.locator(".md-search-result__link").first
    query.fill("preempts")
    begun = time.monotonic()
    while not found.count() and time.monotonic() - begun < PATIENCE / 1000:
        query.press("End")  # the page looks at what was typed when a key goes up
        tab.wait_for_timeout(500)
    assert "slurm.html" in found.get_attribute("href")
    assert {urlsplit(url).scheme for url in asked} <= {"file", "data", "blob"}
    assert not complaints


def test_the_tutorials_script_makes_an_archive_that_can_be_read(tmp_path, monkeypatch):
    (script,) = blocks("python", "docs/tutorial.md")
    for split, n in (("train", 3), ("test", 2)):
        for label, name in enumerate(("normal", "pneumonia")):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.new("L", (40, 30), 100 * label + i).save(folder / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    train, test = registry.bind("datasets", {"use": "npz", "file": "my-scans.npz"}, "read")(
        tmp_path
    )
    assert (train.images.shape, test.images.shape) == ((6, 1, 28, 28), (4, 1, 28, 28))
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.images[4, 0].tolist() == np.full((28, 28), 101).tolist()


def test_what_the_tutorial_adds_fits_the_configuration_for_own_data():
    more = snippets("docs/tutorial.md")
    config = merged(snippets("docs/own-data.md"), more)
    check(config, SCHEMA)
    assert set(more["defenses"]) < set(config["grids"]["scans"]["defense"])
