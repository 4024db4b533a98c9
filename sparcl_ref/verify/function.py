"""What the kit knows of one function: how adapters call it, the rule it is held to, our own, and known mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.verify.mistake import Mistake

#: Stands for "must be given" where an argument has no default.
REQUIRED: Any = object()


@dataclass(frozen=True)
class Argument:
    """One argument; adapters are called with arguments by name.

    A case that uses the default leaves the argument out for an adapter whose function does not take it.
    """

    name: str
    text: str  #: type, shape and meaning, for the manual: "float (N, C, H, W)"
    default: Any = REQUIRED  #: left so if every case gives it
    drawn: bool = False  #: whether it is a random choice, which a function that draws for itself does not take


@dataclass(frozen=True)
class Output:
    """One returned value."""

    name: str
    text: str
    exact: bool = False  #: whether every bit counts (masks, counts, indices), or a tolerance applies (sums of floats)

    @property
    def floating(self) -> bool:
        """Whether the dtype must be the one under test. Exact outputs compare by value, whatever their dtype."""
        return not self.exact


@dataclass(frozen=True)
class Function:
    """One function that an adapter may provide.

    An adapter returns the one output, a tuple of all in their order, or a dict by name. Of several mistakes that give
    the same numbers the likelier stands first.
    """

    name: str
    area: str
    arguments: tuple[Argument, ...]
    outputs: tuple[Output, ...]
    sentence: str  #: what is specified, so that a failure can print it
    source: str  #: equation, algorithm or paper it belongs to
    reference: Callable[..., Any] | None = None  #: ours, which takes the arguments by name
    mistakes: tuple[Mistake, ...] = ()
    uses: tuple[str, ...] = ()  #: other functions of the protocol that are part of it, whose failures it inherits

    def right(self, **arguments: Any) -> dict[str, Any]:
        """The outputs of the reference by name; arguments that it writes into are copied before."""
        if self.reference is None:
            raise TypeError(f"{self.name}: there is no reference")
        copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
        returned = self.reference(**copies)
        names = [output.name for output in self.outputs]
        return dict(zip(names, returned if len(names) > 1 else (returned,), strict=True))


def drawn(name: str, text: str) -> Argument:
    """An argument that is a random choice."""
    return Argument(name, text, drawn=True)


def exactly(name: str, text: str) -> Output:
    """An output of which every bit counts."""
    return Output(name, text, exact=True)


def specify(
    name: str,
    area: str,
    reference: Callable[..., Any] | None,
    source: str,
    sentence: str,
    *parts: Argument | Output | Mistake,
    uses: tuple[str, ...] = (),
) -> Function:
    """A `Function` as a flat record: arguments, outputs and mistakes follow each other, each in its order."""
    arguments = tuple(part for part in parts if isinstance(part, Argument))
    outputs = tuple(part for part in parts if isinstance(part, Output))
    mistakes = tuple(part for part in parts if isinstance(part, Mistake))
    return Function(name, area, arguments, outputs, sentence, source, reference, mistakes, uses)
