"""What came of each case, and all of it together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.compare import Difference
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


@dataclass(frozen=True)
class Row:
    """Counts of one area: cases, and numbers compared in them."""

    area: str
    passed: int
    failed: int
    expected_failures: int
    not_provided: int
    compared: int


@dataclass(frozen=True, eq=False)
class Report:
    """All outcomes of one adapter.

    Attributes
    ----------
    adapter, dtype : str
    outcomes : tuple of Outcome
    remarks : tuple of str
        What looks like a slip in the adapter.
    """

    adapter: str
    dtype: str
    outcomes: tuple[Outcome, ...]
    remarks: tuple[str, ...] = field(default=())

    @property
    def failures(self) -> list[Outcome]:
        """Cases that failed and were not expected to."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed" and not outcome.reason]

    @property
    def unexpected_passes(self) -> list[Outcome]:
        """Cases that passed although they were expected to fail."""
        return [outcome for outcome in self.outcomes if outcome.status == "passed" and outcome.reason]

    @property
    def compared(self) -> int:
        """Numbers compared in cases that passed."""
        return sum(outcome.compared for outcome in self.outcomes if outcome.status == "passed")

    @property
    def conforms(self) -> bool:
        """Whether everything provided passed, and something was compared."""
        return not self.failures and self.compared > 0

    def rows(self) -> list[Row]:
        """One row per area that has cases, in the order of the outcomes."""
        found = dict.fromkeys(outcome.area for outcome in self.outcomes)
        return [_row(area, [o for o in self.outcomes if o.area == area]) for area in found]

    def total(self) -> Row:
        """All areas together."""
        return _row("all", self.outcomes)


def _row(area: str, outcomes: Sequence[Outcome]) -> Row:
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    expected = sum(bool(outcome.reason) for outcome in failed)
    return Row(
        area,
        passed=sum(outcome.status == "passed" for outcome in outcomes),
        failed=len(failed) - expected,
        expected_failures=expected,
        not_provided=sum(outcome.status == "not provided" for outcome in outcomes),
        compared=sum(outcome.compared for outcome in outcomes),
    )
