"""The workbook as exercises: its stubs, its solutions, and the one filled in with the other."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

from tests.tutorials.notebooks import TUTORIALS, Cell, Notebook, load

WORKBOOK = TUTORIALS / "from_scratch.md"
SOLUTIONS = TUTORIALS / "solutions" / "from_scratch.py"


@dataclasses.dataclass(frozen=True)
class Stub:
    """An exercise of the workbook: the text above it, the cell, and the function in it that has no body."""

    text: str
    cell: Cell
    function: ast.FunctionDef

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def arguments(self) -> list[str]:
        return [argument.arg for argument in self.function.args.args]


def workbook() -> Notebook:
    """The workbook as it is committed."""
    return load(WORKBOOK)


def stubs(notebook: Notebook) -> list[Stub]:
    """Its exercises in order; what has a body is none."""
    found, text = [], ""
    for cell in notebook.cells:
        if cell.kind == "markdown":
            text = cell.source
        elif (function := _empty(cell)) is not None:
            found.append(Stub(text, cell, function))
    return found


def _empty(cell: Cell) -> ast.FunctionDef | None:
    for node in ast.parse(cell.source).body:
        if isinstance(node, ast.FunctionDef) and ast.unparse(node.body) == "...":
            return node
    return None


def solutions(names: list[str], source: str) -> list[tuple[str, str]]:
    """Name and source of each function that is a solution, with whatever stands above it since the one before."""
    found: list[tuple[str, str]] = []
    lines, start = source.splitlines(keepends=True), 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_docstring(node):
            start = node.end_lineno or 0
        elif isinstance(node, ast.FunctionDef) and node.name in names:
            found.append((node.name, "".join(lines[start : node.end_lineno])))
            start = node.end_lineno or 0
    return found


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def filled(text: str, answers: list[tuple[str, str]]) -> str:
    """The workbook's text with each stub replaced by the next answer."""
    for stub, (name, answer) in zip(stubs(load(WORKBOOK)), answers, strict=True):
        assert stub.name == name
        lines = stub.cell.source.splitlines()
        empty = "\n".join(lines[stub.function.lineno - 1 : stub.function.end_lineno])
        assert text.count(f"\n{empty}\n") >= 1, name
        text = text.replace(f"\n{empty}\n", f"\n{answer.strip()}\n", 1)
    return text


def shown(notebook: Notebook) -> Iterator[tuple[str, Any]]:
    """Run cells one after the other in this process; the source and the value each ends with, None without one."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in notebook.code:
        *others, last = ast.parse(source).body
        value = None
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module(others, []), "<cell>", "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            else:
                exec(compile(ast.Module([last], []), "<cell>", "exec"), names)
        yield source, value
