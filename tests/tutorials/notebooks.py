"""A tutorial as cells, and what happens when it is run from top to bottom."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "tutorials"
FIGURES = TUTORIALS / "figures"
TERMS = TUTORIALS / "pages" / "terms.md"

#: A cell that takes longer than this hangs; no limit on how long it may take.
CELL_SECONDS = 3600


@dataclass(frozen=True)
class Cell:
    """A cell: kind "markdown" or "code", its source and tags."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notebook:
    """A tutorial: its file name without ending (such as "02-forgetting"), text and cells."""

    name: str
    text: str
    cells: tuple[Cell, ...]

    @property
    def number(self) -> str:
        """The two digits its name begins with."""
        return self.name[:2]

    @property
    def markdown(self) -> str:
        """All prose as one Markdown text; each code cell leaves an empty line."""
        return "\n\n".join(cell.source if cell.kind == "markdown" else "" for cell in self.cells)

    @property
    def code(self) -> tuple[str, ...]:
        """Source of the code cells, without lines for the shell or the notebook itself."""
        sources = [cell.source for cell in self.cells if cell.kind == "code"]
        return tuple(re.sub(r"^[!%].*$", "pass", source, flags=re.MULTILINE) for source in sources)


def parse(name: str, text: str) -> Notebook:
    """Read MyST Markdown."""
    import jupytext

    read = jupytext.reads(text, fmt="md:myst")
    cells = tuple(Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ()))) for cell in read.cells)
    return Notebook(name, text, cells)


def paths(folder: Path = TUTORIALS) -> list[Path]:
    """The files of the tutorials, in the order of the series."""
    return sorted(folder.glob("[0-9][0-9]-*.md"))


def load(path: Path) -> Notebook:
    """Read a tutorial's file."""
    return parse(path.stem, path.read_text(encoding="utf-8"))


def series(folder: Path = TUTORIALS) -> list[Notebook]:
    """All tutorials, in order."""
    return [load(path) for path in paths(folder)]


@dataclass(frozen=True)
class Run:
    """What running a tutorial gave: seconds, and each figure's record and picture by name."""

    seconds: float
    records: dict[str, dict[str, Any]]
    pictures: dict[str, bytes]


def run(notebook: Notebook, folder: Path) -> Run:
    """Run all cells in a fresh kernel of this interpreter, in a folder of its own.

    The kernel finds `sparcl_ref` in this checkout, even where another copy is installed.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails, with the cell and its traceback.
    """
    import jupytext
    from nbclient import NotebookClient
    from traitlets.config import Config

    figures, work = folder / "figures", folder / "work"
    figures.mkdir()
    work.mkdir()
    client = NotebookClient(
        jupytext.reads(notebook.text, fmt="md:myst"),
        kernel_manager_class=_kernel_manager(),
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(work)}},
        # Else it stands in the home directory, which need not be writable.
        config=Config({"KernelManager": {"connection_file": str(folder / "kernel.json")}}),
    )
    start = time.perf_counter()
    client.execute(env=environment(figures, folder))
    return Run(
        seconds=time.perf_counter() - start,
        records={path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(figures.glob("*.json"))},
        pictures={path.stem: path.read_bytes() for path in sorted(figures.glob("*.png"))},
    )


def environment(figures: Path, folder: Path) -> dict[str, str]:
    """This process's environment, with this checkout first, figures kept, one thread for each library, and nobody's
    settings."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {
        **os.environ,
        **one,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "SPARCL_REF_FIGURES": str(figures),
        "MPLBACKEND": "agg",
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONWARNINGS": "default",
        # The debugger's remark on frozen modules, which has no place in a reader's output.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _kernel_manager() -> type:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(AsyncKernelManager):
        """Starts the interpreter that runs, whatever kernels are registered on the machine."""

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    return ThisInterpreter


def selected(notebooks: Sequence[Notebook], numbers: Sequence[str]) -> list[Notebook]:
    """The tutorials of these numbers ("02" or "2"), all if none is given.

    Raises
    ------
    ValueError
        If there is no tutorial of a number.
    """
    wanted = {number.zfill(2) for number in numbers}
    known = {notebook.number for notebook in notebooks}
    if wanted - known:
        raise ValueError(
            f"there is no tutorial {', '.join(sorted(wanted - known))}; there are {', '.join(sorted(known))}"
        )
    return [notebook for notebook in notebooks if not wanted or notebook.number in wanted]
