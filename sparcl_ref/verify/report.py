"""What a check found, for people and for machines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import groupby
from typing import Any

from sparcl_ref.text import columns
from sparcl_ref.verify.brief import Answer, answers, as_html, brief
from sparcl_ref.verify.difference import Difference, shown
from sparcl_ref.verify.inheritance import inherited
from sparcl_ref.verify.outcome import Outcome

FORMAT = 1
_HEADER = ("area", "passed", "failed", "expected failures", "not provided", "outside range", "compared")
#: Failed cases of one function that are told in full.
IN_FULL = 3
#: Names of further ones.
NAMED = 8


class Finding(ABC):
    """What a check found: of cases a `Report`, of a trace a `sparcl_ref.verify.traces.report.TraceReport`."""

    @property
    @abstractmethod
    def conforms(self) -> bool:
        """Whether everything provided is right, and something was compared."""

    @abstractmethod
    def text(self) -> str:
        """For people, without a final line break."""

    def __str__(self) -> str:
        return self.text()

    @abstractmethod
    def json(self) -> dict[str, Any]:
        """For machines: plain JSON values."""


@dataclass(frozen=True)
class Row:
    """Counts of one area, in the order of the table's columns: cases, and numbers compared in them."""

    area: str
    passed: int
    failed: int
    expected_failures: int
    not_provided: int
    outside_range: int
    compared: int


