"""Links of pages lead where the site has what they mean."""

from __future__ import annotations

import pytest

from tests.tutorials.notebooks import ROOT, TUTORIALS
from website.links import WHOLE, Checkout, seen_from

FILES = (
    "README.md",
    "tutorials/00-start.md",
    "tutorials/01b-more.md",
    "tutorials/pages/terms.md",
    "tutorials/read/00-start.md",
    "tutorials/results/a/summary.json",
    "tutorials/microsparcl.py",
    "sparcl_ref/sparcl/tdm.py",
    "tests/README.md",
)


@pytest.fixture
def checkout(tmp_path):
    for name in FILES:
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return Checkout.of(tmp_path / "checkout")


def test_reading_copies_are_no_pages_and_tutorials_are_notebooks(checkout):
    assert checkout.staged["README.md"] == "readme.md"
    pages = {
        name: staged
        for name, staged in checkout.staged.items()
        if name.startswith("tutorials/") and name.endswith(".md")
    }
    assert pages == {
        "tutorials/00-start.md": "00-start.ipynb",
        "tutorials/01b-more.md": "01b-more.ipynb",
        "tutorials/pages/terms.md": "pages/terms.md",
    }
    assert checkout.pages() == ["README.md", "tutorials/pages/terms.md"]


@pytest.mark.parametrize(
    ("name", "link", "expected"),
    [
        ("tutorials/00-start.md", "01b-more.md#2-here", "01b-more.ipynb#2-here"),
        ("tutorials/00-start.md", "pages/terms.md", "pages/terms.md"),
        ("tutorials/pages/terms.md", "../read/00-start.md#a", "../00-start.ipynb#a"),
        ("tutorials/pages/terms.md", "../00-start.md", "../00-start.ipynb"),
        ("tutorials/pages/terms.md", "../microsparcl.py", "../microsparcl.rst"),
        ("tutorials/pages/terms.md", "../../sparcl_ref/sparcl/tdm.py", "../annotated/sparcl/tdm.rst"),
        ("tutorials/pages/terms.md", "../results/a/summary.json", "../results/a/summary.json"),
        ("tutorials/pages/terms.md", "../results", "../results/index.md"),
        ("tutorials/pages/terms.md", "../../tests/README.md", "../checkout/tests/README.md.txt"),
        ("README.md", "tutorials/read/00-start.md#a", "00-start.ipynb#a"),
        ("tutorials/pages/terms.md", "../../README.md#run", "../readme.md#run"),
        ("tutorials/pages/terms.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("tutorials/pages/terms.md", "#here", "#here"),
    ],
)
def test_links_lead_to_pages_and_to_files_that_come_along(name, link, expected, checkout, tmp_path):
    text = f"See [`this`, too]({link}) and `[code]({link})`."
    seen = seen_from(text, name, checkout, tmp_path / "fresh")
    assert seen == f"See [`this`, too]({expected}) and `[code]({link})`."
    copies = {
        path.relative_to(tmp_path / "fresh").as_posix() for path in (tmp_path / "fresh").rglob("*") if path.is_file()
    }
    assert copies == {expected.removeprefix("../")} & {"results/a/summary.json", "checkout/tests/README.md.txt"}


def test_a_picture_has_its_version_for_dark_pages_where_there_is_one(checkout, tmp_path):
    figures = checkout.root / "tutorials" / "figures"
    figures.mkdir()
    for name in ("still.png", "still-dark.png", "other.png"):
        (figures / name).write_bytes(b"png")
    text = "![Weights\nalive](../figures/still.png)\n\n![Two](../figures/other.png)"
    seen = seen_from(text, "tutorials/pages/terms.md", checkout, tmp_path / "fresh")
    assert seen == (
        "```{image} ../figures/still.png\n:class: only-light\n:alt: Weights alive\n```\n\n"
        "```{image} ../figures/still-dark.png\n:class: only-dark\n:alt: Weights alive\n```\n\n\n"
        "![Two](../figures/other.png)"
    )
    assert len(list((tmp_path / "fresh" / "figures").iterdir())) == 3


def test_pictures_of_a_code_host_are_seen_too(checkout, tmp_path):
    figures = checkout.root / "tutorials" / "figures"
    figures.mkdir()
    for name in ("still.png", "still-dark.png"):
        (figures / name).write_bytes(b"png")
    text = (
        'Look:\n\n<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="../figures/still-dark.png">\n'
        '  <img src="../figures/still.png" width="650" alt="Bars &amp; lines">\n</picture>\n'
    )
    assert seen_from(text, "tutorials/pages/terms.md", checkout, tmp_path) == (
        "Look:\n\n```{image} ../figures/still.png\n:class: only-light\n:alt: Bars & lines\n:width: 650px\n```\n\n"
        "```{image} ../figures/still-dark.png\n:class: only-dark\n:alt: Bars & lines\n:width: 650px\n```\n\n"
    )


def test_whole_documents_are_led_to_as_they_are(checkout, tmp_path):
    (checkout.root / "tutorials" / "explorer.html").write_text("<title>Runs</title>")
    text = "Look at [this `moment`](../explorer.html#t=41&w=2)."
    seen = seen_from(text, "tutorials/pages/terms.md", checkout, tmp_path)
    assert seen == 'Look at <a href="../explorer.html#t=41&w=2">this `moment`</a>.'
    seen = seen_from("[a](explorer.html)", "tutorials/00-start.md", checkout, tmp_path)
    assert seen == '<a href="explorer.html">a</a>'
    assert [path.name for path in (tmp_path / WHOLE).iterdir()] == ["explorer.html"]


def test_a_link_to_nothing_is_refused(checkout, tmp_path):
    with pytest.raises(ValueError, match=r"tutorials/00-start\.md links to gone\.md, which does not exist"):
        seen_from("[this](gone.md)", "tutorials/00-start.md", checkout, tmp_path)


def test_every_page_of_this_checkout_can_be_seen(tmp_path):
    checkout = Checkout.of(ROOT)
    for name in checkout.pages():
        seen_from(checkout.read(name), name, checkout, tmp_path)
    assert len(checkout.pages()) >= len(list((TUTORIALS / "pages").glob("*.md")))
