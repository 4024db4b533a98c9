"""The reference: every public name of the package, found by reading its source; autodoc adds the words."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from website.docstrings import numpy_style
from website.links import Checkout

PACKAGE = Path(__file__).resolve().parent.parent / "sparcl_ref"
FOLDER = "reference"
#: Characters of a value that is shown.
SHORT = 60
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """A module: its page, what its docstring begins with, its source, the public names it defines, and those of values
    without a comment, with what they are set to if that is short."""

    name: str
    page: str
    words: str
    source: str
    names: tuple[str, ...]
    silent: dict[str, str]


def modules(package: Path = PACKAGE) -> Iterator[Module]:
    """The public modules of a package: those of a folder share a page, those at the top have one each."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        folder = path.name == "__init__.py"
        name = ".".join(parts[:-1] if folder else parts)
        home = name if folder else ".".join(parts[:-1])
        page = name if home == package.name else home
        source = path.read_text(encoding="utf-8")
        words = first_line(ast.get_docstring(ast.parse(source)))
        yield Module(name, page, words, source, tuple(public(source)), silent(source))


def public(source: str) -> Iterator[str]:
    """Names without an underscore that a module's top level defines; what it imports is defined elsewhere."""
    seen = set()
    for node in ast.parse(source).body:
        for name in _defined(node):
            if not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name


def silent(source: str) -> dict[str, str]:
    """Names of values at a module's top level that no comment ``#:`` and no docstring speaks of, with short sources."""
    lines, body = source.splitlines(), ast.parse(source).body
    defined = {node.name for node in body if isinstance(node, DEFINITIONS)}
    told, values = set(), {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        above, beside = lines[node.lineno - 2].lstrip() if node.lineno > 1 else "", lines[node.lineno - 1]
        docstring = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if above.startswith("#:") or "  #: " in beside or docstring:
            told |= set(_defined(node))
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            text = ast.get_source_segment(source, node.value) or ""
            values |= dict.fromkeys(_defined(node), text if len(text) <= SHORT and "\n" not in text else "")
    return {name: values.get(name, "") for name in public(source) if name not in told | defined}


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, DEFINITIONS):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.If | ast.Try):
        for inner in node.body:
            if not isinstance(inner, ast.Import | ast.ImportFrom):
                yield from _defined(inner)


def write(checkout: Checkout, fresh: Path) -> None:
    """Write the pages of the reference and their list."""
    annotated = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): staged.removesuffix(".rst")
        for name, staged in checkout.staged.items()
        if staged.startswith("annotated/")
    }
    (fresh / FOLDER).mkdir(parents=True, exist_ok=True)
    pages: dict[str, list[Module]] = {}
    for module in modules():
        pages.setdefault(module.page, []).append(module)
    for name, found in pages.items():
        (fresh / FOLDER / f"{name}.rst").write_text(page(name, found, annotated), encoding="utf-8")
    (fresh / FOLDER / "index.md").write_text(index(sorted(pages)), encoding="utf-8")


def turned(module: str, source: str) -> Iterator[ast.FunctionDef]:
    """Functions of which a decorator has made something else, such as a rule: autodoc takes that for a value."""
    decorated = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    for node in decorated:
        value = getattr(importlib.import_module(module), node.name)
        if not (node.name.startswith("_") or inspect.isroutine(value) or hasattr(value, "__wrapped__")):
            yield node


def _function(module: str, node: ast.FunctionDef) -> str:
    """A function as its source has it."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    words = "\n".join(numpy_style((ast.get_docstring(node) or "").splitlines()))
    head = f".. py:function:: {node.name}({ast.unparse(node.args)}){returns}\n   :module: {module}"
    return f"{head}\n\n{textwrap.indent(words, '   ')}"


def page(name: str, found: list[Module], annotated: Mapping[str, str]) -> str:
    """The page of a folder of modules, or of one module at the top.

    Parameters
    ----------
    name : str
    found : list of Module
    annotated : mapping
        Module to the page with its annotated source.
    """
    blocks = [_heading(name, "=")]
    for module in found:
        if len(found) > 1 and module.name != name:
            blocks.append(_heading(module.name, "-"))
        if module.name in annotated:
            blocks.append(f":doc:`Annotated source </{annotated[module.name]}>`")
        blocks.append(f".. automodule:: {module.name}")
        rewritten = {node.name: _function(module.name, node) for node in turned(module.name, module.source)}
        found_by_itself = [each for each in module.names if each not in module.silent | rewritten]
        if found_by_itself:
            blocks[-1] += f"\n   :members: {', '.join(found_by_itself)}"
        blocks += rewritten.values()
        # Of values without a comment autodoc takes no notice, or tells the docstring of their type.
        for each, value in module.silent.items():
            shown = f"\n   :value: {value}" if value else ""
            blocks.append(f".. py:data:: {each}\n   :module: {module.name}{shown}")
    return "\n\n".join(blocks) + "\n"


def _heading(name: str, mark: str) -> str:
    return f"{name}\n{mark * len(name)}"


def index(pages: list[str]) -> str:
    """The list: first what `sparcl_ref` itself exports, then the rooms, then the modules beside them."""
    import sparcl_ref

    exported = "\n".join(
        f"- {{py:obj}}`{name} <{owner.__module__}.{name}>`: {first_line(owner.__doc__)}"
        for name, owner in ((name, getattr(sparcl_ref, name)) for name in sparcl_ref.__all__ if name != "__version__")
    )
    rooms = [name for name in pages if (PACKAGE.parent / name.replace(".", "/")).is_dir() and name != PACKAGE.name]
    others = [name for name in pages if name not in rooms]
    words = {module.name: module.words for module in modules()}
    lists = [
        "\n".join(f"- {{doc}}`{name}`: {words[name]}" for name in names)
        + f"\n\n```{{toctree}}\n:hidden:\n:titlesonly:\n{chr(10).join(names)}\n```"
        for names in (rooms, others)
    ]
    return (
        "\n\n".join(
            [
                "# Reference",
                "All public names, with what their docstrings say; {ref}`by the alphabet <genindex>`.",
                "## From `sparcl_ref` itself",
                exported,
                "## Rooms",
                lists[0],
                "## Modules beside them",
                lists[1],
            ]
        )
        + "\n"
    )


def first_line(docstring: str | None) -> str:
    """What a docstring begins with, in one line of Markdown, in which a single backtick is code as well."""
    return " ".join((docstring or "").split("\n\n")[0].split()).replace("*", r"\*")
