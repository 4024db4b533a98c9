"""What can be said of wrong numbers without knowing the function, and whether numbers are those of a mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case, Tolerance
from sparcl_ref.verify.difference import Difference, compare_output

#: A cause that any function may have.
NARROW = "right to the precision of float32: something on the way is float32"


def matches(name: str, got: np.ndarray, wanted: np.ndarray, case: Case, dtype: str, *, strict: bool = False) -> bool:
    """Whether an output agrees with some numbers, within the case's tolerance widened to the size of these numbers.

    If ``strict``, within the case's tolerance as it is.
    """
    if got.shape != wanted.shape or name not in case.expected:
        return False
    tolerance = case.tolerance.get(name)
    if tolerance is not None and not strict:
        finite = np.abs(wanted[np.isfinite(wanted)], dtype=np.float64)
        magnitude = max(tolerance.magnitude, float(finite.max(initial=0.0)))
        # A mistake may add a few operations of its own.
        tolerance = Tolerance(tolerance.terms + 8, magnitude, tolerance.reason)
    return compare_output(name, got, wanted, tolerance, dtype=dtype) is None


def wrong_arrays(case: Case, outputs: Mapping[str, Returned], dtype: str) -> dict[str, np.ndarray]:
    """The outputs with numbers that are not as expected, by name."""
    return {
        name: array
        for name, expected in sorted(case.expected.items())
        if (array := outputs[name].array) is not None and not matches(name, array, expected, case, dtype, strict=True)
    }


def pattern(case: Case, wrong: Mapping[str, np.ndarray], dtype: str) -> str:
    """What the outputs that are wrong have to do with the right ones: a fact about one output, or nothing."""
    found = (_pattern(name, got, case, dtype) for name, got in wrong.items())
    return next(filter(None, found), "")


def _pattern(name: str, got: np.ndarray, case: Case, dtype: str) -> str:
    expected = case.expected[name]
    if got.ndim == 2 and got.shape == expected.shape[::-1] and matches(name, got.T, expected, case, dtype):
        return f"{name} is transposed"
    if got.shape != expected.shape:
        return ""
    # Adding 0 turns -0.0 into +0.0 and changes nothing else.
    if got.dtype.kind == "f" and matches(name, got + 0, expected, case, dtype, strict=True):
        return f"{name} is right but for -0.0, as a product with a mask leaves it"
    if name not in case.tolerance:
        exchanged = got.dtype.kind == "b" == expected.dtype.kind and np.array_equal(got, ~expected)
        return f"{name} has true and false exchanged" if exchanged else ""
    factor = _common_factor(got, expected)
    if factor is None or not matches(name, got, expected * factor, case, dtype):
        return ""
    return f"{name} has the wrong sign" if factor == -1 else f"{name} is {factor:g} times what it should be"


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


def is_narrow(case: Case, wrong: Mapping[str, np.ndarray], dtype: str) -> bool:
    """Whether all that is wrong in a float64 case is within the tolerance of float32."""
    return (
        dtype == "float64"
        and bool(wrong)
        and all(
            name in case.tolerance
            and got.shape == case.expected[name].shape
            and compare_output(name, got, case.expected[name], _unsigned(case, name), dtype="float32") is None
            for name, got in wrong.items()
        )
    )


def looks_rounded(differences: Sequence[Difference]) -> bool:
    """Whether errors look like those of float32: results that are float32 numbers, or roundings up as well as down.

    A small number added or left out, such as an epsilon in the wrong place, moves all results the same way.
    """
    numbers = [(one.got, one.expected) for one in differences]
    pairs = [(float(got), float(right)) for got, right in numbers if got is not None and right is not None]
    narrow = all(float(np.float32(got)) == got for got, _ in pairs)
    return bool(pairs) and (narrow or {got > expected for got, expected in pairs} == {True, False})


def shows_narrow(case: Case, outputs: Sequence[str]) -> bool:
    """Whether a case fails where the right results are rounded to float32 only once."""
    return any(
        compare_output(name, array.astype(np.float32).astype(np.float64), array, _unsigned(case, name), dtype="float64")
        is not None
        for name, array in case.expected.items()
        if name in outputs and name in case.tolerance
    )


def _unsigned(case: Case, name: str) -> Tolerance:
    return dataclasses.replace(case.tolerance[name], zeros=None)
