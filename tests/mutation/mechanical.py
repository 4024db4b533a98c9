"""Changes a machine can think of: another operator, a number one off, a statement less, a condition turned round.

Left alone are texts for people (f-strings and what is raised), annotations, and ``strict=`` of `zip`, which guards
against mistakes that a correct program does not make.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

SWAPS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
#: Functions to which the order of their first two arguments is nothing.
SYMMETRIC = {"max", "min", "np.array_equal", "np.maximum", "np.minimum"}
UNTOUCHED_FIELDS = {"annotation", "returns", "decorator_list"}


@dataclass(frozen=True)
class Mechanical:
    """One change, known by the statement it is in, so that lines moving elsewhere do not make it another.

    Attributes
    ----------
    path : str
    where : str
        Dotted name of the function or class around it.
    before, after : str
        The statement (of a block, its head) as `ast.unparse` writes it.
    nth : int
        From 0, among changes that agree in all of the above.
    index : int
        Among all changes of the file.
    lines : range
        Of the statement or head of a block, where calls run it; empty for what runs on import.
    """

    path: str
    where: str
    before: str
    after: str
    nth: int
    index: int
    lines: range

    @property
    def name(self) -> str:
        """What tables and `equivalent.toml` call it."""
        number = f" #{self.nth}" if self.nth else ""
        return f"{self.path} {self.where}: {self.before} -> {self.after}{number}"


def mechanical_changes(path: str, source: str) -> list[Mechanical]:
    """All changes of one file, in source order."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    tree = ast.parse(source)
    called = _run_by_calls(tree)
    for index, (_, where, before, after, statement) in enumerate(_each(tree)):
        lines = _lines(statement) if statement in called else range(0)
        found.append(Mechanical(path, where, before, after, seen[where, before, after], index, lines))
        seen[where, before, after] += 1
    return found


def changed_source(source: str, index: int) -> str:
    """The file with one of its changes made; comments and layout are lost."""
    return changed_sources(source, [index])[index]


def changed_sources(source: str, wanted: Collection[int]) -> dict[int, str]:
    """The file with each of the wanted changes made alone, by its index, in one walk through all of them."""
    found = {}
    for number, (tree, *_) in enumerate(_each(ast.parse(source))):
        if number in wanted:
            found[number] = ast.unparse(ast.fix_missing_locations(tree))
    if missing := set(wanted) - found.keys():
        raise IndexError(f"there is no change number {min(missing)}")
    return found


def _each(tree: ast.Module) -> Iterator[tuple[ast.Module, str, str, str, ast.stmt]]:
    """Make each change in place, yield (tree, where, before, after, statement), and take it back."""
    for parent, field, position, statement, where in list(_places(tree, None, ())):
        holder = getattr(parent, field)
        node = holder if position is None else holder[position]
        before = _head(statement)
        for new in _replacements(node, parent, field):
            _put(parent, field, position, new)
            yield tree, ".".join(where), before, _head(new if node is statement else statement), statement
            _put(parent, field, position, node)


def _places(node: ast.AST, statement: ast.stmt | None, where: tuple[str, ...]) -> Iterator[tuple]:
    """Yield (parent, field, position in a list or None, statement, where) of every node that may change."""
    for field, value in ast.iter_fields(node):
        if field in UNTOUCHED_FIELDS:
            continue
        for position, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr) or _is_docstring(child):
                continue
            inside = child if isinstance(child, ast.stmt) else statement
            yield node, field, position, inside, where
            if isinstance(child, ast.Raise) or (isinstance(child, ast.keyword) and child.arg == "strict"):
                continue
            named = isinstance(child, ast.FunctionDef | ast.ClassDef)
            yield from _places(child, inside, (*where, child.name) if named else where)


def _replacements(node: ast.AST, parent: ast.AST, field: str) -> Iterator[ast.AST]:
    match node:
        case ast.cmpop() | ast.operator() | ast.boolop():
            yield from (swap() for swap in SWAPS.get(type(node), ()))
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Call(args=[first, second, *others]) if not any(isinstance(a, ast.Starred) for a in node.args):
            if ast.dump(first) != ast.dump(second) and ast.unparse(node.func) not in SYMMETRIC:
                yield ast.Call(node.func, [second, first, *others], node.keywords)
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
    # "ifs" are the conditions of a comprehension.
    if field == "ifs" or (field == "test" and isinstance(parent, ast.If | ast.IfExp | ast.While)):
        yield ast.UnaryOp(ast.Not(), node)


def _put(parent: ast.AST, field: str, position: int | None, node: ast.AST) -> None:
    if position is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[position] = node


def _head(statement: ast.stmt) -> str:
    """The statement in one line; of a block, its first."""
    emptied = {name: [] for name in ("orelse", "handlers", "finalbody", "decorator_list") if hasattr(statement, name)}
    if hasattr(statement, "body"):
        head = type(statement)(**(dict(ast.iter_fields(statement)) | emptied | {"body": [ast.Pass()]}))
        return ast.unparse(ast.copy_location(head, statement)).splitlines()[0]
    return " ".join(line.strip() for line in ast.unparse(statement).splitlines())


def _run_by_calls(tree: ast.Module) -> set[ast.stmt]:
    """Statements inside functions: all others run once, on import."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {
        inner
        for function in functions
        for statement in function.body
        for inner in ast.walk(statement)
        if isinstance(inner, ast.stmt)
    }


def _lines(statement: ast.stmt) -> range:
    """Of a simple statement all; of a block those before its body."""
    body = getattr(statement, "body", None)
    end = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno
    return range(statement.lineno, end + 1)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
