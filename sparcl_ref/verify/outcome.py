"""What came of one case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.difference import Difference
from sparcl_ref.verify.function import Function

Status = Literal["passed", "failed", "not provided"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one case.

    Attributes
    ----------
    case : Case
    function : Function
    status : {"passed", "failed", "not provided"}
    compared : int
        Numbers that were compared.
    line : str
        Why it failed or is not provided; empty if it passed.
    differences : tuple of Difference
        First bad entry of each wrong output; empty if the call itself failed.
    outputs : mapping of str to Returned
        What came back, if some of it is wrong.
    causes : tuple of str
        Known mistakes that give these numbers and those of the function's other cases; empty if none does.
    pattern : str
        What wrong numbers have to do with the right ones, such as a factor; empty if nothing simple.
    reason : str
        Why the adopter expects it to fail; empty if not expected to.
    """

    case: Case
    function: Function
    status: Status
    compared: int = 0
    line: str = ""
    differences: tuple[Difference, ...] = ()
    outputs: Mapping[str, Returned] = field(default_factory=dict, repr=False)
    causes: tuple[str, ...] = ()
    pattern: str = ""
    reason: str = ""

    @property
    def area(self) -> str:
        return self.function.area

    @property
    def cause(self) -> str:
        """The known mistake that is listed first; empty if none gives these numbers."""
        return self.causes[0] if self.causes else ""
