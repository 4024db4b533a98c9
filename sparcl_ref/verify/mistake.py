"""What a known mistake is: a sentence, and the numbers it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Gives the right outputs, by name, for arguments by name.
Right = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Mistake:
    """One mistake in one function.

    ``outputs`` takes all arguments by name and returns, by name, the outputs that the mistake changes: none where it
    does not show. If ``of_right``, it takes the right function first, to ask it something else or to spoil its answer.
    """

    sentence: str  #: what it looks like, for the report
    outputs: Callable[..., dict[str, Any]]
    of_right: bool = False

    def made(self, right: Right, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the mistake gives for the arguments of a call."""
        return self.outputs(right, **arguments) if self.of_right else self.outputs(**arguments)


def instead(sentence: str, *names: str, **changes: Any) -> Mistake:
    """The outputs of the right function for other arguments: most mistakes are a right answer to another question.

    Of the outputs those that are named change, all unless any is; a change gives an argument a value, or a function
    that makes one from all arguments.
    """

    def outputs(right: Right, **given: Any) -> dict[str, Any]:
        found = right(**given | {name: _from(change, given) for name, change in changes.items()})
        return {name: found[name] for name in names or found}

    return Mistake(sentence, outputs, of_right=True)


def scaled(sentence: str, **factors: Any) -> Mistake:
    """Some outputs of the right function, each times a factor, which may be a function of all arguments."""

    def outputs(right: Right, **given: Any) -> dict[str, Any]:
        found = right(**given)
        return {name: np.asarray(found[name]) * _from(factor, given) for name, factor in factors.items()}

    return Mistake(sentence, outputs, of_right=True)


def _from(value: Any, given: dict[str, Any]) -> Any:
    return value(given) if callable(value) else value


def of(name: str) -> Callable[[dict[str, Any]], Any]:
    """A change for `instead`: the value of another argument."""
    return lambda given: given[name]


def more(name: str, by: int) -> Callable[[dict[str, Any]], Any]:
    """A change for `instead`: the argument and a bit more."""
    return lambda given: given[name] + by
