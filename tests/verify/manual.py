"""The generated part of the manual page: `python -m tests.verify.manual` renews it."""

from __future__ import annotations

from pathlib import Path

from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.listing import format_listing

PAGE = Path(__file__).parents[2] / "tutorials" / "pages" / "verify.md"
HEADING = "## All functions\n"
_OPEN, _CLOSE = "```text\n", "```\n"


def generated() -> str:
    """The list of functions as it stands on the page."""
    return f"{_OPEN}{format_listing(functions().values())}\n{_CLOSE}"


def renewed(page: str) -> str:
    """The page with the list as the protocol has it now: everything from the first fence after the heading."""
    head, heading, rest = page.partition(HEADING)
    return head + heading + rest.split(_OPEN)[0] + generated()


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
