"""Mechanical changes: what is changed, and what is left alone."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.mechanical import changed_source, mechanical_changes


def bodies(source: str) -> set[str]:
    """All changed files."""
    return {changed_source(source, change.index) for change in mechanical_changes("a.py", source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x < y", {"x <= y", "x >= y"}),
        ("x == y", {"x != y"}),
        ("x in y", {"x not in y"}),
        ("x + y", {"x - y"}),
        ("x * y", {"x / y"}),
        ("x // y", {"x * y"}),
        ("x & y", {"x | y"}),
        ("x and y", {"x or y"}),
        ("not x", {"x"}),
        ("-x", {"x"}),
        ("~x", {"x"}),
        ("z = 3", {"z = 4", "z = 2"}),
        ("z = True", {"z = False"}),
        ("f(x, y)", {"pass", "f(y, x)"}),
        ("f(x, x)", {"pass"}),
        ("max(x, y)", {"pass"}),
        ("np.minimum(x, y)", {"pass"}),
        ("f(x, *y)", {"pass"}),
        ("x += y", {"x -= y", "pass"}),
        ("x.y = z", {"pass"}),
        ("x[y] = z", {"pass"}),
        ("z = x if y else w", {"z = x if not y else w"}),
        ("if x:\n    y", {"if not x:\n    y"}),
        ("z = [x for x in y if x]", {"z = [x for x in y if not x]"}),
    ],
)
def test_changes(source, expected):
    assert bodies(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""1 + 1"""',
        "x: f(1)",
        "def f(x: g(2)) -> g(3):\n    return x",
        "z = f'{x + 1}'",
        "z = zip(x, strict=True)",
        "z = x",
    ],
)
def test_left_alone(source):
    assert bodies(source) == set()


def test_what_is_raised_is_text_and_raising_is_a_statement():
    assert bodies("if x:\n    raise ValueError(1 + y, 2)") == {
        "if not x:\n    raise ValueError(1 + y, 2)",
        "if x:\n    pass",
    }


def test_names_tell_repeated_statements_apart():
    source = "def f(x):\n    g(x)\n    g(x)\n"
    first, second = mechanical_changes("a.py", source)
    assert first.name == "a.py f: g(x) -> pass"
    assert second.name == "a.py f: g(x) -> pass #1"
    assert changed_source(source, first.index) == "def f(x):\n    pass\n    g(x)"
    assert changed_source(source, second.index) == "def f(x):\n    g(x)\n    pass"


def test_of_a_block_the_head_is_named():
    names = [
        change.name for change in mechanical_changes("a.py", "class A:\n\n    def f(self, x=1):\n        return x\n")
    ]
    assert names == [
        "a.py A.f: def f(self, x=1): -> def f(self, x=2):",
        "a.py A.f: def f(self, x=1): -> def f(self, x=0):",
    ]


def test_every_change_is_another_program():
    source = "def f(x, y):\n    if x < 2 and not y:\n        return g(x, y) + 1\n    raise KeyError(x)\n"
    programs = [changed_source(source, change.index) for change in mechanical_changes("a.py", source)]
    assert len(programs) == len(set(programs)) == 12
    assert all(ast.dump(ast.parse(program)) != ast.dump(ast.parse(source)) for program in programs)
    with pytest.raises(IndexError):
        changed_source(source, len(programs))
