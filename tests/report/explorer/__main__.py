"""``python -m tests.report.explorer``: take the explorer's still, light and dark, for tutorials and landing page.

It opens the committed page, so that whoever follows the picture finds what it shows.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

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


def main() -> int:
    if executable() is None:
        print("a still is taken in a browser: install Debian's chromium, and pip install '.[test]'", file=sys.stderr)
        return 2
    with launched() as browser:
        for path in take(browser, PAGE, TUTORIALS / "figures"):
            print(f"{path}, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
