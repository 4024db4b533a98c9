"""Known mistakes, each with the numbers it gives: what a failure looks like."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from sparcl_ref.verify.adapter import Returned, full_arguments
from sparcl_ref.verify.cases import Case, Tolerance
from sparcl_ref.verify.causes.cause import Cause
from sparcl_ref.verify.compare import compare_arrays
from sparcl_ref.verify.protocol import Function

#: What a mistake's own arithmetic may raise for a case it does not fit.
_UNFIT = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def known_causes() -> tuple[Cause, ...]:
    """All of them; of several that give the same numbers the likelier stands first."""
    from sparcl_ref.verify.causes import cost, layers, masks, optimizer, released, rules, training

    modules = (layers, training, optimizer, masks, rules, cost, released)
    return tuple(cause for module in modules for cause in module.CAUSES)


def possible_causes(
    case: Case,
    function: Function,
    outputs: Mapping[str, Returned],
    *,
    dtype: str,
    causes: Iterable[Cause] | None = None,
) -> tuple[str, ...]:
    """The known mistakes whose numbers a wrong answer has, as sentences.

    Parameters
    ----------
    case : Case
    function : Function
    outputs : mapping of str to Returned
        What the adapter returned; at least one output is not as expected.
    dtype : {"float64", "float32"}
    causes : iterable of Cause, optional
        `known_causes` unless given.
    """
    got = {name: outputs[name].array for name in case.expected if outputs[name].array is not None}
    wrong = {
        name for name, array in got.items() if not _matches(name, array, case.expected[name], case, dtype, strict=True)
    }
    found = []
    for cause in _of_function(function, causes):
        mistaken = mistaken_outputs(cause, case, function)
        # A mistake that does not show in the outputs that are wrong explains nothing.
        shows = any(
            not _matches(name, mistaken[name], case.expected[name], case, dtype, strict=True)
            for name in wrong & mistaken.keys()
        )
        if shows and all(
            name in got and _matches(name, got[name], value, case, dtype) for name, value in mistaken.items()
        ):
            found.append(cause.sentence)
    if not found:
        found = [_general_cause(case, {name: got[name] for name in sorted(wrong)}, dtype)]
    return tuple(dict.fromkeys(filter(None, found)))


def contradicted(
    sentence: str, case: Case, function: Function, *, dtype: str, causes: Iterable[Cause] | None = None
) -> bool:
    """Whether a mistake would show in a case, so that passing the case speaks against it."""
    named = [cause for cause in _of_function(function, causes) if cause.sentence == sentence]
    return bool(named) and all(
        any(
            not _matches(name, value, case.expected[name], case, dtype, strict=True)
            for name, value in mistaken_outputs(cause, case, function).items()
            if name in case.expected
        )
        for cause in named
    )


def mistaken_outputs(cause: Cause, case: Case, function: Function) -> dict[str, np.ndarray]:
    """What a mistake gives for a case; nothing where it does not apply."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = cause.outputs(**full_arguments(case, function))
            return {name: np.asarray(value) for name, value in found.items()}
    except _UNFIT:
        return {}


def _of_function(function: Function, causes: Iterable[Cause] | None) -> list[Cause]:
    return [cause for cause in (known_causes() if causes is None else causes) if cause.function == function.name]


def _matches(name: str, got: np.ndarray, wanted: np.ndarray, case: Case, dtype: str, *, strict: bool = False) -> bool:
    """Whether two arrays agree within the case's tolerance, widened to the size of the mistake's numbers."""
    if got.shape != wanted.shape or name not in case.expected:
        return False
    tolerance = case.tolerance.get(name)
    if tolerance is not None and not strict:
        finite = np.abs(wanted[np.isfinite(wanted)], dtype=np.float64)
        magnitude = max(tolerance.magnitude, float(finite.max(initial=0.0)))
        # A mistake may add a few operations of its own.
        tolerance = Tolerance(tolerance.terms + 8, magnitude, tolerance.reason)
    return compare_arrays(name, got, wanted, tolerance, dtype=dtype) is None


def _general_cause(case: Case, wrong: Mapping[str, np.ndarray], dtype: str) -> str:
    """What can be said without knowing the function: a narrow type, a transposition, -0.0, a sign, a factor."""
    for name, got in wrong.items():
        expected, tolerance = case.expected[name], case.tolerance.get(name)
        if got.ndim == 2 and got.shape == expected.shape[::-1] and _matches(name, got.T, expected, case, dtype):
            return f"{name} is transposed"
        if got.shape != expected.shape:
            continue
        # Adding 0 turns -0.0 into +0.0 and changes nothing else.
        if got.dtype.kind == "f" and _matches(name, got + 0, expected, case, dtype, strict=True):
            return f"{name} is right but for -0.0: multiplied by a mask instead of assigned"
        if tolerance is None:
            if got.dtype.kind == "b" and expected.dtype.kind == "b" and np.array_equal(got, ~expected):
                return f"{name} has true and false exchanged"
            continue
        if dtype == "float64":
            unsigned = dataclasses.replace(tolerance, zeros=None)
            if compare_arrays(name, got, expected, unsigned, dtype="float32") is None and np.any(got != expected):
                return f"{name} is right to the precision of float32: something on the way is float32"
        factor = _common_factor(got, expected)
        if factor is not None and _matches(name, got, expected * factor, case, dtype):
            return f"{name} has the wrong sign" if factor == -1 else f"{name} is {factor:g} times what it should be"
    return ""


def _common_factor(got: np.ndarray, expected: np.ndarray) -> float | None:
    """The number that turns expected into got, judged by the largest entry; None where there is none."""
    if not expected.size or not np.isfinite(got).all() or not np.isfinite(expected).all():
        return None
    largest = np.unravel_index(np.argmax(np.abs(expected)), expected.shape)
    if expected[largest] == 0 or got[largest] == 0:
        return None
    factor = float(got[largest]) / float(expected[largest])
    # Fewer digits than the rounding of the two numbers: 3, -1 or 1/32, not 2.9999999.
    factor = float(f"{factor:.6g}")
    return factor if factor != 1 and np.count_nonzero(expected) > 1 else None
