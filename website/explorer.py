"""The explorer's pages: whole documents that its command writes, and that stand beside the site's own."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from pathlib import Path

COMMAND = "sparcl_ref.explore"
#: File to what the command is asked for, and what a reader is told.
PAGES = {
    "explorer.html": ((), "a recorded run, epoch by epoch"),
    "reservoir.html": (("reservoir",), "a buffer that is fair to every sample"),
    "convolution.html": (("convolution",), "a convolution, forward and backward"),
}
#: Folder whose files go to the top of the site as they are.
EXTRA = "extra"


def there() -> bool:
    """Whether this checkout has an explorer."""
    return importlib.util.find_spec(COMMAND) is not None


def record(executed: Path) -> None:
    """Write each page that is not kept yet; the first trains for half a minute."""
    for file, (arguments, _) in PAGES.items():
        if there() and not (executed / file).exists():
            executed.mkdir(parents=True, exist_ok=True)
            code = importlib.import_module(COMMAND).main([*arguments, "--out", str(executed / file)])
            if code:
                raise RuntimeError(f"python -m {COMMAND} ended with {code}")


def write(executed: Path, page: Path, fresh: Path) -> None:
    """Put the pages beside the site's own, and links to them below the title of the page on the explorer."""
    (fresh / EXTRA).mkdir(parents=True, exist_ok=True)
    # Some hosts would drop _static otherwise.
    (fresh / EXTRA / ".nojekyll").write_text("", encoding="utf-8")
    if not there():
        return
    for file in PAGES:
        shutil.copyfile(executed / file, fresh / EXTRA / file)
    if page.exists():
        title, rest = page.read_text(encoding="utf-8").split("\n", 1)
        doors = "\n".join(f'- <a href="../{file}">Open {words}</a>' for file, (_, words) in PAGES.items())
        page.write_text(f"{title}\n\n{doors}\n{rest}", encoding="utf-8")
