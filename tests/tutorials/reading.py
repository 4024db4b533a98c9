"""Reading copies: a tutorial as a code host shows it best, with what its cells print and draw.

The notebook's source stays the only one. Of a copy, all but the printed output follows from it.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tutorials.drawings import WIDTH, Drawing, drawings, plain_code
from tests.tutorials.figures import RELATIVE
from tests.tutorials.notebooks import READ, TUTORIALS, Cell, Notebook
from tests.tutorials.prose import ANOTHER, IMAGE, LINK, without_code
from tests.tutorials.structure import FOLD_ENDS, READERS, SOLUTION_CODE

MADE = "<!-- Made from ../{name}.md by `python -m tests.tutorials --write`: change that, not this. -->"
INVITATION = "*To run it and to change it, open [its source](../{name}.md) in Jupyter.*"
#: Tag of a cell whose output depends on how fast the machine is.
TIMED = "timed"
OUTPUT = re.compile(r"^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|\bnan\b")
#: Pixels of the page for each inch of a figure.
PIXELS = 100


def page(notebook: Notebook, outputs: Sequence[str]) -> str:
    """The reading copy.

    Parameters
    ----------
    notebook : Notebook
    outputs : sequence of str
        What each code cell printed.
    """
    blocks, printed = [MADE.format(name=notebook.name)], iter(outputs)
    solution = False
    for cell in notebook.cells:
        if cell.kind == "code":
            output = next(printed)
            if READERS in cell.tags:
                continue
            if solution and SOLUTION_CODE not in cell.tags:
                solution = _close(blocks)
            blocks += _code(cell, output)
            continue
        if solution:
            solution = _close(blocks)
        text = _from_below(cell.source)
        if text.endswith(FOLD_ENDS):
            # One fold for what the solution says and for its code.
            solution, text = True, text.removesuffix(FOLD_ENDS).rstrip()
        blocks.append(text)
    if solution:
        _close(blocks)
    title, rest = blocks[1].split("\n", 1)
    blocks[1:2] = [title, INVITATION.format(name=notebook.name), rest.strip()]
    return "\n\n".join(blocks) + "\n"


def _close(blocks: list[str]) -> bool:
    blocks.append(FOLD_ENDS)
    return False


def _code(cell: Cell, output: str) -> list[str]:
    """Blocks for a code cell: its code but for drawing, what it printed, its figures, and folded what it checks."""
    shown, checks = ("", "") if drawings(cell.source) else (cell.source, "")
    if shown and SOLUTION_CODE not in cell.tags:
        shown, checks = parts(cell.source)
    blocks = [_fenced("python", shown), _fenced("text", _trimmed(output))] + [
        _picture(figure) for figure in drawings(cell.source)
    ]
    if checks:
        blocks.append(f"<details>\n<summary>checked</summary>\n\n{_fenced('python', checks)}\n\n{FOLD_ENDS}")
    return [block for block in blocks if block]


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```" if text else ""


def _trimmed(output: str) -> str:
    """Without blanks at the ends of lines and empty lines around."""
    return "\n".join(line.rstrip() for line in output.splitlines()).strip("\n")


def _picture(figure: Drawing) -> str:
    """The figure for light and dark pages, no wider than it was drawn."""
    return _shaded(f"figures/{figure.name}.png", figure.alt, round(PIXELS * figure.width))


def _shaded(target: str, alt: str, width: int) -> str:
    """A picture of which there is a dark version beside the light one."""
    return "\n".join(
        [
            "<picture>",
            f'  <source media="(prefers-color-scheme: dark)" srcset="../{target.removesuffix(".png")}-dark.png">',
            f'  <img src="../{target}" width="{width}"',
            f'       alt="{html.escape(alt)}">',
            "</picture>",
        ]
    )


def _from_below(markdown: str) -> str:
    """With links as seen from the folder of the copies, where the other tutorials have theirs."""
    text = without_code(markdown)
    for link in reversed(list(LINK.finditer(text))):
        target = link["target"]
        if "://" not in target and not target.startswith("#") and not ANOTHER.match(target):
            start, end = link.span("target")
            markdown = markdown[:start] + f"../{target}" + markdown[end:]
    return IMAGE.sub(_image_from_below, markdown)


def _image_from_below(image: re.Match[str]) -> str:
    """An image that no cell draws, in the dark version too if there is one."""
    alt, target = image["alt"], image["target"]
    if (TUTORIALS / f"{target.removesuffix('.png')}-dark.png").exists():
        return _shaded(target, alt, round(PIXELS * WIDTH))
    return f"![{alt}](../{target})"


def parts(source: str) -> tuple[str, str]:
    """A cell's code, and what it only checks at its end, comments before it included."""
    body, lines = ast.parse(plain_code(source)).body, source.splitlines()
    keep = len(body)
    while keep and _checks(body[keep - 1]):
        keep -= 1
    cut = (body[keep - 1].end_lineno or 0) if keep else 0
    if keep == len(body):
        cut = len(lines)
    return "\n".join(lines[:cut]).strip("\n"), "\n".join(lines[cut:]).strip("\n")


