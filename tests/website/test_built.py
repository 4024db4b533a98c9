"""A site that was built: nothing leads nowhere, nothing is missing, and it works from disk as a reader meets it.

``python -m website --out DIR`` builds one, and ``SPARCL_REF_SITE=DIR pytest -m "" tests/website`` looks at it.
"""

from __future__ import annotations

import os
import re
import zlib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import overflow
from tests.tutorials import figures, notebooks
from tests.tutorials.notebooks import ROOT
from website import glossary, reference
from website.links import Checkout

NAMED = os.environ.get("SPARCL_REF_SITE", "")
SITE = Path(NAMED).resolve()
pytestmark = pytest.mark.skipif(not NAMED, reason="no site: build one, and name its folder in SPARCL_REF_SITE")
SERIES = notebooks.series()
#: Pages for people, one of each kind that is made from source, and all tutorials.
SEEN = [
    "index", "readme",
    "from_scratch", "microsparcl", "solutions/from_scratch", "verify_c/README", "accounting", "results/index",
    "annotated/index", "annotated/layers/conv", "annotated/sparcl/tdm", "search", "genindex",
    "reference/index", "reference/sparcl_ref.layers", "reference/sparcl_ref.trainer",
]  # fmt: skip
if NAMED:
    SEEN += sorted(path.relative_to(SITE).as_posix().removesuffix(".html") for path in SITE.glob("pages/*.html"))
    SEEN += sorted(path.stem for path in SITE.glob("[0-9]*.html"))


#: Pixels of text that the column cuts off or scrolls to, which the page's own width does not tell.
HIDDEN = """() => {
    const column = document.querySelector(".content"), right = column.getBoundingClientRect().right;
    return Math.max(column.scrollWidth - column.clientWidth, Math.ceil(right) - innerWidth);
}"""


