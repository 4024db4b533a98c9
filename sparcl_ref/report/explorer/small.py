"""Small pages on one idea each, to be worked by hand: nothing of a run is in them."""

from __future__ import annotations

import string
from pathlib import Path

from sparcl_ref.durable import put
from sparcl_ref.report.explorer.assets import asset
from sparcl_ref.report.explorer.colours import stylesheet

#: Name to title; what is in a page and what works it are files of that name.
SMALL = {
    "reservoir": "A buffer that is fair to every sample",
    "convolution": "A convolution, forward and backward",
}


def small_page(name: str) -> str:
    """The page of that name in `SMALL`: a whole HTML document that loads nothing."""
    return string.Template(asset("small.html")).substitute(
        title=SMALL[name],
        style=f"{stylesheet()}\n{asset('small.css')}",
        body=asset(f"{name}.body.html"),
        script=f'(() => {{\n"use strict";\n{asset(f"{name}.js")}\n}})();',
    )


def write_small(name: str, path: str | Path) -> int:
    """Write that page, whole or not at all; returns its size in bytes. OSError names the file."""
    content = small_page(name).encode("utf-8")
    put(Path(path), content)
    return len(content)
