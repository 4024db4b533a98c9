"""Annotated source shows every line of a file once: as code with its number, or as words."""

from __future__ import annotations

import ast

import pytest

from tests.tutorials.notebooks import ROOT
from website.annotated import page, rows
from website.links import Checkout

CHECKOUT = Checkout.of(ROOT)
FILES = [name for name in CHECKOUT.staged if name.endswith(".py")]
SMALL = '''\
"""The file."""

import os

# How many.
COUNT = 3


# Used twice.
@cache
def double(x):
    """Twice x."""
    y = x + x
    # No surprise.
    return y


class Thing:
    """A thing."""

    size: int = 1

    def grow(self):
        return self.size + 1
'''


def test_words_stand_beside_the_lines_they_speak_of():
    found = [
        (row.title, row.words, [(n, [line for line in lines if line]) for n, lines in row.chunks])
        for row in rows(SMALL)
    ]
    assert found == [
        ("", [("docstring", "The file.")], [(3, ["import os"])]),
        ("", [("comment", "How many.")], [(6, ["COUNT = 3"])]),
        (
            "double",
            [("comment", "Used twice."), ("docstring", "Twice x.")],
            [(10, ["@cache", "def double(x):"]), (13, ["    y = x + x"])],
        ),
        ("", [("comment", "No surprise.")], [(15, ["    return y"])]),
        ("Thing", [("docstring", "A thing.")], [(18, ["class Thing:"]), (21, ["    size: int = 1"])]),
        ("", [], [(23, ["    def grow(self):", "        return self.size + 1"])]),
    ]


@pytest.mark.parametrize("name", FILES)
def test_no_line_is_lost_and_none_is_shown_twice(name):
    source = CHECKOUT.read(name)
    lines, shown = source.splitlines(), {}
    for row in rows(source):
        for first, chunk in row.chunks:
            for number, line in enumerate(chunk, start=first):
                assert number not in shown
                shown[number] = line
    assert all(lines[number - 1] == line for number, line in shown.items())
    said = " ".join(text for row in rows(source) for _, text in row.words).split()
    left = [line for number, line in enumerate(lines, start=1) if number not in shown]
    words = " ".join(line.strip().lstrip("#:").replace('"""', " ") for line in left).split()
    # An r in front of a docstring is not a word of it, and escapes are read.
    assert sorted(words) == sorted(said) or "\\" in source


@pytest.mark.parametrize("name", FILES)
def test_each_function_and_class_has_its_heading(name):
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [node.name for node in ast.parse(CHECKOUT.read(name)).body if isinstance(node, kinds)]
    assert [row.title for row in rows(CHECKOUT.read(name)) if row.title] == names


def test_a_page_is_restructured_text_with_numbered_lines():
    pytest.importorskip("sphinx", reason="the docs extra makes the site")
    text = page("small.py", SMALL, note="A note.")
    assert text.startswith(":hide-toc:\n\nsmall.py\n========\n\nA note.\n\n.. container:: beside\n")
    assert "\n\ndouble\n------\n\n" in text
    assert "         :lineno-start: 15\n         :force:\n\n             return y" in text
