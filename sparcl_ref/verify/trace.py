"""Hold a trace against the reference's, tensor by tensor in the order of events, and name the first that differs.

Both files are read member by member, so they may be larger than memory; only names are kept.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path

import numpy as np

from sparcl_ref.verify.difference import Difference, compare_arrays
from sparcl_ref.verify.traces.archive import Name, TraceError, TraceReader, TraceWriter
from sparcl_ref.verify.traces.choices import Choice, Choices, read_choices
from sparcl_ref.verify.traces.report import StepSummary, TraceReport
from sparcl_ref.verify.traces.rules import GIVEN, Rule

__all__ = ["Choice", "Choices", "TraceError", "TraceReader", "TraceReport", "TraceWriter", "check", "read_choices"]

#: How many names of agreeing tensors, and of tensors that were not provided, lead to the first divergence.
MEMORY = 5
#: Tensors of this pass are the user's own; nothing is held against them.
OWN_PASS = "extra"


def check(
    mine: str | os.PathLike[str], reference: str | os.PathLike[str] | None = None, *, run: str = "derpp"
) -> TraceReport:
    """Compare a trace with the reference.

    Parameters
    ----------
    mine : path-like
        Any .npz file whose members have the names of a trace; it may hold only some of them.
    reference : path-like, optional
        What `record` wrote; by default a canonical run, recorded now into a temporary file.
    run : str
        Which of the canonical runs, by its name in `traces.canonical.RUNS`.

    Raises
    ------
    TraceError
        If a file is missing, truncated, damaged or not a trace; one line.
    """
    if reference is None:
        from sparcl_ref.verify.record import record

        TraceReader(mine).close()  # before the work of recording
        with tempfile.TemporaryDirectory() as folder:
            return check(mine, record(Path(folder) / "reference.npz", run=run))
    with TraceReader(mine) as got, TraceReader(reference) as expected:
        return _Check(got, expected).run()


class _Check:
    """One comparison: walks the reference in order and remembers what leads to the first divergence."""

    def __init__(self, got: TraceReader, expected: TraceReader):
        self.got, self.expected = got, expected
        try:
            self.rules = {name: Rule(**fields) for name, fields in expected.manifest["rules"].items()}
            self.tensors = [
                (Name(*t["name"].split("/")), t["rule"], t["tolerance"]) for t in expected.manifest["tensors"]
            ]
            self.eps = float(expected.manifest["eps"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TraceError(f"{expected.path}: no reference trace; give a file that record() wrote") from error
        self.report = TraceReport(str(got.path), str(expected.path), complete=got.manifest.get("complete", True))
        self.report.growth = expected.manifest.get("growth", {})
        self._agreed: deque[str] = deque(maxlen=MEMORY)
        self._missing: deque[str] = deque(maxlen=MEMORY)
        self._missing_since = 0
        self._last_agreed: dict[tuple[str, ...], str] = {}

    def run(self) -> TraceReport:
        report = self.report
        known = {str(name) for name, _, _ in self.tensors}
        known |= {text for text in self.got.names if (name := Name.parse(text)) and name.pass_name == OWN_PASS}
        report.unknown = [name for name in self.got.names if name not in known]
        report.known = tuple(str(name) for name, _, _ in self.tensors) if report.unknown else ()
        for name, rule, tolerance in self.tensors:
            if str(name) in self.got:
                self._compare(name, rule, tolerance)
            elif self.rules[rule].source != GIVEN:
                kind = f"{name.pass_name}/{name.tensor}"
                report.not_provided[kind] = report.not_provided.get(kind, 0) + 1
                self._missing.append(str(name))
                self._missing_since += 1
        return report

    def _compare(self, name: Name, rule_name: str, tolerance: float | None) -> None:
        report, rule = self.report, self.rules[rule_name]
        expected, got = self.expected.read(str(name)), self.got.read(str(name))
        if rule.source == GIVEN:
            report.given += 1
        else:
            report.compared += 1
            report.values += expected.size
        difference = compare_tensor(name, got, expected, rule=rule, tolerance=tolerance, eps=self.eps)
        if report.first is not None:
            self._note_later(name, difference)
        elif difference is None:
            self._agreed.append(str(name))
            self._missing.clear()
            self._missing_since = 0
            self._last_agreed[name[1:]] = name.step
        else:
            report.first, report.rule = difference, rule
            report.agreed_before, report.missing_before = list(self._agreed), list(self._missing)
            report.missing_before_count = self._missing_since
            report.same_tensor_agreed_at = self._last_agreed.get(name[1:])
            self._note_later(name, difference)

    def _note_later(self, name: Name, difference: Difference | None) -> None:
        """From the first divergence on: count per step what is compared and what differs."""
        after = self.report.after
        if not after or after[-1].step != name.step:
            after.append(StepSummary(name.step))
        after[-1].add(name, difference)


def compare_tensor(
    name: Name, got: np.ndarray, expected: np.ndarray, *, rule: Rule, tolerance: float | None, eps: float
) -> Difference | None:
    """Hold one tensor against the expected one, whose epsilon is ``eps``.

    Exact rules allow no difference; rules with ``zeros`` want exactly 0 where the expectation is 0. The tolerance is
    the largest absolute difference; it grows with the epsilon of ``got`` where that is coarser.
    """
    problem = ""
    if got.shape != expected.shape:
        problem = f"has shape {got.shape}, expected {expected.shape}"
    elif (got.dtype.kind == "b") != (expected.dtype.kind == "b") and not np.isin(got, (0, 1)).all():
        problem = f"has dtype {got.dtype}, expected {expected.dtype}"
    if problem:
        return Difference(str(name), problem, size=expected.size, bad=expected.size)
    floating = [array.dtype for array in (got, expected) if array.dtype.kind == "f"]
    coarser = max(floating, key=lambda dtype: float(np.finfo(dtype).eps), default=np.dtype(np.float64))
    grown = max(1.0, float(np.finfo(got.dtype).eps) / eps) if got.dtype.kind == "f" else 1.0
    allowed = None if rule.exact or tolerance is None else tolerance * grown
    zeros = expected == 0 if rule.zeros else None
    return compare_arrays(str(name), got, expected, allowed=allowed, dtype=coarser.name, zeros=zeros, signed=False)
