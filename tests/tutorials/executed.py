"""Executed notebooks, kept for whoever shows them, so that a tutorial is run once and not again for each reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.tutorials.notebooks import Notebook, Run

#: Environment variable that names the folder in which tests of tutorials keep what they have run.
FOLDER_VARIABLE = "SPARCL_REF_EXECUTED"


def save(notebook: Notebook, run: Run, folder: Path) -> None:
    """Keep a run: its notebook as ``NAME.ipynb``, and the pictures it drew, light and dark, under ``figures/``."""
    import nbformat

    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name, picture in run.pictures.items():
        (figures / f"{name}.png").write_bytes(picture)
    # Last: where the notebook stands, its pictures do.
    nbformat.write(run.executed, path(notebook, folder))


def save_where_asked(notebook: Notebook, run: Run) -> None:
    """Keep a run in the folder of the environment variable, if there is one."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        save(notebook, run, Path(folder))


def outputs(notebook: Notebook, folder: Path) -> list[list[Any]] | None:
    """Outputs of each code cell in a run that was kept; None if none was, or of other code.

    The words around may have changed since.
    """
    import nbformat

    place = path(notebook, folder)
    if not place.exists():
        return None
    cells = [cell for cell in nbformat.read(place, as_version=4).cells if cell.cell_type == "code"]
    code = [cell.source for cell in notebook.cells if cell.kind == "code"]
    return [cell.outputs for cell in cells] if [cell.source for cell in cells] == code else None


def path(notebook: Notebook, folder: Path) -> Path:
    """Where a run's notebook is kept."""
    return folder / f"{notebook.name}.ipynb"
