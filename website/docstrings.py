"""Docstrings and comments as reStructuredText: they are written to be read as they stand, with bars for absolute values."""

from __future__ import annotations

import re

#: What is to be left alone in a line: literals, and names in backticks.
QUOTED = re.compile(r"(``.*?``|`[^`]+`)")
#: A bar or a star that is no markup, and a name's last underscore.
MARKS = re.compile(r"(?<!\\)(\||(?<=\w)_(?=\W|$))")


def escaped(lines: list[str]) -> list[str]:
    """Lines of a docstring in which bars and last underscores are themselves, but in literal blocks and doctests."""
    found, literal, doctest = [], -1, False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and literal >= 0 and indent <= literal:
            literal = -1
        doctest = line.lstrip().startswith(">>>") or (doctest and bool(line.strip()))
        found.append(line if literal >= 0 or doctest else _outside_quotes(line))
        if line.rstrip().endswith("::") and literal < 0:
            literal = indent
    return found


def _outside_quotes(line: str) -> str:
    return "".join(
        part if index % 2 else MARKS.sub(r"\\\1", part) for index, part in enumerate(QUOTED.split(line))
    )


def of_comment(text: str) -> str:
    """A comment's prose as reStructuredText."""
    parts = QUOTED.split(text)
    return "".join(
        part if index % 2 else re.sub(r"([*|\\]|(?<=\w)_(?=\W|$))", r"\\\1", part) for index, part in enumerate(parts)
    )
