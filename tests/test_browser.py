"""What opens pages for the other tests sees what they must not do."""

from __future__ import annotations

import pytest

from tests import browser

QUIET = "<!doctype html><title>Quiet</title><meta name=viewport content='width=device-width'><p>nothing</p>"


@pytest.fixture
def written(tmp_path):
    def write(body: str):
        path = tmp_path / "page.html"
        path.write_text(QUIET + body)
        return path

    return write


@pytest.fixture
def seen(chromium):
    """Opens a page by itself and returns what was noted."""

    def look(path) -> list[str]:
        page = chromium.new_page()
        noted = browser.watch(page)
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        page.close()
        return noted

    return look


@pytest.mark.parametrize(
    ("body", "noted"),
    [
        ("<script>console.log('words')</script>", []),
        ("<script>console.error('wrong')</script>", ["console: wrong"]),
        ("<script>throw new Error('broken')</script>", ["exception: broken"]),
        ("<script>Promise.reject(new Error('later'))</script>", ["exception: later"]),
    ],
)
def test_what_a_page_says(written, seen, body, noted):
    assert seen(written(body)) == noted


@pytest.mark.parametrize(
    "body", ["<img src='https://example.org/x.png'>", "<script>fetch('http://10.0.0.1/')</script>"]
)
def test_what_a_page_asks_others_for(written, seen, body):
    assert any(note.startswith("request: http") for note in seen(written(body)))


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("file:///tmp/a.html", True),
        ("data:text/plain,a", True),
        ("blob:null/1", True),
        ("http://127.0.0.1:8000/a", True),
        ("http://localhost/a", True),
        ("https://localhost.example.org/a", False),
        ("https://cdn.jsdelivr.net/npm/mathjax", False),
        ("ws://example.org", False),
    ],
)
def test_what_stays_here(address, here):
    assert browser.stays_here(address) is here


@pytest.mark.parametrize(("width", "more"), [(390, 110), (1280, 0)])
def test_how_much_a_page_is_too_wide(written, open_page, width, more):
    page = open_page(written("<div style='position:absolute;left:0;width:500px;height:9px'></div>"), width=width)
    assert browser.overflow(page) == more


def test_modes(written, open_page):
    path = written("<script>document.title = matchMedia('(prefers-color-scheme: dark)').matches</script>")
    assert open_page(path, dark=True).title() == "true"
    assert open_page(path, dark=False).title() == "false"
    assert open_page(path, script=False).title() == "Quiet"


def test_without_a_browser(monkeypatch):
    monkeypatch.setattr(browser, "COMMANDS", ("no-such-browser",))
    assert browser.executable() is None


def test_whoever_asks_for_a_browser_is_slow(request):
    mine = {item.name.partition("[")[0]: item for item in request.session.items if item.path == request.path}
    assert all(item.get_closest_marker("slow") for item in mine.values() if "chromium" in item.fixturenames)
    assert not request.node.get_closest_marker("slow")
