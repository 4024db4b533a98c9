"""Docstrings and comments as reStructuredText: written to be read as they stand, with bars for absolute values."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What is to be left alone in a line: literals, and names in backticks.
QUOTED = re.compile(r"(``.*?``|`[^`]+`)")
#: A bar or a star that is no markup, and a name's last underscore.
#: A letter that begins a sentence, and would begin a list.
LETTER = re.compile(r"^(\s*[A-Za-z])(?=\. )")
#: What stands between a parameter and its words.
SEPARATOR = re.compile(r"(?<=\*) -- |(?<=\*\)) -- ")
COMMENT_MARKS = re.compile(r"([*|\\]|(?<=\w)_(?=\W|$))")
MARKS = re.compile(r"(?<!\\)(\||(?<=\w)_(?=\W|$))")


def numpy_style(lines: Iterable[str]) -> list[str]:
    """A docstring of NumPy's style as reStructuredText: its sections become lists, whose types are words, not links."""
    from sphinx.ext.napoleon import Config, NumpyDocstring

    config = Config(
        napoleon_use_param=False,
        napoleon_use_rtype=False,
        # Else each attribute were declared here, and again where its class does.
        napoleon_custom_sections=[("Attributes", "params_style")],
    )
    # Sphinx would make a dash of two hyphens, but of those in `--option`, too.
    return [SEPARATOR.sub(" \u2013 ", line) for line in NumpyDocstring("\n".join(escaped(lines)), config).lines()]


def escaped(lines: Iterable[str]) -> list[str]:
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
    return _joined(LETTER.sub(r"\1\\", line), MARKS)


def of_comment(text: str) -> str:
    """A comment's prose as reStructuredText."""
    return _joined(text, COMMENT_MARKS)


def _joined(text: str, marks: re.Pattern[str]) -> str:
    """The text with marks escaped outside quotes; what is quoted may end within a word, as `name`s does."""
    parts = QUOTED.split(text)
    for index, part in enumerate(parts):
        if index % 2 == 0:
            parts[index] = marks.sub(r"\\\1", part)
            if index and re.match(r"\w", part):
                parts[index] = "\\ " + parts[index]
    return "".join(parts)