class Page(HTMLParser):
    """What a page asks for (`sources`), where it leads (`links`), and where one can lead into it (`anchors`)."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "href" in given and tag == "link":
            self.sources.append(given["href"])
        self.sources += [given[name] for name in ("src", "data") if name in given and tag != "a"]
        self.sources += [each.split()[0] for each in given.get("srcset", "").split(",") if each.strip()]


@cache
def page(path: Path) -> Page:
    return Page(path)


def pages() -> list[Path]:
    return sorted(SITE.rglob("*.html"))


# --- what stands in the files


def test_every_link_leads_to_a_page_and_a_place_on_it():
    lost, looked_at = [], 0
    for path in pages():
        for link in page(path).links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            looked_at += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                lost.append(f"{path.relative_to(SITE)}: {link} is a folder, which a browser lists or refuses")
            elif not target.exists():
                lost.append(f"{path.relative_to(SITE)}: {link}")
            elif (ROOT / "tutorials" / target.relative_to(SITE)).exists():
                continue  # a whole document, whose fragments are its own
            elif target.suffix == ".html" and unquote(parts.fragment) not in page(target).anchors | {"", "top"}:
                lost.append(f"{path.relative_to(SITE)}: {link} has no such place")
    assert sorted(set(lost)) == []
    assert looked_at > 5000


def test_pages_ask_for_nothing_from_elsewhere_and_for_what_is_there():
    wrong = []
    for path in pages():
        for source in page(path).sources:
            parts = urlsplit(source)
            if parts.scheme == "data" or source.startswith("#"):
                continue
            if parts.scheme or parts.netloc or not (path.parent / unquote(parts.path)).exists():
                wrong.append(f"{path.relative_to(SITE)}: {source}")
    assert sorted(set(wrong)) == []


def test_stylesheets_ask_for_nothing_from_elsewhere():
    for path in SITE.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_page_of_the_checkout_is_there():
    for name, staged in Checkout.of(ROOT).staged.items():
        assert (SITE / staged).with_suffix(".html").exists(), name


def test_every_public_name_is_in_the_reference():
    content = (SITE / "objects.inv").read_bytes().split(b"\n", 4)[4]
    found = {line.split(" ")[0] for line in zlib.decompress(content).decode().splitlines()}
    wanted = {f"{module.name}.{name}" for module in reference.modules() for name in module.names}
    assert wanted - found == set()
    assert len(wanted) > 500


@pytest.mark.parametrize("notebook", SERIES, ids=lambda notebook: notebook.name)
def test_each_figure_stands_on_its_page_once_for_light_and_once_for_dark(notebook):
    text = (SITE / f"{notebook.name}.html").read_text(encoding="utf-8")
    images = re.findall(r"<img[^>]*>", text.partition("<article")[2].partition("</article>")[0])
    for figure in figures.drawn(notebook):
        for shade, ending in (("light", ""), ("dark", "-dark")):
            (image,) = [each for each in images if f"/{figure.name}{ending}.png" in each]
            assert f"only-{shade}" in image
            assert re.search(r'alt="[^"]{20}', image)


def test_every_term_has_a_card():
    text = (SITE / "_static" / "terms.js").read_text(encoding="utf-8")
    defined = glossary.entries((ROOT / glossary.TERMS).read_text(encoding="utf-8"))
    assert text.count('"term": ') == len(defined)
    ids = re.findall(r'^"(term-[^"]+)": ', text, re.MULTILINE)
    assert set(ids) <= page(SITE / "pages" / "terms.html").anchors


def test_mathjax_comes_along_with_its_licence():
    assert (SITE / "_static" / "mathjax" / "tex-svg.js").stat().st_size > 1_000_000
    assert "Apache License" in (SITE / "_static" / "mathjax" / "LICENSE").read_text()


# --- as a reader meets it: whatever is opened is held to silence and to its own files


def settled(page):
    """The page, once its formulas are set."""
    page.wait_for_function("!window.MathJax || MathJax.startup?.promise !== undefined")
    page.evaluate("window.MathJax?.startup?.promise")
    return page


@pytest.mark.parametrize("name", SEEN)
def test_a_page_fits_a_phone_and_a_desk_and_sets_its_formulas(name, open_page):
    page = settled(open_page(SITE / f"{name}.html", width=390, height=844))
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert (overflow(page), page.evaluate(HIDDEN)) == (0, 0)
    page.set_viewport_size({"width": 1280, "height": 900})
    assert (overflow(page), page.evaluate(HIDDEN)) == (0, 0)


def test_formulas_are_set(open_page):
    page = settled(open_page(SITE / f"{SERIES[1].name}.html"))
    assert page.locator("mjx-container").count() > 50
    assert page.locator("article").inner_text().count("\\(") == 0


@pytest.mark.parametrize("dark", [False, True])
def test_pages_and_figures_are_light_or_dark_as_a_reader_asks(dark, open_page):
    page = open_page(SITE / f"{SERIES[0].name}.html", dark=dark)
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(number) for number in re.findall(r"\d+", shade)[:3]) < 200) == dark
    assert page.locator("article img.only-dark").first.is_visible() == dark
    assert page.locator("article img.only-light").first.is_visible() != dark
    page.locator(".theme-toggle:visible").first.click()
    assert page.evaluate("document.body.dataset.theme") in ("light", "dark")


def test_search_finds_a_tutorial_by_a_word_of_its_text(open_page):
    page = open_page((SITE / "search.html").resolve().as_uri() + "?q=reservoir")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert any(link.startswith("02-") for link in found)


def test_code_can_be_copied(open_page):
    page = open_page(SITE / f"{SERIES[0].name}.html")
    cell = page.locator("div.cell_input", has_text="load_dataset(").first
    cell.hover()
    button = cell.locator("button.copybtn")
    assert button.count() == 1
    assert page.locator("div.cell_output button.copybtn").count() == 0


def test_a_solution_is_folded_until_it_is_asked_for(open_page):
    page = open_page(SITE / f"{SERIES[1].name}.html")
    fold = page.locator("details", has=page.get_by_text("Solution", exact=True)).first
    code = fold.locator("pre").first
    assert not code.is_visible()
    fold.locator("summary").first.click()
    assert code.is_visible()


def test_a_term_shows_its_sentence_to_mouse_and_keys(open_page):
    page = open_page(SITE / f"{SERIES[3].name}.html")
    term = page.locator("a.term-link").first
    assert "pages/terms.html#term-" in term.get_attribute("href")
    term.scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    term.hover()
    assert len(page.locator("#term-card").inner_text()) > 30
    page.keyboard.press("Escape")
    assert page.locator("#term-card").count() == 0
    term.focus()
    assert page.locator("#term-card").is_visible()


def test_the_landing_page_has_four_doors(open_page):
    page = open_page(SITE / "index.html")
    doors = page.locator(".door")
    assert doors.count() == 4
    for index in range(4):
        assert doors.nth(index).locator("a").count() >= 1
    doors.first.locator("a").first.click()
    assert page.title().startswith("Start here")


def test_annotated_source_has_words_beside_code_on_wide_screens(open_page):
    page = open_page(SITE / "annotated" / "layers" / "conv.html", width=1600)
    words = page.locator(".beside .words", has_text="Backward.").bounding_box()
    code = page.locator(".beside", has_text="Backward.").locator(".lines").first.bounding_box()
    assert words["x"] + words["width"] <= code["x"]
    page.set_viewport_size({"width": 390, "height": 844})
    words = page.locator(".beside .words", has_text="Backward.").bounding_box()
    code = page.locator(".beside", has_text="Backward.").locator(".lines").first.bounding_box()
    assert words["y"] + words["height"] <= code["y"] + 1
