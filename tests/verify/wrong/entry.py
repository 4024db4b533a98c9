"""One deliberately wrong implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """A function of the protocol with one mistake in it.

    Attributes
    ----------
    name : str
        Unique; small letters, digits and hyphens.
    area : str
        Where the kit must find the mistake.
    function : str
        Name in the protocol.
    mistake : str
        What it does instead, in one sentence.
    broken : callable
        Takes the protocol's arguments by name. Many are one function with a keyword ``fault``, which is right for every
        fault that it does not know.
    """

    name: str
    area: str
    function: str
    mistake: str
    broken: Callable[..., Any]
