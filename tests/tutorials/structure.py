"""The shape every tutorial has."""

from __future__ import annotations

import ast
import re
import sys

from tests.tutorials.notebooks import Notebook
from tests.tutorials.prose import CODE, FENCE, HEADING, MATHS, blanked, count_words, section, without_code, words_only

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
WORDS = (1000, 2500)
EXERCISES = (2, 4)
SOLUTION = "<summary>Solution</summary>"
#: Mathematics of several lines.
LINES = re.compile(r"\\begin\{(aligned|cases|[bp]matrix)\}.*?\\end\{\1\}", re.DOTALL)
#: What a reader has after installing the package.
INSTALLED = {"numpy", "scipy", "matplotlib", "sparcl_ref"}


def violations(notebook: Notebook) -> list[str]:
    """What is missing from the form of a tutorial, or out of place."""
    found = [*_head(notebook), *_sections(notebook), *_length(notebook), *_exercises(notebook), *_links(notebook)]
    return [f"{notebook.name}: {line}" for line in [*found, *mathematics(notebook.markdown), *public_only(notebook)]]


def _head(notebook: Notebook) -> list[str]:
    found = []
    if not notebook.text.startswith(HEAD):
        found.append("the file must begin with the front matter of the series")
    if not notebook.cells or not notebook.cells[0].source.startswith("# "):
        found.append("the first cell must begin with the title, '# ...'")
    return found


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
    """Each solution is folded away, and asserts."""
    found, solutions, inside, asserts, folded = [], 0, False, False, True
    place = ""
    for cell in notebook.cells:
        if cell.kind == "code":
            if inside:
                asserts |= _asserts(cell.source)
                folded &= "hide-cell" in cell.tags
            continue
        for line in cell.source.splitlines():
            if match := re.match(r"##\s+(.*?)\s*$", line):
                place = match.group(1)
            if line.strip() == "<details>":
                inside, asserts, folded = True, False, True
                if place == "Exercises":
                    solutions += 1
                    if SOLUTION not in cell.source:
                        found.append(f"a fold in the exercises lacks {SOLUTION}")
            elif line.strip() == "</details>":
                if place == "Exercises" and not (inside and asserts and folded):
                    found.append("a solution needs a code cell with an assert, tagged hide-cell, in its fold")
                inside = False
    if inside:
        found.append("a <details> is not closed")
    headings = _titles_of_exercises(notebook.markdown)
    if headings != [f"{number}." for number in range(1, solutions + 1)]:
        found.append(f"each exercise has a heading, '### 1. Title'; {solutions} solutions have {headings}")
    if not EXERCISES[0] <= solutions <= EXERCISES[1]:
        found.append(f"{solutions} solutions; {EXERCISES[0]} to {EXERCISES[1]} are expected")
    return found


def _titles_of_exercises(markdown: str) -> list[str]:
    """Numbers of the headings in the exercises, such as "1."; "?" for a heading without one or without a title."""
    start, end = section(markdown, "Exercises")
    titles = re.findall(r"^###\s+(.*?)\s*$", without_code(markdown)[start:end], re.MULTILINE)
    return [match.group(1) if (match := re.match(r"(\d+\.) \S", title)) else "?" for title in titles]


def _asserts(source: str) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(re.sub(r"(?m)^[!%].*$", "pass", source))))


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
    """Uses of private names, and imports of what the package does not bring."""
    found = []
    for source in notebook.code:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and _private(node.attr):
                found.append(f"private name .{node.attr}")
            elif isinstance(node, ast.Name) and _private(node.id):
                found.append(f"private name {node.id}")
            elif isinstance(node, ast.Import):
                found += _imports([alias.name for alias in node.names])
            elif isinstance(node, ast.ImportFrom):
                found += _imports([node.module or "."])
                found += [f"private name {alias.name}" for alias in node.names if _private(alias.name)]
    return found


def _private(name: str) -> bool:
    return name.startswith("_") and name != "_" and not (name.startswith("__") and name.endswith("__"))


def _imports(modules: list[str]) -> list[str]:
    found = []
    for module in modules:
        first, *rest = module.split(".")
        if first not in INSTALLED and first not in sys.stdlib_module_names:
            found.append(f"import of {module}, which is not installed with the package")
        if any(_private(part) for part in [first, *rest]):
            found.append(f"private module {module}")
    return found
