"""What a known mistake is: a sentence, and the numbers it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cause:
    """One mistake in one function.

    Attributes
    ----------
    function : str
        Name in the protocol.
    sentence : str
        What it looks like, for the report.
    outputs : callable
        Takes all arguments by name; returns the outputs that the mistake changes, by name.
    """

    function: str
    sentence: str
    outputs: Callable[..., dict[str, Any]]


def instead(
    right: Callable[..., Any], *names: str, **changes: Callable[[dict[str, Any]], Any]
) -> Callable[..., dict[str, Any]]:
    """The outputs of the right function for other arguments: most mistakes are a right answer to another question.

    Parameters
    ----------
    right : callable
        From the adapter of the reference engine.
    *names : str
        Its outputs in order.
    **changes : callable
        Argument name to a function that makes its value from all arguments.
    """

    def outputs(**given: Any) -> dict[str, Any]:
        copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in given.items()}
        returned = right(**copies | {name: change(given) for name, change in changes.items()})
        return dict(zip(names, returned if len(names) > 1 else (returned,), strict=True))

    return outputs


def scaled(
    right: Callable[..., Any], *names: str, **factors: Callable[[dict[str, Any]], float]
) -> Callable[..., dict[str, Any]]:
    """Some outputs of the right function, each times a factor made from the arguments."""
    plain = instead(right, *names)

    def outputs(**given: Any) -> dict[str, Any]:
        found = plain(**given)
        return {name: np.asarray(found[name]) * factor(given) for name, factor in factors.items()}

    return outputs


def of(name: str) -> Callable[[dict[str, Any]], Any]:
    """A change for `instead`: the value of another argument."""
    return lambda given: given[name]


def more(name: str, by: int) -> Callable[[dict[str, Any]], Any]:
    """A change for `instead`: the argument and a bit more."""
    return lambda given: given[name] + by
