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

    Attributes
    ----------
    name : str
    text : str
        Type, shape and meaning, for the manual: "float (N, C, H, W)".
    default : object
        A case that uses the default leaves the argument out for an adapter whose function does not take it;
        `REQUIRED` if every case gives it.
    """

    name: str
    text: str
    default: Any = REQUIRED


@dataclass(frozen=True)
class Output:
    """One returned value.

    Attributes
    ----------
    name, text : str
    exact : bool
        Whether every bit counts (masks, counts, indices) or a tolerance applies (sums of floating point numbers).
    floating : bool
        Whether the dtype must be the one under test. Exact outputs compare by value, whatever their dtype.
    """

    name: str
    text: str
    exact: bool = False

    @property
    def floating(self) -> bool:
        return not self.exact


@dataclass(frozen=True)
class Function:
    """One function that an adapter may provide.

    Attributes
    ----------
    name, area : str
    arguments : tuple of Argument
    outputs : tuple of Output
        An adapter returns the one output, a tuple of all in this order, or a dict by name.
    sentence : str
        What is specified, in one sentence that a failure can print.
    source : str
        Equation, algorithm or paper it belongs to.
    reference : callable, optional
        Ours, which takes the arguments by name.
    mistakes : tuple of Mistake
        Known ones; of several that give the same numbers the likelier stands first.
    """

    name: str
    area: str
    arguments: tuple[Argument, ...]
    outputs: tuple[Output, ...]
    sentence: str
    source: str
    reference: Callable[..., Any] | None = None
    mistakes: tuple[Mistake, ...] = ()

    def right(self, **arguments: Any) -> dict[str, Any]:
        """The outputs of the reference by name; arguments that it writes into are copied before."""
        if self.reference is None:
            raise TypeError(f"{self.name}: there is no reference")
        copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
        returned = self.reference(**copies)
        names = [output.name for output in self.outputs]
        return dict(zip(names, returned if len(names) > 1 else (returned,), strict=True))
