"""What a comparison of two traces found, for people and for machines."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparcl_ref.text import columns
from sparcl_ref.verify.difference import Difference
from sparcl_ref.verify.report import Finding
from sparcl_ref.verify.traces.archive import NO_LAYER, Name
from sparcl_ref.verify.traces.rules import Rule

STEPS_SHOWN = 12
NAMES_SHOWN = 3


@dataclass
class StepSummary:
    """What differed at one step, from the first divergence on."""

    step: str
    compared: int = 0
    differ: int = 0
    relative: float = 0.0
    first: list[str] = field(default_factory=list)

    def add(self, name: Name, difference: Difference | None) -> None:
        """Count one compared tensor."""
        self.compared += 1
        if difference is not None:
            self.differ += 1
            relative = difference.worst / difference.largest if difference.largest else difference.worst
            self.relative = max(self.relative, relative)
            if len(self.first) < NAMES_SHOWN:
                self.first.append("/".join(name[1:]))


@dataclass
class TraceReport(Finding):
    """The outcome of `sparcl_ref.verify.trace.check`.

    Attributes
    ----------
    complete : bool
        False if the user's writer was interrupted.
    compared, values : int
        Computed tensors that were compared, and their entries.
    given : int
        Tensors compared that are given to both sides: data, initial values, choices.
    not_provided : dict of str to int
        "pass/tensor" to how many computed tensors of that kind the user's trace lacks.
    unknown : list of str
        Names that the reference does not have.
    first, rule : Difference and Rule, or None
        Of the tensor that diverged first.
    agreed_before, missing_before : list of str
        The last tensors that agreed, and those not provided between them and the first divergence.
    same_tensor_agreed_at : str or None
        Last step at which the tensor that diverged first still agreed.
    after : list of StepSummary
        From the step of the first divergence on.
    growth : dict of str to float
        Per step of the reference: how much a rounding of the initial weights had grown.
    """

    mine: str
    reference: str
    complete: bool = True
    compared: int = 0
    values: int = 0
    given: int = 0
    not_provided: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    known: tuple[str, ...] = field(default=(), repr=False)
    first: Difference | None = None
    rule: Rule | None = None
    agreed_before: list[str] = field(default_factory=list)
    missing_before: list[str] = field(default_factory=list)
    missing_before_count: int = 0
    same_tensor_agreed_at: str | None = None
    after: list[StepSummary] = field(default_factory=list)
    growth: dict[str, float] = field(default_factory=dict)

    @property
    def conforms(self) -> bool:
        """Whether the trace is finished, something computed was compared, nothing differed and every name was known."""
        return self.complete and self.compared > 0 and self.first is None and not self.unknown

    #: The same in a word.
    ok = conforms

    def text(self) -> str:
        """For people."""
        lines = [
            f"trace {self.mine}",
            f"compared {self.compared:,} tensors with {self.values:,} values, and {self.given:,} that are given; "
            f"{sum(self.not_provided.values()):,} not provided",
        ]
        if not self.complete:
            lines.append("the trace is unfinished: its writer was interrupted")
        lines += self._unknown_lines()
        if self.first is not None and self.rule is not None:
            first = self._first_lines(self.first, self.rule)
            lines += ["", "first divergence", *first, "", "what followed", *self._after_lines()]
        elif self.compared == 0:
            lines.append("nothing was compared: the trace holds no tensor that an implementation computes")
        else:
            lines.append("everything provided agrees")
        if self.not_provided and self.first is None:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in self.not_provided.items())
            lines.append(f"not provided: {kinds}")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """For machines: plain JSON values."""
        names = ("mine", "reference", "ok", "complete", "compared", "values", "given", "not_provided", "unknown")
        more = ("agreed_before", "missing_before", "missing_before_count", "same_tensor_agreed_at")
        after = [{**vars(step), "relative": json_number(step.relative)} for step in self.after]
        first = None if self.first is None or self.rule is None else _record(self.first, self.rule)
        return {**{name: getattr(self, name) for name in (*names, *more)}, "first": first, "after": after}

    def _unknown_lines(self) -> list[str]:
        if not self.unknown:
            return []
        said = "unknown names, so nothing was held against them (tensors of your own belong in a pass named extra):"
        advice = [f"  {name}; {self._advice(name)}" for name in self.unknown[:NAMES_SHOWN]]
        return [f"{len(self.unknown):,} {said}", *advice]

    def _advice(self, text: str) -> str:
        """What may have been meant by an unknown name: first its step is looked for, then the rest within the step."""
        name = Name.parse(text)
        if name is None:
            return "a name has four parts, STEP/PASS/LAYER/TENSOR"
        within = [known for known in self.known if known.startswith(f"{name.step}/")]
        if not within:
            steps = list(dict.fromkeys(known.split("/")[0] for known in self.known))
            close = difflib.get_close_matches(name.step, steps, n=1) or steps[:1]
            return f"no step of the reference is called {name.step}; did you mean {close[0]}?"
        close = difflib.get_close_matches(text, within, n=1, cutoff=0.0)
        return f"did you mean {close[0]}?"

    def _first_lines(self, first: Difference, rule: Rule) -> list[str]:
        lines = _difference_lines(first, rule)
        if first.allowed and not _must_be_zero(first, rule):
            growth = self.growth.get(first.name.split("/")[0], 1.0)
            lines.append(
                "  tolerance: 4 sqrt(terms + 2) eps x largest entry x growth; growth, what the reference had made of "
                f"one rounding of its initial weights by then, is {growth:.3g}"
            )
        if self.same_tensor_agreed_at is not None:
            lines.append(f"  this tensor last agreed at {at_words(self.same_tensor_agreed_at)}")
        lines.append("  agreed just before:" if self.agreed_before else "  nothing was compared before it")
        lines += [f"    {name}" for name in self.agreed_before]
        if count := self.missing_before_count:
            said = "not provided between these and the divergence, so the cause may lie there"
            lines.append(f"  {said}: {count:,} tensors, the last of them")
            lines += [f"    {name}" for name in self.missing_before]
        return lines

    def _after_lines(self) -> list[str]:
        shown = [step for step in self.after if step.differ]
        rows = [(one.step, str(one.differ), str(one.compared), f"{one.relative:.2g}") for one in shown[:STEPS_SHOWN]]
        table = columns(("step", "differ", "compared", "largest error"), rows).splitlines()
        names = ["first", *(", ".join(step.first) for step in shown)]
        lines = [f"  {line}  {first}" for line, first in zip(table, names, strict=False)]
        if more := max(0, len(shown) - STEPS_SHOWN):
            lines.append(f"  and {more} more steps")
        return [*lines, "  (largest error: relative to the largest entry of its tensor)"]


def _must_be_zero(difference: Difference, rule: Rule) -> bool:
    """Whether the first bad entry belongs to something dead or silenced."""
    return rule.zeros and difference.expected is not None and difference.expected == 0


def _difference_lines(difference: Difference, rule: Rule) -> list[str]:
    """Where, what, and by which rule."""
    step, pass_name, layer, tensor = difference.name.split("/")
    where = f"pass {pass_name}" + ("" if layer == NO_LAYER else f", {layer}") + f", {tensor}"
    problem = difference.problem if difference.index is None else "differs"
    lines = [f"{at_words(step)}: {where} {problem}"]
    if difference.got is not None and difference.expected is not None:
        got, expected = difference.got.item(), difference.expected.item()
        error = abs(float(got) - float(expected))
        measured = difference.ulp is not None and math.isfinite(difference.ulp)
        distance = f", which is {difference.ulp:.3g} ULP" if measured else ""
        allowed = f"tolerance {difference.allowed:.3g}" if difference.allowed else "every entry must be equal"
        allowed = "it must be exactly 0" if _must_be_zero(difference, rule) else allowed
        lines.append(f"  at index {difference.index}: got {got!r}, expected {expected!r}")
        error_words = f"error {error:.3g}{distance}" if math.isfinite(error) else "not a finite number"
        lines.append(f"  {error_words}; {allowed}; {difference.bad} of {difference.size} entries are wrong")
    return [*lines, f"  rule: {rule.sentence}", f"  from: {rule.source}"]


def _record(difference: Difference, rule: Rule) -> dict[str, Any]:
    """The first divergence as JSON values."""
    return {
        **dict(zip(Name._fields, difference.name.split("/"), strict=True)),
        "index": None if difference.index is None else list(difference.index),
        "rule": rule.sentence,
        "source": rule.source,
        "problem": difference.problem if difference.index is None else "differs",
        "tolerance": difference.allowed or 0.0,
        "wrong": difference.bad,
        "size": difference.size,
        "got": json_number(difference.got),
        "expected": json_number(difference.expected),
        "ulps": json_number(difference.ulp),
        "worst": json_number(difference.worst),
    }


def at_words(step: str) -> str:
    """A step's name in words: "task1.epoch2.step3" is "task 1, epoch 2, step 3"."""
    words = []
    for part in step.split("."):
        word = part.rstrip("0123456789")
        words.append(f"{word} {part[len(word) :]}".strip())
    return ", ".join(words)


def json_number(number: np.generic | float | None) -> float | str | None:
    """A number as JSON has it; one that is not finite becomes a word."""
    value = number.item() if isinstance(number, np.generic) else number
    return value if value is None or math.isfinite(value) else str(value)
