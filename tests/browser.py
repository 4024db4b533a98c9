"""A page opened as a reader opens it: in Debian's Chromium, with mouse and keys, and with nothing from elsewhere.

Part of every test session (``conftest.py``). A test asks for ``open_page``, and is thereby ``slow``:

>>> def test_a_page_says_its_title(open_page):  # doctest: +SKIP
...     page = open_page(path, width=390, dark=True)  # a playwright.sync_api.Page
...     assert page.title() == "A run"
...     assert overflow(page) == 0

After the test every page it opened must have been quiet: no error on the console, no exception, no request that leaves
the machine. Where there is no browser the test skips and says so; with ``CI=true`` it fails.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.hypothesis_profile import runs_in_ci

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: The commands that Debian, other distributions and Google give the same browser.
COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Chromium's own traffic off, and every host's name unknown, so that a foreign request fails at once, offline or not.
SWITCHES = [
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]
HERE = ("127.0.0.1", "localhost")


def executable() -> str | None:
    """Path of the browser of this machine, if it has one and the driver to steer it."""
    if importlib.util.find_spec("playwright") is None:
        return None
    return next(filter(None, map(shutil.which, COMMANDS)), None)


def stays_here(address: str) -> bool:
    """Whether a request for `address` does not leave the machine."""
    parts = urlsplit(address)
    return parts.scheme in ("file", "data", "blob", "about") or parts.hostname in HERE


def watch(page: Page) -> list[str]:
    """A list to which everything is added, from now on, that `page` may not do: errors and foreign requests."""
    seen: list[str] = []
    page.on("console", lambda message: seen.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.append(f"exception: {error}"))
    page.on("request", lambda asked: None if stays_here(asked.url) else seen.append(f"request: {asked.url}"))
    return seen


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window: more than 0 makes a reader scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module; no longer, because its driver keeps an event loop that others would trip over."""
    path = executable()
    if path is None:
        (pytest.fail if runs_in_ci() else pytest.skip)(f"needs playwright and one of {', '.join(COMMANDS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """A function that opens a file or an address in a window of its own and returns the page; see the module."""
    opened = []

    def opens(
        target: Path | str,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
        reduced_motion: bool = False,
    ) -> Page:
        """Open `target`: a path, or an address with its scheme (so that it can have a ``#hash``)."""
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if reduced_motion else "no-preference",
            java_script_enabled=script,
        )
        page = context.new_page()
        opened.append((context, watch(page)))
        page.goto(target.resolve().as_uri() if isinstance(target, Path) else target)
        return page

    yield opens
    for context, _ in opened:
        context.close()
    complaints = [complaint for _, seen in opened for complaint in seen]
    assert not complaints, complaints


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starting a browser takes seconds: whoever asks for one is among the longest checks."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
