"""Run cases against an adapter, so that no answer and no silence of one case keeps the others from running."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sparcl_ref.verify.adapter import (
    Interface,
    NotProvidedError,
    Returned,
    arguments_for,
    full_arguments,
    inspect_adapter,
)
from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.child import Child, StoppedError
from sparcl_ref.verify.difference import compare_case
from sparcl_ref.verify.function import Function
from sparcl_ref.verify.loading import AdapterError
from sparcl_ref.verify.outcome import ABSENT, Outcome
from sparcl_ref.verify.worker import Answer, Request, attempt

#: Seconds for one call; compiling on the first call included.
TIMEOUT = 60.0
#: Seconds for importing an adapter and its framework.
LOAD_TIMEOUT = 120.0
#: After so many stops in one function its remaining cases do not run.
PATIENCE = 3

#: Answers a request, or raises `StoppedError`.
Caller = Callable[[Request], Answer]


def in_dtype(arguments: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Arguments with floating arrays in the type under test."""
    return {
        name: value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in arguments.items()
    }


def judge(case: Case, function: Function, outputs: Mapping[str, Returned], *, dtype: str) -> Outcome:
    """Compare what came back."""
    compared, differences = compare_case(case, outputs, dtype=dtype)
    if not differences:
        return Outcome(case, function, "passed", compared)
    first = differences[0]
    line = f"{first.name} {first.problem}" + (f" at {list(first.index)}" if first.index else "")
    return Outcome(case, function, "failed", compared, line, tuple(differences), outputs)


def run_case(case: Case, function: Function, interface: Interface, caller: Caller, *, dtype: str) -> Outcome:
    """Run one case.

    Raises
    ------
    StoppedError
        If the adapter's process had to be stopped or ended.
    """
    signature = interface.signatures.get(function.name)
    if signature is None:
        return Outcome(case, function, "not provided", line=ABSENT)
    try:
        arguments = arguments_for(full_arguments(case, function), function, signature)
    except NotProvidedError as error:
        return Outcome(case, function, "not provided", line=str(error))
    except TypeError as error:
        return Outcome(case, function, "failed", line=str(error))
    sizes = {name: array.size for name, array in case.expected.items()}
    names = tuple(output.name for output in function.outputs)
    came = caller(Request(function.name, names, sizes, in_dtype(arguments, dtype)))
    if came.not_provided:
        return Outcome(case, function, "not provided", line=came.not_provided)
    if came.outside:
        return Outcome(case, function, "outside range", line=came.outside)
    if came.error:
        return Outcome(case, function, "failed", line=came.error)
    return judge(case, function, came.outputs, dtype=dtype)


def run_in_child(
    adapter: str,
    cases: Sequence[tuple[Case, Function]],
    known: list[str],
    *,
    dtype: str = "float64",
    timeout: float = TIMEOUT,
    load_timeout: float = LOAD_TIMEOUT,
) -> tuple[Generator[Outcome], Interface]:
    """Run cases in a process of their own, which is started again whenever it had to be stopped.

    Parameters
    ----------
    adapter : str
        Name or path.
    cases : sequence of (Case, Function)
        Outcomes come one by one in their order; the process lives until the generator is exhausted or closed.
    known : list of str
        Names of the protocol's functions.
    timeout, load_timeout : float
        Seconds for one call, and for importing the adapter.

    Raises
    ------
    AdapterError
        If the adapter cannot be loaded in the first place.
    """
    child = Child(adapter, known, timeout=timeout, load_timeout=load_timeout)
    try:
        interface = child.start()
    except BaseException:
        child.stop()
        raise

    def outcomes() -> Generator[Outcome]:
        stops: Counter[str] = Counter()
        with child:
            for case, function in cases:
                if stops[function.name] >= PATIENCE:
                    line = f"not run, because the function was stopped or ended its process {PATIENCE} times before"
                    yield Outcome(case, function, "failed", line=line)
                    continue
                try:
                    if not child.running and function.name in interface.signatures:
                        child.start()
                    yield run_case(case, function, interface, child.call, dtype=dtype)
                except StoppedError as error:
                    stops[function.name] += 1
                    yield Outcome(case, function, "failed", line=str(error))
                except AdapterError as error:
                    child.stop()
                    yield Outcome(case, function, "failed", line=f"the adapter does not start again: {error}")

    return outcomes(), interface


def run_in_process(
    adapter: ModuleType | Mapping[str, Any],
    cases: Sequence[tuple[Case, Function]],
    known: list[str],
    *,
    dtype: str = "float64",
) -> tuple[Generator[Outcome], Interface]:
    """Run cases of an adapter that is trusted to return, in this process; Ctrl-C ends them all."""
    interface, caller = inspect_adapter(adapter, known), functools.partial(attempt, adapter, interruptible=True)
    return (run_case(case, function, interface, caller, dtype=dtype) for case, function in cases), interface


def expecting(outcome: Outcome, reasons: Mapping[str, str]) -> Outcome:
    """The outcome with a reason to expect its failure, if there is one: the adopter's, or the case's own."""
    optional = outcome.case.optional if outcome.status == "failed" else ""
    reason = reasons.get(outcome.case.id, optional)
    return dataclasses.replace(outcome, reason=reason) if reason else outcome
