"""How one function of the protocol is described: the adapter's manual and the kit's checks are made from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Areas in the order of reports.
AREAS = (
    "layers",
    "losses",
    "optimizer",
    "masks",
    "importance",
    "tdm",
    "ddr",
    "dgm",
    "replay",
    "metrics",
    "cost",
    "released",
)

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
        Area is one of `AREAS`.
    arguments : tuple of Argument
    outputs : tuple of Output
        An adapter returns the one output, a tuple of all in this order, or a dict by name.
    sentence : str
        What is specified, in one sentence that a failure can print.
    source : str
        Equation, algorithm or paper it belongs to.
    """

    name: str
    area: str
    arguments: tuple[Argument, ...]
    outputs: tuple[Output, ...]
    sentence: str
    source: str

    def __post_init__(self) -> None:
        if self.area not in AREAS:
            raise ValueError(f"{self.name}: the area must be one of {', '.join(AREAS)}, got {self.area!r}")
