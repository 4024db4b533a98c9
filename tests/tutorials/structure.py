"""The shape every tutorial has."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from pathlib import Path

from tests.tutorials.drawings import plain_code
from tests.tutorials.notebooks import BESIDE, Cell, Notebook
from tests.tutorials.prose import (
    CODE,
    FENCE,
    HEADING,
    IMAGE,
    MATHS,
    blanked,
    count_words,
    section,
    without_code,
    words_only,
)

HEAD = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""
OPENING = ("What you'll do", "What you'll learn", "What you'll need")
CLOSING = ("Exercises", "Further reading")
WORDS = (1000, 3000)
EXERCISES = (2, 4)
#: Heading after the exercises, of what has no solution.
OPEN = "Open questions"
FOLD_STARTS, FOLD_ENDS = "<details>\n<summary>Solution</summary>", "</details>"
#: Tags of the cell that a reader writes an answer into, and of a solution's code below it.
READERS, SOLUTION_CODE = "remove-cell", "hide-cell"
#: Columns of code: more scroll sideways on a page.
COLUMNS = 88
#: Mathematics of several lines.
LINES = re.compile(r"\\begin\{(aligned|cases|[bp]matrix)\}.*?\\end\{\1\}", re.DOTALL)
#: What a reader has after installing the package.
INSTALLED = {"numpy", "scipy", "numba", "matplotlib", "threadpoolctl", "sparcl_ref"}
#: What an extra of the package brings, for tutorials that name the extra among what a reader needs.
EXTRAS = {"torch": ".[test]"}


def violations(notebook: Notebook) -> list[str]:
    """What is missing from the form of a tutorial, or out of place."""
    found = [
        *_head(notebook),
        *_opening(notebook),
        *_sections(notebook),
        *_length(notebook),
        *_exercises(notebook),
        *_links(notebook),
    ]
    found += [*mathematics(notebook.markdown), *public_only(notebook), *wide(notebook), *drawn_only(notebook)]
    return [f"{notebook.name}: {line}" for line in found]


def _head(notebook: Notebook) -> list[str]:
    found = []
    if not notebook.text.startswith(HEAD):
        found.append("the file must begin with the front matter of the series")
    if not notebook.cells or not notebook.cells[0].source.startswith("# "):
        found.append("the first cell must begin with the title, '# ...'")
    return found


def _opening(notebook: Notebook) -> list[str]:
    """What stands between the title and the first section: a question, a picture, and something to guess."""
    start, _ = section(notebook.markdown, OPENING[0])
    opening = notebook.markdown[:start].partition("\n")[2]
    wanted = {"a question": r"\?", "a picture": IMAGE, "something to guess": re.compile("guess", re.IGNORECASE)}
    return [f"the opening has not {what}" for what, sign in wanted.items() if not re.search(sign, opening)]


def _sections(notebook: Notebook) -> list[str]:
    headings = [
        match.group("title") for match in HEADING.finditer(without_code(notebook.markdown)) if match["marks"] == "##"
    ]
    titles = [
        match.group("title") for match in HEADING.finditer(without_code(notebook.markdown)) if match["marks"] == "#"
    ]
    found = [] if len(titles) == 1 else [f"expected one title, got {titles}"]
    numbered = [re.match(r"(\d+)\. \S", heading) for heading in headings[len(OPENING) : -len(CLOSING)]]
    steps = [int(match.group(1)) for match in numbered if match]
    ordered = tuple(headings[: len(OPENING)]) == OPENING and tuple(headings[-len(CLOSING) :]) == CLOSING
    if not ordered or len(steps) != len(numbered) or steps != list(range(1, len(steps) + 1)) or not steps:
        found.append(f"sections must be {', '.join(OPENING)}, 1. ... 2. ..., {', '.join(CLOSING)}; got {headings}")
    return found


def _length(notebook: Notebook) -> list[str]:
    words = count_words(notebook.markdown)
    return [] if WORDS[0] <= words <= WORDS[1] else [f"{words} words of prose; {WORDS[0]} to {WORDS[1]} are expected"]


def _exercises(notebook: Notebook) -> list[str]:
    """Below each exercise: a cell for the reader, and the solution, folded away wherever one reads."""
    place = next((i for i, cell in enumerate(notebook.cells) if "## Exercises" in cell.source.splitlines()), None)
    cells = [] if place is None else [cell for cell in notebook.cells[place:] if cell.source.strip()]
    folds = [i for i, cell in enumerate(cells) if cell.kind == "markdown" and "<details>" in cell.source]
    found = [line for i in folds for line in _solution(cells, i)]
    if any("<details>" in cell.source for cell in notebook.cells[:place] if cell.kind == "markdown"):
        found.append("a fold outside the exercises")
    headings = _titles_of_exercises(notebook.markdown)
    if headings != [f"{number}." for number in range(1, len(folds) + 1)]:
        found.append(f"each exercise has a heading, '### 1. Title'; {len(folds)} solutions have {headings}")
    if not EXERCISES[0] <= len(folds) <= EXERCISES[1]:
        found.append(f"{len(folds)} solutions; {EXERCISES[0]} to {EXERCISES[1]} are expected")
    return found


def _solution(cells: list[Cell], place: int) -> list[str]:
    """What is wrong with a solution: of its words, in one cell, and of the code cells that follow."""
    found, text = [], cells[place].source.strip()
    # Jupyter renders cell by cell: a fold that ends in another cell hides nothing there.
    if not (text.startswith(FOLD_STARTS) and text.endswith(FOLD_ENDS) and text.count("<details>") == 1):
        found.append("a solution's words are one Markdown cell, from <details> and <summary> to </details>")
    elif not text.removeprefix(FOLD_STARTS).removesuffix(FOLD_ENDS).strip():
        found.append("a solution says something in words")
    before = cells[place - 1]
    if before.kind != "code" or READERS not in before.tags or _statements(before.source):
        found.append(f"above a solution stands an empty code cell for the reader, tagged {READERS}")
    after = list(itertools.takewhile(lambda cell: cell.kind == "code", cells[place + 1 :]))
    code = [cell for cell in after if READERS not in cell.tags]
    if not any(_asserts(cell.source) for cell in code):
        found.append("below a solution's words stands its code, with an assert")
    if not all(SOLUTION_CODE in cell.tags and cell.hidden for cell in code):
        found.append(f"a solution's code needs :tags: [{SOLUTION_CODE}] and :jupyter: {{source_hidden: true}}")
    return found


def _statements(source: str) -> list[ast.stmt]:
    return ast.parse(plain_code(source)).body


def wide(notebook: Notebook) -> list[str]:
    """Lines of code that a page would have to scroll sideways."""
    lines = [line for cell in notebook.cells if cell.kind == "code" for line in cell.source.splitlines()]
    return [f"code of {len(line)} columns, {COLUMNS} at most: {line.strip()}" for line in lines if len(line) > COLUMNS]


def drawn_only(notebook: Notebook) -> list[str]:
    """Names that only folded cells define, and cells in sight use: a reader would not know where they come from."""
    found, folded, seen = [], set(), set()
    for cell in notebook.cells:
        if cell.kind != "code":
            continue
        loaded, stored = _names(cell.source)
        if cell.hidden:
            folded |= stored
            continue
        found += [f"{name} is defined in a folded cell only" for name in sorted((loaded - stored) & (folded - seen))]
        seen |= stored
    return found


def _names(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell reads, and names that it gives a meaning."""
    nodes = list(ast.walk(ast.parse(plain_code(source))))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    stored |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stored |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    imports = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    return loaded, stored | {(alias.asname or alias.name).split(".")[0] for alias in imports}


