"""One self-contained page on which recorded runs are gone through by hand."""

from __future__ import annotations

import base64
import math
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparcl_ref.durable import put
from sparcl_ref.report.explorer.as_table import as_table
from sparcl_ref.report.explorer.assets import asset
from sparcl_ref.report.explorer.block import pack
from sparcl_ref.report.explorer.colours import stylesheet
from sparcl_ref.report.explorer.packing import unpack
from sparcl_ref.report.explorer.recording import Recording
from sparcl_ref.report.page.markup import escaped, joined

#: The page's script, in this order.
SCRIPTS = ("record", "sentences", "state", "pictures", "weights", "samples", "accuracy", "explorer")


def write(recordings: Sequence[Recording], path: str | Path) -> int:
    """Write the page of these runs, whole or not at all; returns its size in bytes.

    Raises
    ------
    ValueError
        As `pack` does.
    OSError
        Naming the file.
    """
    content = render(recordings).encode("utf-8")
    put(Path(path), content)
    return len(content)


def render(recordings: Sequence[Recording]) -> str:
    """The page of these runs, the first of which it opens with: a whole HTML document. Raises as `pack` does."""
    return page_of(pack(recordings))


def page_of(block: bytes) -> str:
    """The page that holds what `pack` made: nothing else goes into it."""
    header, sections = unpack(block)
    first = header["runs"][0]
    script = "\n".join(asset(f"{name}.js") for name in SCRIPTS)
    return string.Template(asset("explorer.html")).substitute(
        title=escaped(f"{first['title']}, epoch by epoch"),
        style=f"{stylesheet()}\n{asset('explorer.css')}",
        lead=escaped(_lead(header["dataset"], first)),
        grid=escaped(_grid(first)),
        table=joined(as_table(run, sections[f"{number}/slots"]) for number, run in enumerate(header["runs"])),
        record=base64.b64encode(block).decode("ascii"),
        script=f'(async () => {{\n"use strict";\n{script}\n}})();',
    )


def _lead(dataset: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """What the run is, and what to look at."""
    sparsity, tasks = run["settings"]["sparsity"], len(run["samples"])
    parts = f"{tasks} tasks" if tasks > 1 else "one task"
    dead = f" At any moment {100 * sparsity:g} % of its weights are dead." if sparsity else ""
    learns = f"A network learns the {dataset['classes']} classes of {dataset['name']} in {parts}."
    return f"{learns}{dead} Watch which weights live, what is remembered, and what becomes of each task."


def _grid(run: Mapping[str, Any]) -> str:
    """How weights lie in their picture."""
    cut = any(math.prod(layer["grid"]) < layer["size"] for layer in run["layers"])
    some = "a block of the layer" if cut else "the layer"
    return f"Output channels go down, input channels across, and each kernel is a small square; one sees {some}."
