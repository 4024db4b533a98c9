"""How a wrong answer is written down: a function of the protocol's name, and words of what the kit says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparcl_ref.verify.areas import functions
from sparcl_ref.workbook.parts import Part

#: The reference's functions, which the wrong answers spoil.
RIGHT = {name: Part(function) for name, function in functions().items()}

#: Function, and words of its diagnosis.
WRONG: list[tuple[Callable[..., Any], str]] = []


def said(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the function below to `WRONG`."""

    def kept(function: Callable[..., Any]) -> Callable[..., Any]:
        WRONG.append((function, words))
        return function

    return kept
