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

from tests.tutorials.drawings import drawings, plain_code

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "tutorials"
FIGURES = TUTORIALS / "figures"
READ = TUTORIALS / "read"
TERMS = TUTORIALS / "pages" / "terms.md"
#: What a tutorial finds beside it, where a reader opens it.
BESIDE = ("port.py", "port_runs.py", "results", "verify_c")

#: A cell that takes longer than this hangs; no limit on how long it may take.
CELL_SECONDS = 3600


@dataclass(frozen=True)
class Cell:
    """A cell: kind "markdown" or "code", its source and tags, and whether Jupyter folds the source away."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def prose(self) -> str:
        """Its part of the text: of code the figures it draws, as images with what they show in words."""
        if self.kind == "markdown":
            return self.source
        return "\n\n".join(f"![{drawn.alt}](figures/{drawn.name}.png)" for drawn in drawings(self.source))


@dataclass(frozen=True)
class Notebook:
    """A tutorial: its file name without ending (such as "02-forgetting"), text and cells."""

    name: str
    text: str
    cells: tuple[Cell, ...]

    @property
    def number(self) -> str:
        """What its name begins with: two digits, and a letter where a subject has several parts."""
        return self.name.split("-")[0]

    @property
    def markdown(self) -> str:
        """All prose as one Markdown text, with an image for each figure that the code draws."""
        return "\n\n".join(cell.prose for cell in self.cells)

    @property
    def code(self) -> tuple[str, ...]:
        """Source of the code cells, without lines for the shell or the notebook itself."""
        return tuple(plain_code(cell.source) for cell in self.cells if cell.kind == "code")


def parse(name: str, text: str) -> Notebook:
    """Read MyST Markdown."""
    import jupytext

    read = jupytext.reads(text, fmt="md:myst")
    cells = tuple(
        Cell(
            cell.cell_type,
            cell.source,
            tuple(cell.metadata.get("tags", ())),
            bool(cell.metadata.get("jupyter", {}).get("source_hidden")),
        )
        for cell in read.cells
    )
    return Notebook(name, text, cells)


def paths(folder: Path = TUTORIALS) -> list[Path]:
    """The files of the tutorials, in the order of the series."""
    return sorted(folder.glob("[0-9][0-9]*-*.md"))


def load(path: Path) -> Notebook:
    """Read a tutorial's file."""
    return parse(path.stem, path.read_text(encoding="utf-8"))


def series(folder: Path = TUTORIALS) -> list[Notebook]:
    """All tutorials, in order."""
    return [load(path) for path in paths(folder)]


@dataclass(frozen=True)
class Run:
    """What running a tutorial gave.

    Seconds, each figure's record by name, each picture by file name without ending, of each code cell what it printed
    and what it printed to the error stream, and the executed notebook as Jupyter keeps it.
    """

    seconds: float
    records: dict[str, dict[str, Any]]
    pictures: dict[str, bytes]
    outputs: tuple[str, ...]
    errors: tuple[str, ...]
    executed: Any


def run(notebook: Notebook, folder: Path) -> Run:
    """Run all cells in a fresh kernel of this interpreter, in a folder of its own with `BESIDE` in it.

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
    for name in BESIDE:
        (work / name).symlink_to(TUTORIALS / name)
    read = jupytext.reads(notebook.text, fmt="md:myst")
    client = NotebookClient(
        read,
        kernel_manager_class=_kernel_manager(),
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(work)}},
        # Else it stands in the home directory, which need not be writable.
        config=Config({"KernelManager": {"connection_file": str(folder / "kernel.json")}}),
    )
    start = time.perf_counter()
    client.execute(env=environment(figures, folder))
    outputs = [cell.outputs for cell in read.cells if cell.cell_type == "code"]
    return Run(
        seconds=time.perf_counter() - start,
        outputs=tuple(_printed(each, "stdout") for each in outputs),
        errors=tuple(_printed(each, "stderr") for each in outputs),
        records={path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(figures.glob("*.json"))},
        pictures={path.stem: path.read_bytes() for path in sorted(figures.glob("*.png"))},
        executed=read,
    )


def _printed(outputs: Sequence[Any], stream: str) -> str:
    """Text of a cell's outputs: of the stream, and on standard output of the value it ends with."""
    parts = []
    for output in outputs:
        if output.output_type == "stream" and output.name == stream:
            parts.append(output.text)
        elif output.output_type == "execute_result" and stream == "stdout":
            parts.append(output.data["text/plain"] + "\n")
    return re.sub(r"\x1b\[[\d;]*m", "", "".join(parts))


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
    """The tutorials of these numbers ("02" or "2"; "01" for 01a and 01b), all if none is given.

    Raises
    ------
    ValueError
        If there is no tutorial of a number.
    """
    wanted = {re.sub(r"^\d(?!\d)", r"0\g<0>", number) for number in numbers}
    known = {notebook.number for notebook in notebooks}
    unknown = wanted - known - {number[:2] for number in known}
    if unknown:
        raise ValueError(f"there is no tutorial {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return [notebook for notebook in notebooks if not wanted or wanted & {notebook.number, notebook.number[:2]}]
