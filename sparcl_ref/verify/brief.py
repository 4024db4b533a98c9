"""What a check found in a line or two for each function: right, nothing there yet, or off and what it looks like."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sparcl_ref.verify.difference import shown
from sparcl_ref.verify.listing import signature
from sparcl_ref.verify.outcome import Outcome

State = Literal["right", "wrong", "empty"]
_MARKS: dict[State, str] = {"right": "✓", "wrong": "✗", "empty": "·"}


@dataclass(frozen=True)
class Answer:
    """What is said of one function."""

    name: str
    state: State
    lines: tuple[str, ...]

    def __str__(self) -> str:
        first, *others = self.lines
        return "\n".join([f"{self.name}: {first}", *(f"  {line}" for line in others)])

    def html(self) -> str:
        """The same for a notebook."""
        lines = "<br>".join(html.escape(line) for line in self.lines)
        return f"<p>{_MARKS[self.state]} <code>{html.escape(self.name)}</code>: {lines}</p>"


def answers(outcomes: Sequence[Outcome]) -> list[Answer]:
    """One for each function that there is, in the order of the outcomes."""
    names = dict.fromkeys(outcome.function.name for outcome in outcomes if outcome.asked)
    return [_answer(name, [outcome for outcome in outcomes if outcome.function.name == name]) for name in names]


def _answer(name: str, outcomes: list[Outcome]) -> Answer:
    failed = [outcome for outcome in outcomes if outcome.status == "failed" and not outcome.reason]
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    ran = passed + len(failed)
    if not ran:
        return Answer(name, "empty", (f"nothing to check yet: {outcomes[0].line}",))
    if failed and all(outcome.returned_nothing for outcome in failed):
        where = f" in {len(failed)} of {ran} cases" if passed else ""
        return Answer(name, "empty", (f"returns nothing{where}: still empty, or without a return",))
    if failed:
        return Answer(name, "wrong", _wrong(failed, ran))
    left = dict.fromkeys(outcome.line for outcome in outcomes if outcome.status in ("not provided", "outside range"))
    kept = [f"{len(outcomes) - passed} further cases do not apply: it {'; it '.join(left)}"] if left else []
    return Answer(name, "right", (f"right, {passed} case{'s' if passed > 1 else ''}", *kept))


def _wrong(failed: list[Outcome], ran: int) -> tuple[str, ...]:
    """How many cases fail, one of them as an example, and the likely mistake, or else what that case is for."""
    example = next((outcome for outcome in failed if outcome.cause), failed[0])
    case = example.case.id.partition("/")[2]
    count = f"{len(failed)} of {ran} cases fail{'' if failed[1:] else 's'}, such as {case}"
    note = f"the case is there for: {example.case.note}"
    if not example.differences:
        unfit = example.line.startswith(("takes ", "wants "))  # its arguments are not the protocol's
        return f"{count}: {example.line}", f"it is called as {signature(example.function)}" if unfit else note
    one = example.differences[0]
    place = one.name + (str(list(one.index)) if one.index else "")
    first = f"{count}: {place} {one.problem}"
    if one.index is not None:
        first += ", got {}, expected {}".format(*_short(one.got, one.expected))
    if example.cause:
        return first, f"looks like {example.cause}"
    return first, "; ".join(filter(None, (example.pattern, note)))


def _short(*numbers: np.generic | None) -> list[str]:
    """Six digits of each number, or all where these do not tell them apart."""
    short = [
        f"{number:.6g}" if number is not None and number.dtype.kind == "f" else shown(number) for number in numbers
    ]
    return short if len(set(short)) == len(short) else [shown(number) for number in numbers]


def brief(outcomes: Sequence[Outcome], remarks: Sequence[str], verdict: str) -> str:
    """All answers, of many right ones the names alone; the verdict where there is not just one function."""
    found = answers(outcomes)
    lines = [str(answer) for answer in found if answer.state != "right" or not found[1:]]
    if (right := [answer.name for answer in found if answer.state == "right"]) and found[1:]:
        lines.append(f"right: {', '.join(right)}")
    lines += [f"remark: {remark}" for remark in remarks]
    return "\n".join([*lines, *([verdict] if len(found) != 1 else [])])


def as_html(outcomes: Sequence[Outcome], remarks: Sequence[str], verdict: str, text: str) -> str:
    """The same for a notebook, with the whole report folded away under it."""
    found = answers(outcomes)
    parts = [answer.html() for answer in found if answer.state != "right" or not found[1:]]
    if (right := [answer.name for answer in found if answer.state == "right"]) and found[1:]:
        parts.append(f"<p>{_MARKS['right']} right: {html.escape(', '.join(right))}</p>")
    parts += [f"<p>remark: {html.escape(remark)}</p>" for remark in remarks]
    fold = f"<details><summary>{html.escape(verdict)}</summary><pre>{html.escape(text)}</pre></details>"
    return "\n".join([*parts, fold])
