"""Formulas as a code host's Markdown sees them: emphasis, lists and links must not reach into mathematics."""

from __future__ import annotations

import html
import re

from tests.tutorials.notebooks import Notebook
from tests.tutorials.prose import CODE, FENCE, MATHS, blanked

TAG = re.compile(r"<[^>]*>")


def formulas(markdown: str) -> list[str]:
    """The formulas of a text, dollar signs included, in order."""
    return [match.group() for match in MATHS.finditer(blanked(CODE, blanked(FENCE, markdown)))]


def broken(markdown: str) -> list[str]:
    """Formulas whose text does not come through GitHub's Markdown unchanged.

    The host renders Markdown first and looks for mathematics in what is left, so a formula survives if its text stands
    in the rendered page: nothing dropped, and no tag put into it.
    """
    import cmarkgfm

    page = cmarkgfm.github_flavored_markdown_to_html(markdown)
    # Tags become a mark that no formula holds: "}<em>{" is found, and so is a formula cut in two by a list.
    text = " ".join(html.unescape(TAG.sub("\0", page)).split())
    found, place = [], 0
    for formula in formulas(markdown):
        # One after the other: an equal formula elsewhere does not stand for this one.
        at = text.find(" ".join(formula.split()), place)
        if at < 0:
            found.append(formula)
        else:
            place = at + 1
    return found


def violations(notebook: Notebook) -> list[str]:
    """Formulas of a tutorial that a code host does not show."""
    return [
        f"{notebook.name}: a code host's Markdown tears {' '.join(formula.split())}"
        for formula in broken(notebook.text)
    ]
