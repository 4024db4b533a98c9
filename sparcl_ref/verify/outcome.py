"""What came of one case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.difference import NONE, Difference
from sparcl_ref.verify.function import Function

#: Why a case of a function that an adapter does not have is not provided.
ABSENT = "not in the adapter"

Status = Literal["passed", "failed", "not provided", "outside range"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one case; texts and tuples are empty where there is nothing to say."""

    case: Case
    function: Function
    status: Status
    compared: int = 0  #: numbers that were compared
    line: str = ""  #: why it failed, is not provided, or is outside the adapter's range
    differences: tuple[Difference, ...] = ()  #: first bad entry of each wrong output; none if the call itself failed
    outputs: Mapping[str, Returned] = field(default_factory=dict, repr=False)  #: what came back, if some is wrong
    causes: tuple[str, ...] = ()  #: known mistakes that give these numbers and those of the function's other cases
    pattern: str = ""  #: what wrong numbers have to do with the right ones, such as a factor
    reason: str = ""  #: why it is expected to fail, or may

    @property
    def area(self) -> str:
        return self.function.area

    @property
    def cause(self) -> str:
        """The known mistake that is listed first; empty if none gives these numbers."""
        return self.causes[0] if self.causes else ""

    @property
    def asked(self) -> bool:
        """Whether the adapter has the function at all."""
        return self.status != "not provided" or self.line != ABSENT

    @property
    def returned_nothing(self) -> bool:
        """Whether it failed because nothing came back, as from a function that is still empty."""
        none = [difference.problem == NONE for difference in self.differences]
        return self.status == "failed" and (all(none) if none else "returned one NoneType" in self.line)
