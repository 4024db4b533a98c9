"""The conformance check from Python: an adapter in, a report out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

from sparcl_ref.verify import areas
from sparcl_ref.verify.cases import Case, load_cases
from sparcl_ref.verify.diagnosis import diagnosed
from sparcl_ref.verify.difference import DTYPES
from sparcl_ref.verify.function import Function
from sparcl_ref.verify.outcome import Outcome
from sparcl_ref.verify.report import Report
from sparcl_ref.verify.runner import LOAD_TIMEOUT, TIMEOUT, expecting, run_in_child, run_in_process

Pairs = list[tuple[Case, Function]]


def select(
    cases: Iterable[Case], functions: Mapping[str, Function], only: str | Sequence[str] = (), dtype: str = ""
) -> Pairs:
    """Cases with their functions, in the protocol's order.

    Parameters
    ----------
    cases : iterable of Case
    functions : mapping
        Name to function, as `areas.functions` gives them.
    only : str or sequence of str
        Areas, names of functions, or patterns of case ids such as ``"conv2d_*/*"``. A case stays if one of them names
        it; all stay if there are none.
    dtype : str
        Leaves out what is asked in another type alone; nothing unless given.

    Raises
    ------
    ValueError
        If one of ``only`` names no case.
    """
    only = (only,) if isinstance(only, str) else only
    order = {name: place for place, name in enumerate(functions)}
    cases = (case for case in cases if not dtype or case.dtype in ("", dtype))
    pairs = sorted(((case, functions[case.function]) for case in cases), key=lambda pair: order[pair[1].name])
    for wanted in only:
        if not any(_named(wanted, case, function) for case, function in pairs):
            areas_here = ", ".join(dict.fromkeys(one.area for one in functions.values()))
            raise ValueError(
                f"{wanted!r} is no area ({areas_here}), no function and no pattern of a case; --list shows all"
            )
    return [pair for pair in pairs if not only or any(_named(wanted, *pair) for wanted in only)]


def _named(wanted: str, case: Case, function: Function) -> bool:
    return wanted == function.area or fnmatchcase(function.name, wanted) or fnmatchcase(case.id, wanted)


def check(
    adapter: str | ModuleType | Mapping[str, Any],
    *,
    cases: Iterable[Case] | None = None,
    functions: Mapping[str, Function] | None = None,
    only: str | Sequence[str] = (),
    dtype: str = "float64",
    timeout: float = TIMEOUT,
    load_timeout: float = LOAD_TIMEOUT,
    expected_failures: Mapping[str, str] | None = None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> Report:
    """Hold an adapter against the conformance cases.

    Parameters
    ----------
    adapter : str, module or mapping
        A path or the name of a ready adapter runs in a process of its own, which can be stopped. A module, or a dict
        of functions by name, runs in this process.
    cases : iterable of Case, optional
        The frozen ones unless given.
    functions : mapping, optional
        The protocol's unless given; `areas.functions` adds your own to them.
    only : str or sequence of str
        As for `select`.
    dtype : {"float64", "float32"}
        The type the adapter is given and must answer in.
    timeout, load_timeout : float
        Seconds for one call, and for importing the adapter.
    expected_failures : mapping, optional
        Case id to the reason why it is expected to fail.
    on_outcome : callable
        Told of each outcome as it comes; causes are sought when all are there.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If ``only`` names nothing or the dtype is unknown; as `AdapterError` if there is no such adapter or it cannot be
        imported; as `CasesError` if the cases are damaged.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    functions = areas.functions() if functions is None else functions
    pairs = select(load_cases() if cases is None else cases, functions, only, dtype)
    if isinstance(adapter, str):
        limits = {"timeout": timeout, "load_timeout": load_timeout}
        outcomes, interface = run_in_child(adapter, pairs, list(functions), dtype=dtype, **limits)
    else:
        outcomes, interface = run_in_process(adapter, pairs, list(functions), dtype=dtype)
    collected = []
    with contextlib.closing(outcomes):  # ends the adapter's process also when this one is interrupted
        for outcome in outcomes:
            collected.append(expecting(outcome, expected_failures or {}))
            on_outcome(collected[-1])
    name = adapter if isinstance(adapter, str) else getattr(adapter, "__name__", "functions")
    return Report(name, dtype, diagnosed(collected, dtype), interface.remarks)