def _checks(node: ast.stmt) -> bool:
    """Whether a statement asserts and does nothing else."""
    if isinstance(node, ast.For):
        return all(_checks(inner) for inner in node.body)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name.startswith("assert_")
    return isinstance(node, ast.Assert)


def kept(notebook: Notebook, folder: Path = READ) -> list[str]:
    """What each code cell printed when the committed copy was made, for a text whose code has not changed.

    Raises
    ------
    ValueError
        If there is code that the copy does not show.
    """
    committed, outputs, place = path(notebook, folder).read_text(encoding="utf-8"), [], 0
    for cell in notebook.cells:
        if cell.kind != "code":
            continue
        code = next(iter(_code(cell, "")), "")
        if READERS in cell.tags or not code.startswith("```python"):
            outputs.append("")
            continue
        found = committed.find(code, place)
        if found < 0:
            raise ValueError(f"{notebook.name}: its code is not that of the copy; {_remedy(notebook)}")
        place = found + len(code)
        printed = OUTPUT.match(committed, place + len("\n\n"))
        outputs.append(printed.group(1) if printed else "")
    return outputs


def path(notebook: Notebook, folder: Path = READ) -> Path:
    """Where the copy stands."""
    return folder / f"{notebook.name}.md"


def orphans(notebooks: Sequence[Notebook], folder: Path = READ) -> list[str]:
    """Copies of what is no tutorial."""
    names = {f"{notebook.name}.md" for notebook in notebooks}
    files = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
    return [f"read/{name} is a copy of no tutorial" for name in files if name not in names]


def violations(notebook: Notebook, folder: Path = READ) -> list[str]:
    """Where the committed copy does not follow from the source, whatever was printed."""
    place = path(notebook, folder)
    if not place.exists():
        return [f"{notebook.name}: read/{place.name} is not committed; {_remedy(notebook)}"]
    made, committed = page(notebook, [""] * len(notebook.code)), place.read_text(encoding="utf-8")
    now, before = (OUTPUT.sub("", text).split() for text in (made, committed))
    if now == before:
        return []
    at = next((i for i, (one, other) in enumerate(zip(now, before, strict=False)) if one != other), -1)
    around = " ".join(now[max(0, at - 4) : at + 4]) if at >= 0 else "its end"
    return [f"{notebook.name}: read/{place.name} is not made from the source, at {around!r}; {_remedy(notebook)}"]


def stale(
    notebook: Notebook, outputs: Sequence[str], records: Mapping[str, Mapping[str, Any]], folder: Path = READ
) -> list[str]:
    """Where what a run has printed departs from the committed copy.

    Words have to be equal, and numbers to be near: the tutorial's assertions say what they may be, and its figures'
    tolerances by how much they may differ from machine to machine.
    """
    if found := violations(notebook, folder):
        return found
    cells = [cell for cell in notebook.cells if cell.kind == "code"]
    now = [(cell, text) for cell, text in zip(cells, map(_trimmed, outputs), strict=True) if text]
    now = [(cell, text) for cell, text in now if READERS not in cell.tags]
    before = OUTPUT.findall(path(notebook, folder).read_text(encoding="utf-8"))
    if len(now) != len(before):
        return [f"{notebook.name}: {len(now)} outputs, {len(before)} in the copy; {_remedy(notebook)}"]
    within = max([record["within"] for record in records.values()], default=0.0)
    return [
        f"{notebook.name}: {line}; {_remedy(notebook)}"
        for (cell, one), other in zip(now, before, strict=True)
        for line in _departures(one, other, within, timed=TIMED in cell.tags)
    ]


def _departures(now: str, before: str, within: float, *, timed: bool) -> list[str]:
    # A number that is longer moves what stands beside it, and the rule of its table.
    words, committed = ("".join(re.sub("-{3,}", "---", NUMBER.sub("#", text)).split()) for text in (now, before))
    if words != committed:
        return [f"printed {words[:80]!r}, in the copy {committed[:80]!r}"]
    if timed:
        return []
    pairs = zip(*([match.group() for match in NUMBER.finditer(text)] for text in (now, before)), strict=True)
    return [f"printed {one}, in the copy {other}" for one, other in pairs if not _near(one, other, within)][:1]


def _near(one: str, other: str, within: float) -> bool:
    a, b = (float(text.replace(",", "").replace("−", "-")) for text in (one, other))
    if a == b or (a != a and b != b):
        return True
    size = max(abs(a), abs(b))
    # Figures keep accuracies as fractions, and what is printed has them in percent, too.
    slack = 100 * within if within < 1 < size else within
    return abs(a - b) <= slack + (0.05 if within else RELATIVE) * size


def _remedy(notebook: Notebook) -> str:
    return f"renew it with python -m tests.tutorials --write {notebook.number}"
