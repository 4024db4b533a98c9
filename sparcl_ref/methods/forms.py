"""Where a paper and the code behind a method's published figures differ: the method says it, the docs show it."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """One thing that the two forms of a method do differently, in words.

    Unless the words say how sure they are, the side was read in its source: the paper, or the code of mammoth.

    Attributes
    ----------
    subject : str
    paper, mammoth : str
        What either does; "left out here" where this reference does not do it.
    changes : str
        What follows from it.
    """

    subject: str
    paper: str
    mammoth: str
    changes: str
