"""Every symbol of a formula stands on the page of notation, with the tutorials that use it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.tutorials.formulas import formulas
from tests.tutorials.notebooks import TUTORIALS, Notebook
from tests.tutorials.prose import MATHS

PAGE = TUTORIALS / "pages" / "notation.md"
#: A row's symbols, what they mean, and the numbers of the tutorials.
ROW = re.compile(r"^\| (?P<symbols>\$.*?\$) \| (?P<meaning>.+?) \| (?P<where>[\da-z, ]+) \|$", re.MULTILINE)
#: Words in formulas, and subscripts in upright letters, say themselves what they mean.
WORDS = re.compile(r"\\text\{[^{}]*\}|_ ?\{?\\mathrm\{[^{}]*\}\}?|\\(?:begin|end)\{[^{}]*\}")
TOKEN = re.compile(r"\\mathrm\{(?P<name>[^{}]*)\}|\\(?P<command>[A-Za-z]+)|(?P<letter>[A-Za-z])|(?P<truth>\[)")
#: Layout, and what everybody has met at school.
COMMON = re.compile(
    r"""
    [bB]ig[lrg]? | left | right | q?quad | textstyle | underbrace | [lr]brace | rfloor | [lr]?vert | dots | ldots
    | [td]?frac | sqrt | sum | log | ln | exp | sin | cos | min | max | cdot | times | pm | approx | le | ge | ne | in
    | to | infty | leftarrow | Longrightarrow
    """,
    re.VERBOSE,
)


def symbols(formula: str) -> list[str]:
    """Letters, Greek letters, accents, names and less common signs of a formula, in order; "[" for a truth value."""
    found = []
    for match in TOKEN.finditer(WORDS.sub(" ", formula)):
        token = match["name"] or match["letter"] or match["truth"] or f"\\{match['command']}"
        if not (match["command"] and COMMON.fullmatch(match["command"])):
            found.append(token)
    return found


def listed(page: str) -> dict[str, set[str]]:
    """Symbols of the page, and for each the numbers of the tutorials that its rows name."""
    found: dict[str, set[str]] = {}
    for row in ROW.finditer(page):
        for formula in MATHS.finditer(row["symbols"]):
            # The rest are indices, which have rows of their own.
            found.setdefault(symbols(formula.group())[0], set()).update(row["where"].split(", "))
    return found


def used(notebook: Notebook) -> dict[str, str]:
    """Symbols of a tutorial's formulas, and the first formula of each."""
    found: dict[str, str] = {}
    for formula in formulas(notebook.text):
        for symbol in symbols(formula):
            found.setdefault(symbol, " ".join(formula.split()))
    return found


def violations(notebooks: Sequence[Notebook], page: str) -> list[str]:
    """Symbols that the page does not list for a tutorial that uses them, and those listed for one that does not."""
    rows, found = listed(page), []
    for notebook in notebooks:
        here = used(notebook)
        for symbol, formula in here.items():
            if notebook.number not in rows.get(symbol, ()):
                found.append(f"{notebook.name}: {symbol} is not in pages/notation.md for {notebook.number}: {formula}")
        for symbol, where in rows.items():
            if notebook.number in where and symbol not in here:
                found.append(f"{notebook.name}: {symbol} stands in pages/notation.md for {notebook.number}, unused")
    return found
