"""Every number in prose is asserted in a cell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from decimal import Decimal

from tests.tutorials.notebooks import Notebook
from tests.tutorials.prose import sentences, without_section, words_only

#: Not statements of the text: step and equation numbers, numbers of other tutorials, years, versions, identifiers,
#: dimensions such as 2D, and digits in names such as CIFAR-10 or float32.
EXEMPT = re.compile(
    r"""
    ^\s*\#+\s*\d+\.                                               # a numbered heading
    | ^\s*\d+\.(?=\s)                                             # a numbered list
    | \b(?:equations?|eqs?\.?|algorithm|tables?|figures?|sections?|steps?|exercises?|tutorials?|appendix)
      \s+\(?\d+[a-z]?\)?(?:\s*(?:,|-|–|and|to|or)\s*\(?\d+\)?)*(?![\d.%]*\d)   # a reference
    | (?<![\w.,])0\d(?![\w.,]*\d)                                  # a tutorial's number
    | (?<![\w.,])\(\d\)                                           # an equation's number
    | (?<![\w.,])(?:19|20)\d\d(?![\w%]|[.,]\d|\s*%)                     # a year
    | \bPython\s+3(?:\.\d+)?
    | \barXiv:?\s*\d{4}\.\d+
    | \b\d-?D\b
    | (?<![\w.])[A-Za-z][\w+]*-?\d[\w.]*(?<!\.)                             # a name
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d])|(?<![\w])(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?")
PERCENT = re.compile(r"%|\bper\s?cent\b|\bpercent\b|\bpercentage\b|\bpoints?\b")


def numbers_in_prose(markdown: str) -> list[tuple[str, bool, str]]:
    """Number as written, whether its sentence speaks of percent or points, and the sentence."""
    text = words_only(without_section(markdown, "Further reading"))
    found = []
    for _, sentence in sentences(text):
        left = re.sub(r"(?<=\d)[x×](?=\d)", " x ", EXEMPT.sub(" ", sentence))
        found += [(match.group(), PERCENT.search(left) is not None, sentence) for match in NUMBER.finditer(left)]
    return found


def asserted_numbers(sources: Iterable[str]) -> set[Decimal]:
    """Absolute values of the numbers that the conditions of assertions name, inside strings too.

    An assertion that mentions no variable says nothing, and its numbers do not count.
    """
    numbers: set[Decimal] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            for condition in _conditions(node):
                parts = list(ast.walk(condition))
                if any(isinstance(part, ast.Name) for part in parts):
                    for part in parts:
                        numbers |= _constants(part)
    return numbers


def _conditions(node: ast.AST) -> list[ast.AST]:
    """What an assert statement, or a call of an assert_... function, asserts."""
    if isinstance(node, ast.Assert):
        return [node.test]
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name.startswith("assert_"):
            return list(node.args[:2]) and [ast.Tuple(elts=list(node.args[:2]), ctx=ast.Load())]
    return []


def _constants(part: ast.AST) -> set[Decimal]:
    if isinstance(part, ast.Constant):
        value = part.value
        if isinstance(value, bool):
            return set()
        if isinstance(value, int | float):
            return {Decimal(repr(value))}
        if isinstance(value, str):
            return {decimal(match.group()) for match in NUMBER.finditer(value)}
    return set()


def decimal(text: str) -> Decimal:
    """A number as written in prose."""
    return Decimal(text.replace(",", ""))


def violations(notebook: Notebook) -> list[str]:
    """Numbers of the prose that no assertion of the notebook names."""
    asserted = asserted_numbers(notebook.code)
    return [
        f"{notebook.name}: the number {written} is in no assert: {sentence}"
        for written, percent, sentence in numbers_in_prose(notebook.markdown)
        if decimal(written) not in asserted and not (percent and decimal(written) / 100 in asserted)
    ]