def _titles_of_exercises(markdown: str) -> list[str]:
    """Numbers of the headings in the exercises, such as "1."; "?" for a heading without one or without a title.

    The last one may be that of the open questions, and is left out.
    """
    start, end = section(markdown, "Exercises")
    titles = re.findall(r"^###\s+(.*?)\s*$", without_code(markdown)[start:end], re.MULTILINE)
    if titles[-1:] == [OPEN]:
        titles.pop()
    return [match.group(1) if (match := re.match(r"(\d+\.) \S", title)) else "?" for title in titles]


def _asserts(source: str) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(plain_code(source))))


def _links(notebook: Notebook) -> list[str]:
    """Code that looks like Python but is not run, and markup a code host does not show."""
    found = [
        f"Python that is not run: {block.group().splitlines()[1] if block.group().count(chr(10)) else ''}"
        for block in FENCE.finditer(notebook.markdown)
        if re.match(r"```+\s*(?:python|py|ipython3?)\b", block.group())
    ]
    if re.search(r"^(```+|:::+)\s*\{", notebook.markdown, re.MULTILINE):
        found.append("MyST directives are not shown by a code host; use plain Markdown")
    if "—" in words_only(notebook.markdown):
        found.append("em dash in prose")
    start, end = section(notebook.markdown, "Further reading")
    if not re.search(r"\w", notebook.markdown[start:end].replace("Further reading", "")):
        found.append("nothing to read further")
    return found


def mathematics(markdown: str) -> list[str]:
    r"""Backslashes before anything but a letter: a code host drops them, and ``\,`` leaves a comma in the formula.

    A line break inside an environment of several lines may stand, because there is no other way to write one.
    """
    found = []
    for formula in MATHS.finditer(blanked(CODE, blanked(FENCE, markdown))):
        text = LINES.sub(lambda match: match.group().replace(r"\\", " "), formula.group())
        for match in re.finditer(r"\\[^a-zA-Z]", text):
            found.append(f"{match.group()} in mathematics, where a backslash needs a letter: {' '.join(text.split())}")
    return found


def public_only(notebook: Notebook) -> list[str]:
    """Uses of private names, and imports of what neither the package brings nor stands beside the tutorial."""
    start, end = section(notebook.markdown, OPENING[-1])
    needs = notebook.markdown[start:end]
    here = {Path(name).stem for name in BESIDE if name.endswith(".py")}
    here |= {name for name, extra in EXTRAS.items() if extra in needs}
    found = []
    for source in notebook.code:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and _private(node.attr):
                found.append(f"private name .{node.attr}")
            elif isinstance(node, ast.Name) and _private(node.id):
                found.append(f"private name {node.id}")
            elif isinstance(node, ast.Import):
                found += _imports([alias.name for alias in node.names], here)
            elif isinstance(node, ast.ImportFrom):
                found += _imports([node.module or "."], here)
                found += [f"private name {alias.name}" for alias in node.names if _private(alias.name)]
    return found


def _extra(module: str) -> str:
    extra = EXTRAS.get(module)
    return f"; say under {OPENING[-1]} that {extra} brings it" if extra else ""


def _private(name: str) -> bool:
    return name.startswith("_") and name != "_" and not (name.startswith("__") and name.endswith("__"))


def _imports(modules: list[str], here: set[str]) -> list[str]:
    found = []
    for module in modules:
        first, *rest = module.split(".")
        if first not in INSTALLED | here and first not in sys.stdlib_module_names:
            found.append(f"import of {module}, which is not installed with the package{_extra(first)}")
        if any(_private(part) for part in [first, *rest]):
            found.append(f"private module {module}")
    return found
