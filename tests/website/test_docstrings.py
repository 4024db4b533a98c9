"""Docstrings that read well as they stand are valid reStructuredText, and say the same."""

from __future__ import annotations

import pytest

from tests.tutorials.notebooks import ROOT
from website.docstrings import escaped, numpy_style, of_comment


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("alpha |g| + |w|", r"alpha \|g\| + \|w\|"),
        ("``|w|`` and `a|b`", "``|w|`` and `a|b`"),
        ("an odd number of `LINE`s", r"an odd number of `LINE`\ s"),
        ("ends in x_ or y_.", r"ends in x\_ or y\_."),
        ("    s. At 0 all live.", r"    s\. At 0 all live."),
        ("y_i = x_1", "y_i = x_1"),
        ("a * b and *this*", "a * b and *this*"),
    ],
)
def test_bars_and_last_underscores_are_themselves(line, expected):
    assert escaped([line]) == [expected]


def test_literal_blocks_and_doctests_are_left_alone():
    text = ["Sum::", "", "    |x|", "", "    |y|", "and |z|", ">>> |a|", "|b|", "", "|c|"]
    assert escaped(text) == ["Sum::", "", "    |x|", "", "    |y|", r"and \|z\|", ">>> |a|", "|b|", "", r"\|c\|"]


def test_comments_have_no_markup_but_backticks():
    assert of_comment("a*b * |c| of `name`s, \\n, x_") == r"a\*b \* \|c\| of `name`\ s, \\n, x\_"


def test_sections_become_lists_whose_types_are_words():
    pytest.importorskip("sphinx", reason="the docs extra makes the site")
    parameters = ["Parameters", "----------", "x : ndarray, shape (N,)", "    Some |x|."]
    returned = ["Returns", "-------", "int", "    One."]
    text = numpy_style(["Twice.", "", *parameters, "", "Attributes", "----------", "y : int", "", *returned])
    assert [line for line in text if line] == [
        "Twice.",
        r":Parameters: **x** (*ndarray, shape (N,)*) – Some \|x\|.",
        ":Attributes: **y** (*int*)",
        ":returns: *int* – One.",
    ]


def test_comments_of_attributes_keep_what_stands_before_a_colon():
    pytest.importorskip("sphinx", reason="the docs extra makes the site")
    assert numpy_style(["Bytes of channels: as many as fit."])[0] == "Bytes of channels: as many as fit."


def test_docstrings_of_the_package_keep_their_words():
    """What is added are backslashes, before a bar, an underscore or a blank."""
    source = (ROOT / "sparcl_ref" / "sparcl" / "importance.py").read_text()
    lines = source.splitlines()
    assert "\n".join(escaped(lines)).replace("\\ ", "").replace("\\", "") == source.rstrip("\n").replace("\\", "")
