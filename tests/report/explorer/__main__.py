"""``python -m tests.report.explorer``: renew the committed pages, and take the explorer's still, light and dark.

The explorer's page keeps its recording, of which tutorials tell; what may have changed is how it is shown. The still is
taken from that page, so that whoever follows the picture finds what it shows.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sparcl_ref.report.explorer.page import page_of
from sparcl_ref.report.explorer.small import SMALL, write_small
from tests.browser import executable, launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TUTORIALS = Path(__file__).resolve().parents[3] / "tutorials"
PAGE = TUTORIALS / "explorer.html"
#: The moment: late in the last task, which the network has hardly begun to learn.
MOMENT = "#t=5.6"
#: CSS pixels of the window, and how many of the screen's each has.
WIDTH, SHARPNESS = 760, 1.6
#: Colours of the stored picture; the page has few.
SHADES = 96
#: The pictures that are small enough to be seen on a tutorial's page, without what tells a reader how to work them.
STYLE = """
.lead, #sentence, .choices, .buffer, .help, .pick, .life, #table, footer { display: none !important }
main { padding-bottom: .5rem }
.bar { margin-bottom: 1rem }
.run { grid-template-rows: auto 1fr !important }
.run .weights { grid-area: 1 / 1 / span 2 / 2 }
.run .accuracy { grid-area: 1 / 2 }
.run .images { grid-area: 2 / 2 }
"""


def take(browser: Browser, page: Path, folder: Path) -> list[Path]:
    """Write explorer.png and explorer-dark.png; returns where they are."""
    from PIL import Image

    written = []
    for scheme, ending in (("light", ""), ("dark", "-dark")):
        size = {"width": WIDTH, "height": 600}
        shown = browser.new_page(viewport=size, device_scale_factor=SHARPNESS, color_scheme=scheme)
        shown.goto(page.resolve().as_uri() + MOMENT)
        shown.wait_for_selector("html[data-ready]")
        shown.add_style_tag(content=STYLE)
        shown.wait_for_timeout(300)  # until the pictures have their new size
        taken = Image.open(io.BytesIO(shown.locator("main").screenshot())).convert("RGB")
        shown.close()
        path = folder / f"explorer{ending}.png"
        taken.quantize(SHADES, dither=Image.Dither.NONE).save(path, optimize=True)
        written.append(path)
    return written


def kept(page: Path) -> bytes:
    """The block in an explorer's page."""
    (block,) = re.findall(r'<script type="application/octet-stream" id="record">([^<]+)<', page.read_text("utf-8"))
    return base64.b64decode(block)


def main() -> int:
    PAGE.write_text(page_of(kept(PAGE)), encoding="utf-8")
    for name in SMALL:
        write_small(name, TUTORIALS / f"{name}.html")
    if executable() is None:
        print("a still is taken in a browser: install Debian's chromium, and pip install '.[test]'", file=sys.stderr)
        return 2
    with launched() as browser:
        for path in take(browser, PAGE, TUTORIALS / "figures"):
            print(f"{path}, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
