"""The page of terms as a glossary: sorted, each with an address, and read by the cards that show a term in place."""

from __future__ import annotations

import re
from pathlib import Path

from website.links import Checkout, seen_from

TERMS = "tutorials/pages/terms.md"
ROW = re.compile(r"^\| (?P<term>.*?) \| (?P<where>\[.*?\]\(.*?\)) \| (?P<text>.*) \|$", re.MULTILINE)
HEAD = """\
# Glossary

Every term of the tutorials, with the sentence that defines it and the tutorial that does. On other pages a term with a
dotted line shows that sentence when you point at it.

````{glossary}
:sorted:

"""


def entries(page: str) -> list[tuple[str, str, str]]:
    """Term, definition and link to where it is defined, of each row of the page of terms."""
    rows = [(match["term"], match["text"].replace(r"\|", "|"), match["where"]) for match in ROW.finditer(page)]
    return rows[1:] if rows and rows[0][0] == "term" else rows


def write(checkout: Checkout, fresh: Path) -> None:
    """Write the glossary in the place of the page of terms."""
    page = seen_from(checkout.read(TERMS), TERMS, checkout, fresh)
    body = "\n\n".join(f"{term}\n  {text}\n\n  {where}" for term, text, where in entries(page))
    (fresh / checkout.staged[TERMS]).write_text(f"{HEAD}{body}\n````\n", encoding="utf-8")
