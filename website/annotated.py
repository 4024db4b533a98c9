"""Annotated source: a file's docstrings and comments on the left, the lines they speak of on the right."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from website.docstrings import numpy_style, of_comment
from website.links import Checkout

INDENT = " " * 6
FIELD = re.compile(r"(?<=^:)(?:returns|raises|yields)")


@dataclass
class Row:
    """Words and the code beside them: docstrings and comments; chunks of lines with the number of the first."""

    title: str = ""
    words: list[tuple[Literal["docstring", "comment"], str]] = field(default_factory=list)
    chunks: list[tuple[int, list[str]]] = field(default_factory=list)

    def add(self, number: int, line: str) -> None:
        """One more line of code; after a gap it begins a chunk."""
        if self.chunks and self.chunks[-1][0] + len(self.chunks[-1][1]) == number:
            self.chunks[-1][1].append(line)
        elif line.strip():
            self.chunks.append((number, [line]))

    @property
    def empty(self) -> bool:
        return not (self.words or self.chunks)


def rows(source: str) -> list[Row]:
    """Cut a file: at each function, class and method, and at each comment that has lines of its own."""
    tree, lines = ast.parse(source), source.splitlines()
    docstrings, titles, starts = _docstrings(tree), _titles(tree), _starts(tree)
    comments = _comments(source)
    found, row, number = [], Row(), 1
    while number <= len(lines):
        if number in docstrings:
            end, text = docstrings[number]
            row.words.append(("docstring", text))
            number = end + 1
            continue
        block, after = [], number
        while after in comments:
            block.append(comments[after])
            after += 1
        begins = after in starts
        if not row.empty and (begins or (block and row.chunks)):
            found.append(row)
            row = Row()
        if begins:
            row.title = titles.get(after, "")
        if block:
            row.words.append(("comment", "\n".join(block)))
            number = after
        # What stands above a function goes with its first line.
        if number <= len(lines) and (begins or not block):
            row.add(number, lines[number - 1])
            number += 1
    return [row for row in [*found, row] if not row.empty]


def _documented(tree: ast.Module) -> list[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def _docstrings(tree: ast.Module) -> dict[int, tuple[int, str]]:
    """Of each docstring its first line to its last line and text."""
    found = {}
    for node in _documented(tree):
        text = ast.get_docstring(node)
        if text is not None:
            found[node.body[0].lineno] = (node.body[0].end_lineno or node.body[0].lineno, text)
    return found


def _starts(tree: ast.Module) -> set[int]:
    """First lines of functions, classes and methods, decorators included; what a function defines is part of it."""
    found, bodies = set(), [tree.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(_first(node))
                if isinstance(node, ast.ClassDef):
                    bodies.append(node.body)
    return found


def _titles(tree: ast.Module) -> dict[int, str]:
    """First line to name, of what stands at the top level."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {_first(node): node.name for node in tree.body if isinstance(node, kinds)}


def _first(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _comments(source: str) -> dict[int, str]:
    """Line to text, of comments that have a line of their own."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("#:").strip()
        for token in tokens
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }


def page(title: str, source: str, *, note: str = "") -> str:
    """The page of a file as reStructuredText, with a section for each function and class at its top level."""
    blocks = [":hide-toc:", f"{title}\n{'=' * len(title)}", note]
    for row in rows(source):
        if row.title:
            blocks.append(f"{row.title}\n{'-' * len(row.title)}")
        words = "\n\n".join(_prose(kind, text) for kind, text in row.words)
        blocks.append(".. container:: beside")
        # An empty container is an error, a comment in it is none.
        blocks.append("   .. container:: words\n\n" + (textwrap.indent(words, INDENT) or f"{INDENT}.. no words"))
        code = [block for number, lines in row.chunks if (block := _block(number, lines))]
        if code:
            blocks.append("   .. container:: lines\n\n" + "\n\n".join(code))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _prose(kind: str, text: str) -> str:
    if kind == "comment":
        return of_comment(text)
    # Outside a declaration nobody gives these fields a heading.
    return "\n".join(
        FIELD.sub(lambda match: match.group().capitalize(), line) for line in numpy_style(text.splitlines())
    )


def _block(number: int, lines: list[str]) -> str:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    code = textwrap.indent("\n".join(lines), INDENT + "   ")
    # The first line's indent would be taken for the block's own.
    return f"{INDENT}.. code-block:: python\n{INDENT}   :lineno-start: {number}\n{INDENT}   :force:\n\n{code}"


def write(checkout: Checkout, fresh: Path) -> None:
    """Write the annotated page of each file that has one, and their list."""
    folders: dict[str, list[str]] = {}
    for name, staged in checkout.staged.items():
        if not name.endswith(".py"):
            continue
        title, note = name, ""
        if name.startswith("sparcl_ref/"):
            title = name.removeprefix("sparcl_ref/")
            folders.setdefault(title.partition("/")[0], []).append(staged)
        else:
            title = TITLES[name]
            copy = Path(staged).with_suffix(".py")
            (fresh / copy).parent.mkdir(parents=True, exist_ok=True)
            (fresh / copy).write_text(checkout.read(name), encoding="utf-8")
            note = f":download:`The file itself <{copy.name}>`"
        target = fresh / staged
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(title, checkout.read(name), note=note), encoding="utf-8")
    (fresh / "annotated").mkdir(exist_ok=True)
    (fresh / "annotated" / "index.md").write_text(_list(folders), encoding="utf-8")


#: Titles of scripts that have a page.
TITLES = {
    "tutorials/microsparcl.py": "microsparcl: the whole method in one file",
    "tutorials/solutions/from_scratch.py": "Solutions of the workbook",
}


def _list(folders: dict[str, list[str]]) -> str:
    words = {
        "sparcl": "The paper as pure functions: importance, TDM, DDR, DGM, and the rules of the published code.",
        "layers": "Each layer with its forward pass, and its backward pass as it is derived.",
    }
    blocks = ["# Annotated source", "The files that hold the method, each derivation beside the lines that compute it."]
    for folder, pages in folders.items():
        entries = "\n".join(page.removeprefix("annotated/") for page in pages)
        blocks += [f"## `sparcl_ref/{folder}`", words.get(folder, ""), f"```{{toctree}}\n:titlesonly:\n{entries}\n```"]
    return "\n\n".join(filter(None, blocks)) + "\n"
