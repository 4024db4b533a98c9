"""The adopter's list of cases that are expected to fail, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def parse(text: str, known: Iterable[str], *, name: str = "list") -> dict[str, str]:
    """Read lines of the form ``case: reason``; empty lines and lines that begin with # say nothing.

    A case is an id or a pattern such as ``conv2d_*/dilation-*``.

    Parameters
    ----------
    known : iterable of str
        Ids of all cases, some of which the result gives their reasons.
    name : str
        What errors call the text.

    Raises
    ------
    ValueError
        If an entry has no reason, names no case, or names one that an earlier entry has named.
    """
    known = list(known)
    reasons: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pattern, _, reason = (part.strip() for part in line.partition(":"))
        where = f"{name}, line {number}"
        if not reason:
            raise ValueError(f"{where}: {pattern!r} has no reason; write 'case: reason'")
        found = [case for case in known if fnmatchcase(case, pattern)]
        if not found:
            raise ValueError(f"{where}: there is no case {pattern!r}; --list shows all")
        twice = [case for case in found if case in reasons]
        if twice:
            raise ValueError(f"{where}: {twice[0]} is on the list already")
        reasons |= dict.fromkeys(found, reason)
    return reasons
