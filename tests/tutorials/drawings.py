"""The figures that code draws, by its text: `drawing(NAME, ...)` as a tutorial calls it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

#: The default of `sparcl_ref.report.notebook.drawing`.
WIDTH = 6.5


@dataclass(frozen=True)
class Drawing:
    """A figure: its name ("?" if it is not written out), what it shows in words, and its width in inches."""

    name: str
    alt: str
    width: float


def plain_code(source: str) -> str:
    """Source without lines for the shell or the notebook itself, in the same number of lines."""
    return re.sub(r"^[!%].*$", "pass", source, flags=re.MULTILINE)


def drawings(source: str) -> list[Drawing]:
    """The figures that a cell draws, in order."""
    return [
        _drawing(node)
        for node in ast.walk(ast.parse(plain_code(source)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "drawing"
    ]


def _drawing(call: ast.Call) -> Drawing:
    options = {option.arg: option.value for option in call.keywords}
    name = _constant(call.args[0], str, "?") if call.args else "?"
    size = options.get("size")
    width = _constant(size.elts[0], (int, float), WIDTH) if isinstance(size, ast.Tuple) and size.elts else WIDTH
    return Drawing(name, " ".join(_constant(options.get("alt"), str, "").split()), float(width))


def _constant(node: ast.AST | None, kind: type | tuple[type, ...], otherwise):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, kind) else otherwise
