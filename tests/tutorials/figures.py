"""Figures are committed, shown with a description, and still what the notebook draws."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tutorials.drawings import Drawing, drawings
from tests.tutorials.notebooks import FIGURES, Notebook
from tests.tutorials.prose import IMAGE, LINK, without_code

PICTURE_BYTES = 80_000
RECORD_BYTES = 30_000
LEAST_ALT = 20
#: Inches: a page shows a hundred pixels for each, and letters of a wider figure would be small on a phone.
WIDEST = 6.5
#: Of the files of a figure: for light pages, for dark ones, and its data.
FILES = {".png": PICTURE_BYTES, "-dark.png": PICTURE_BYTES, ".json": RECORD_BYTES}
#: Pictures of other pages, which `python -m tests.report.explorer` takes.
STILLS = ("explorer.png", "explorer-dark.png")
#: Numbers are kept to seven digits, and float32 sums in another order differ in the last of them.
RELATIVE = 1e-5


def drawn(notebook: Notebook) -> list[Drawing]:
    """The figures that a notebook draws, in order."""
    return [figure for source in notebook.code for figure in drawings(source)]


def violations(notebook: Notebook, folder: Path = FIGURES) -> list[str]:
    """Figures without committed files or description, images beside the cells that draw, and links to nowhere."""
    found = []
    names = [figure.name for figure in drawn(notebook)]
    for cell in notebook.cells:
        if cell.kind == "code":
            if drawings(cell.source) and not ("hide-input" in cell.tags and cell.hidden):
                found.append("a cell that draws needs :tags: [hide-input] and :jupyter: {source_hidden: true}")
            continue
        text = without_code(cell.source)
        for image in IMAGE.finditer(text):
            if Path(image["target"]).stem in names:
                # Where a notebook is run, the figure would stand there twice.
                found.append(f"image {image['target']}: figures are shown by the cells that draw them")
            elif not (folder.parent / image["target"]).exists():
                found.append(f"image {image['target']}, which does not exist")
            elif len(image["alt"]) < LEAST_ALT:
                found.append(f"image {image['target']} needs a description of what one sees, got {image['alt']!r}")
        for link in LINK.finditer(text):
            target = link["target"].split("#")[0]
            if target and "://" not in target and not (folder.parent / target).exists():
                found.append(f"link to {target}, which does not exist")
    figures = drawn(notebook)
    found += [f"figure {name} is drawn twice" for name in sorted({name for name in names if names.count(name) > 1})]
    for figure in figures:
        if figure.name == "?" or not figure.name.startswith(f"{notebook.number}-"):
            found.append(f"a figure's name is written out and begins with {notebook.number}-, got {figure.name}")
            continue
        if len(figure.alt) < LEAST_ALT or "]" in figure.alt:
            found.append(f"figure {figure.name} needs alt, a description of what one sees, got {figure.alt!r}")
        if figure.width > WIDEST:
            found.append(f"figure {figure.name} is {figure.width} inches wide; {WIDEST} is the most")
        for ending, most in FILES.items():
            path = folder / f"{figure.name}{ending}"
            if not path.exists():
                found.append(f"{path.name} is not committed; write it with python -m tests.tutorials --write")
            elif path.stat().st_size > most:
                found.append(f"{path.name} has {path.stat().st_size} bytes; {most} is the most")
    return [f"{notebook.name}: {line}" for line in found]


def orphans(notebooks: Sequence[Notebook], folder: Path = FIGURES) -> list[str]:
    """Files in the folder of figures that belong to no tutorial."""
    names = {f"{figure.name}{ending}" for notebook in notebooks for figure in drawn(notebook) for ending in FILES}
    for notebook in notebooks:
        shown = [Path(image["target"]) for image in IMAGE.finditer(without_code(notebook.markdown))]
        names |= {name for path in shown for name in (path.name, f"{path.stem}-dark{path.suffix}")}
    names |= set(STILLS)
    files = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    return [f"figures/{name} belongs to no tutorial" for name in files if name not in names]


def stale(records: Mapping[str, Mapping[str, Any]], number: str, folder: Path = FIGURES) -> list[str]:
    """Where what a run has drawn departs from what is committed.

    Parameters
    ----------
    records : mapping
        Each figure's record, by name.
    number : str
        Of the tutorial.
    folder : Path
    """
    found = []
    committed = {path.stem: path for path in folder.glob(f"{number}-*.json")}
    found += [f"{name}.json is committed, but was not drawn" for name in sorted(set(committed) - set(records))]
    for name, record in records.items():
        if name not in committed:
            found.append(f"{name}.json is not committed; write it with python -m tests.tutorials --write {number}")
            continue
        before = json.loads(committed[name].read_text(encoding="utf-8"))
        if before["within"] != record["within"]:
            found.append(f"{name}: tolerance {record['within']}, committed {before['within']}")
        found += differences(record["data"], before["data"], within=before["within"], where=name)
    return found


def differences(now: Any, before: Any, *, within: float, where: str) -> list[str]:
    """Where two records differ by more than a tolerance, the first place of each kind."""
    if _is_number(now) and _is_number(before):
        # What follows by arithmetic on whole numbers is exact; floats keep seven digits.
        slack = within if isinstance(now, int) and isinstance(before, int) else within + RELATIVE * abs(before)
        return [] if abs(now - before) <= slack else [f"{where}: {now}, committed {before}, tolerance {within}"]
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        pairs = enumerate(zip(now, before, strict=True))
        found = [
            line for index, (a, b) in pairs for line in differences(a, b, within=within, where=f"{where}[{index}]")
        ]
        return found[:1]
    if isinstance(now, dict) and isinstance(before, dict) and now.keys() == before.keys():
        return [
            line for key in now for line in differences(now[key], before[key], within=within, where=f"{where}.{key}")
        ]
    return (
        [] if now == before and type(now) is type(before) else [f"{where}: {_short(now)}, committed {_short(before)}"]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