@dataclass(frozen=True, eq=False)
class Report(Finding):
    """All outcomes of one adapter, or of the files that a program wrote."""

    adapter: str
    dtype: str
    outcomes: tuple[Outcome, ...]
    remarks: tuple[str, ...] = ()  #: what looks like a slip in the adapter

    @property
    def failures(self) -> list[Outcome]:
        """Cases that failed and were not expected to."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed" and not outcome.reason]

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

    def answers(self) -> list[Answer]:
        """What is said of each function that the adapter has."""
        return answers(self.outcomes)

    def verdict(self) -> str:
        """The last line."""
        total = self.total()
        if total.failed:
            count = f"{total.failed:,} case{'s' if total.failed > 1 else ''} failed"
            return f"does not conform: {count}, {total.passed:,} passed"
        if not self.compared:
            ran = any(outcome.status in ("passed", "failed") for outcome in self.outcomes)
            why = "every case that ran is expected to fail" if ran else "no function asked for is provided"
            if total.outside_range and not ran:
                why = "every case is outside the adapter's range, or not provided"
            if total.passed:
                why = "the outputs of every case that passed are empty"
            return f"nothing was compared: {why} (--list shows the names)"
        apart = {"not provided": total.not_provided, "outside its range": total.outside_range}
        left = "".join(f"; {count:,} cases {what}" for what, count in apart.items() if count)
        return f"conforms in what it provides: {total.passed:,} cases passed, {self.compared:,} numbers compared{left}"

    def text(self) -> str:
        """Counts per area, the failures of each function with rule and first bad entry, and the verdict.

        What may only inherit another function's failure is told in a line, and of many failures the first in full.
        """
        counts = (astuple(row) for row in (*self.rows(), self.total()))
        rows = ((area, *(f"{number:,}" for number in numbers)) for area, *numbers in counts)
        blocks = [f"{self.adapter}, {self.dtype}", columns(_HEADER, rows)]
        blocks += _failures(self.failures)
        lines = [_expected_line(outcome) for outcome in self.outcomes if outcome.reason]
        lines += [f"remark: {remark}" for remark in self.remarks]
        if lines:
            blocks.append("\n".join(lines))
        return "\n\n".join([*blocks, self.verdict()])

    def __str__(self) -> str:
        """A line or two for each function that is not right, of others the names; `text` tells everything."""
        return brief(self.outcomes, self.remarks, self.verdict())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.outcomes, self.remarks, self.verdict(), self.text())

    def json(self) -> dict[str, Any]:
        """Plain JSON values, one record per area and one per case; numbers that JSON does not have are None."""
        return {
            "format": FORMAT,
            "adapter": self.adapter,
            "dtype": self.dtype,
            "conforms": self.conforms,
            "verdict": self.verdict(),
            "areas": [asdict(row) for row in self.rows()],
            "total": asdict(self.total()),
            "inherited": inherited(self.failures),
            "cases": [_case_record(outcome) for outcome in self.outcomes],
            "remarks": list(self.remarks),
        }


def _row(area: str, outcomes: Sequence[Outcome]) -> Row:
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    expected = sum(bool(outcome.reason) for outcome in failed)
    return Row(
        area,
        passed=sum(outcome.status == "passed" for outcome in outcomes),
        failed=len(failed) - expected,
        expected_failures=expected,
        not_provided=sum(outcome.status == "not provided" for outcome in outcomes),
        outside_range=sum(outcome.status == "outside range" for outcome in outcomes),
        compared=sum(outcome.compared for outcome in outcomes),
    )


def _case_record(outcome: Outcome) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": outcome.case.id,
        "function": outcome.function.name,
        "area": outcome.area,
        "status": outcome.status,
        "compared": outcome.compared,
    }
    if outcome.line:
        record["line"] = outcome.line
    if outcome.reason:
        record["expected_to_fail"] = outcome.reason
    if outcome.status == "failed":
        record |= {
            "sentence": outcome.function.sentence,
            "source": outcome.function.source,
            "note": outcome.case.note,
            "causes": list(outcome.causes),
            "pattern": outcome.pattern,
            "differences": [_difference_record(difference) for difference in outcome.differences],
        }
    return record


def _difference_record(difference: Difference) -> dict[str, Any]:
    numbers = {key: getattr(difference, key) for key in ("ulp", "error", "allowed")}
    return {
        "output": difference.name,
        "problem": difference.problem,
        "index": None if difference.index is None else list(difference.index),
        "got": shown(difference.got),
        "expected": shown(difference.expected),
        **{key: value if value is None or math.isfinite(value) else None for key, value in numbers.items()},
        "bad": difference.bad,
        "size": difference.size,
    }


def _failures(failures: Sequence[Outcome]) -> list[str]:
    """The failed cases function by function: a few in full, further ones by name, and what is inherited in a line."""
    origin, blocks = inherited(failures), []
    for name, group in groupby(failures, key=lambda outcome: outcome.function.name):
        members = list(group)
        if name in origin:
            count = f"{len(members):,} failed case{'s' if members[1:] else ''}"
            blocks.append(f"FAILED {name} ({members[0].area}): {count}, may only inherit the failure of {origin[name]}")
            continue
        blocks += [format_failure(outcome) for outcome in members[:IN_FULL]]
        if rest := [outcome.case.id.partition("/")[2] for outcome in members[IN_FULL:]]:
            others = f" and {len(rest) - NAMED:,} more" if rest[NAMED:] else ""
            blocks.append(f"FAILED {name}, further cases: {', '.join(rest[:NAMED])}{others}")
    return blocks


def format_failure(outcome: Outcome) -> str:
    """One failed case: what was specified, where it breaks first, and what it looks like."""
    lines = [
        f"FAILED {outcome.case.id} ({outcome.area}): {outcome.line}",
        f"  rule       {outcome.function.sentence}",
        f"  source     {outcome.function.source}",
        f"  case       {outcome.case.note}",
    ]
    for difference in outcome.differences:
        lines += _difference_lines(outcome, difference)
    if outcome.pattern:
        lines.append(f"  pattern    {outcome.pattern}")
    if outcome.cause:
        others = f" (or: {'; '.join(outcome.causes[1:])})" if outcome.causes[1:] else ""
        lines.append(f"  looks like {outcome.cause}{others}")
    return "\n".join(lines)


def _difference_lines(outcome: Outcome, difference: Difference) -> list[str]:
    if difference.index is None:
        return [f"  {difference.name} {difference.problem}"]
    entry = difference.name + (str(list(difference.index)) if difference.index else "")
    share = f"{difference.bad:,} of {difference.size:,} entries"
    numbers = f"got {shown(difference.got)}, expected {shown(difference.expected)}"
    lines = [f"  {entry} {difference.problem}: {numbers} ({share})"]
    if difference.error is not None:
        tolerance = outcome.case.tolerance[difference.name]
        allowed = f"{difference.allowed:.3g} allowed ({tolerance.reason})"
        if difference.allowed:
            allowed = f"{difference.error / difference.allowed:.3g} times the {allowed}"
        ulp = "" if difference.ulp is None else f"{difference.ulp:.3g} ULP, "
        lines.append(f"  error      {difference.error:.3g}, {ulp}{allowed}")
    return lines


def _expected_line(outcome: Outcome) -> str:
    if outcome.status == "passed":
        return f"passed although expected to fail, take it off the list: {outcome.case.id} ({outcome.reason})"
    return f"expected: {outcome.case.id} {outcome.status}: {outcome.line} ({outcome.reason})"
