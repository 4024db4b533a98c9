"""Tutorials as they ran: the notebooks that Sphinx reads, with outputs, figures for light and dark, and folds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.tutorials import executed as kept
from tests.tutorials.drawings import Drawing, drawings
from tests.tutorials.notebooks import Cell, Notebook
from tests.tutorials.reading import PIXELS, parts
from tests.tutorials.structure import FOLD_ENDS, READERS, SOLUTION_CODE
from website.links import Checkout, seen_from, shaded

WORKBOOK = "tutorials/from_scratch.md"
#: Notebooks to take home; not read by Sphinx.
DOWNLOADS = "notebooks"


def write(notebook: Notebook, executed: Path, checkout: Checkout, fresh: Path) -> None:
    """Write a tutorial's page, its pictures, and its executed notebook to take home."""
    import nbformat

    outputs = kept.outputs(notebook, executed)
    if outputs is None:
        raise ValueError(f"{notebook.name} was not run")
    name = f"tutorials/{notebook.name}.md"
    page = made(notebook, outputs)
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = seen_from(cell.source, name, checkout, fresh)
    page.cells[0].source = _with_invitation(page.cells[0].source, f"{DOWNLOADS}/{notebook.name}.ipynb")
    nbformat.write(page, fresh / checkout.staged[name])
    _copy(kept.path(notebook, executed), fresh / DOWNLOADS)
    for picture in sorted((executed / "figures").glob(f"{notebook.name.split('-')[0]}-*.png")):
        _copy(picture, fresh / "figures")


def made(notebook: Notebook, outputs: Sequence[Sequence[Any]]) -> Any:
    """The notebook that Sphinx reads.

    Parameters
    ----------
    notebook : Notebook
    outputs : sequence
        Of each code cell.
    """
    from nbformat.v4 import new_notebook

    cells, printed, solution = [], iter(outputs), False
    for cell in notebook.cells:
        if cell.kind == "code":
            output = next(printed)
            if READERS in cell.tags:
                continue
            if solution and SOLUTION_CODE not in cell.tags:
                solution = _close(cells)
            cells += _code(cell, output)
            continue
        if solution:
            solution = _close(cells)
        text = cell.source.rstrip()
        if text.endswith(FOLD_ENDS):
            # One fold for what the solution says and for its code.
            solution, text = True, text.removesuffix(FOLD_ENDS).rstrip()
        cells.append(_markdown(text))
    if solution:
        _close(cells)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    page = new_notebook(cells=cells, metadata=kernel)
    for number, cell in enumerate(page.cells):
        cell["id"] = f"cell-{number}"  # else by chance, and nothing would be as it was
    return page


def _code(cell: Cell, output: Sequence[Any]) -> list[Any]:
    """Cells for a code cell: its code with what it printed, its figures, and folded what it only checks."""
    figures = drawings(cell.source)
    shown, checks = (cell.source, "")
    if not figures and SOLUTION_CODE not in cell.tags:
        shown, checks = parts(cell.source)
    found = []
    if shown:
        printed = [each for each in output if "image/png" not in each.get("data", {})]
        found.append(_source(shown, printed, ["hide-input"] if figures else []))
    found += [_markdown(_pictures(figure)) for figure in figures]
    if checks:
        folded = [_markdown("<details>\n<summary>checked</summary>"), _source(checks, [], []), _markdown(FOLD_ENDS)]
        # What the cell printed, if it only checks.
        found += folded if shown else [_source(checks, output, [])]
    return found


def _pictures(figure: Drawing) -> str:
    """A figure for light and for dark pages, no wider than it was drawn."""
    name, width = f"figures/{figure.name}", round(PIXELS * figure.width)
    return shaded(f"{name}.png", f"{name}-dark.png", figure.alt, f":width: {width}px\n")


def _close(cells: list[Any]) -> bool:
    cells.append(_markdown(FOLD_ENDS))
    return False


def _markdown(text: str) -> Any:
    from nbformat.v4 import new_markdown_cell

    return new_markdown_cell(text)


def _source(code: str, outputs: Sequence[Any], tags: list[str]) -> Any:
    from nbformat.v4 import new_code_cell

    return new_code_cell(code, outputs=list(outputs), metadata={"tags": tags} if tags else {})


def _with_invitation(text: str, download: str) -> str:
    title, rest = (text + "\n").split("\n", 1)
    return f"{title}\n\n*To run it and to change it:* {{download}}`this page as a notebook <{download}>`\n{rest}"


def write_workbook(checkout: Checkout, fresh: Path) -> None:
    """Let the workbook's page offer it as a notebook, and write that."""
    import jupytext

    page = fresh / checkout.staged[WORKBOOK]
    text = page.read_text(encoding="utf-8")
    head, title, rest = text.partition("# ")
    name = f"{DOWNLOADS}/from_scratch.ipynb"
    page.write_text(head + _with_invitation(title + rest, name), encoding="utf-8")
    notebook = jupytext.reads(checkout.read(WORKBOOK), fmt="md:myst")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    (fresh / DOWNLOADS).mkdir(exist_ok=True)
    jupytext.write(notebook, fresh / name)


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)
