"""Which tests run which lines, on a tree of two functions and three tests."""

from __future__ import annotations

import pytest

from tests.mutation import witnesses
from tests.mutation.mechanical import mechanical_changes
from tests.mutation.runner import Change, running
from tests.mutation.witnesses import Witnesses, merged, recorded

SOURCE = """\
LIMIT = 3


def double(x):
    if x < LIMIT:
        return 2 * x
    return -1


def half(x, by=2):
    return (
        x /
        by
    )
"""
TESTS = """\
import pytest
from sparcl_ref.planted import double, half


@pytest.mark.parametrize("x", [1, 2])
def test_small(x):
    assert double(x) == 2 * x


def test_large():
    assert double(9) == -1


def test_half():
    assert half(8) == 4


def test_that_it_is_watched():
    import sys
    assert double(1) and sys.gettrace() is None
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / "sparcl_ref").mkdir()
    (tmp_path / "sparcl_ref" / "__init__.py").touch()
    (tmp_path / "sparcl_ref" / "planted.py").write_text(SOURCE)
    (tmp_path / "test_it.py").write_text(TESTS)
    monkeypatch.setattr(witnesses, "FIRST", {"sparcl_ref/planted.py": ("test_it.py",)})
    monkeypatch.setattr(witnesses, "REST", ())
    monkeypatch.setattr(witnesses, "SLOW", ())
    return tmp_path


def change(line: int) -> Change:
    return Change("any", "sparcl_ref/planted.py", "", lines=range(line, line + 1))


def test_each_line_has_its_tests_and_cases_of_one_test_are_one(tree):
    kept = tree / "kept.json"
    found = recorded(tree, kept, paths=["sparcl_ref/planted.py"], jobs=1)
    tests = {line: set(found.of(change(line))) for line in (5, 6, 7, 12)}
    small, large, half = (f"test_it.py::test_{name}" for name in ("small", "large", "half"))
    assert tests == {5: {small, large}, 6: {small}, 7: {large}, 12: {half}}
    assert set(found.seconds) == {small, large, half}
    assert recorded(tree, kept, paths=[], jobs=1) == found


def test_changes_are_noticed_by_those_alone_and_others_ask_the_files(tree):
    found = recorded(tree, None, paths=["sparcl_ref/planted.py"], jobs=1)
    changes = [
        Change(c.name, c.path, SOURCE.replace("2 * x", "2 / x"), lines=c.lines)
        for c in mechanical_changes("sparcl_ref/planted.py", SOURCE)
        if c.name.endswith("return 2 / x")
    ]
    assert found.groups(changes[0]) == [["test_it.py::test_small"]]
    with running(tree, stages=lambda tree, change: found.groups(change), seconds=found.seconds, jobs=1) as runner:
        (outcome,) = runner.run(changes)
    assert outcome.by == "test_it.py::test_small[2]"


def test_statements_have_their_lines_where_calls_run_them():
    lines = {c.before: c.lines for c in mechanical_changes("a.py", SOURCE)}
    assert lines["LIMIT = 3"] == range(0)
    assert lines["if x < LIMIT:"] == range(5, 6)
    assert lines["return x / by"] == range(11, 15)
    assert lines["def half(x, by=2):"] == range(0)


def test_the_quickest_come_first_and_a_group_is_never_empty():
    path = "sparcl_ref/masks.py"
    seconds = {"tests/test_masks.py::a": 0.5, "tests/test_masks.py::b": 30.0, "tests/other.py::c": 0.1}
    found = Witnesses(seconds, {path: {1: list(seconds)}})
    first = Change("any", path, "", lines=range(1, 2))
    assert found.groups(first) == [["tests/test_masks.py::a"], ["tests/test_masks.py::b"]]
    assert found.groups(Change("any", path, "", lines=range(0))) == []


def test_records_of_files_become_one():
    found = merged(
        [
            {"seconds": {"a": 1.0}, "lines": {"x.py": {"3": ["a"]}}},
            {"seconds": {"b": 2.0}, "lines": {"x.py": {"3": ["b"]}, "y.py": {"1": ["b"]}}},
        ]
    )
    assert found == Witnesses({"a": 1.0, "b": 2.0}, {"x.py": {3: ["a", "b"]}, "y.py": {1: ["b"]}})
