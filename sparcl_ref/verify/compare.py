"""Whether what an adapter returned is what a case expects: one tolerance rule, and the first entry that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case, Tolerance

DTYPES = ("float64", "float32")
#: Sums of the same terms in two orders, each with every rounding against it, differ by less than this many bounds.
SAFETY = 4


@dataclass(frozen=True)
class Difference:
    """The first entry of one output that is off.

    Attributes
    ----------
    output : str
    problem : str
        What is wrong, in a few words.
    index : tuple of int or None
        First bad index in C order; None if the output as a whole is wrong.
    got, expected : str
        The two numbers, with all their digits; empty if the output as a whole is wrong.
    ulp : float or None
        Distance in units in the last place of the expected number, in the dtype under test; None where that is 0.
    error, allowed : float or None
        Absolute error and tolerance; None where every bit counts.
    bad, size : int
        How many entries are off, of how many.
    """

    output: str
    problem: str
    index: tuple[int, ...] | None = None
    got: str = ""
    expected: str = ""
    ulp: float | None = None
    error: float | None = None
    allowed: float | None = None
    bad: int = 0
    size: int = 0


def allowed(tolerance: Tolerance, dtype: str) -> float:
    """The largest error that rounding explains: 4 (terms + 2) eps magnitude.

    A sum of n terms, in any order, is off by at most about n eps/2 times the sum of absolute terms, the products in it
    by eps/2 each; the expected value is rounded once more, and a square root or division adds its own. The factor of 4
    leaves room for a chain of such steps, and none for another rule or a narrower type.

    Parameters
    ----------
    tolerance : Tolerance
    dtype : {"float64", "float32"}
        The type under test.
    """
    return SAFETY * (tolerance.terms + 2) * float(np.finfo(dtype).eps) * tolerance.magnitude


def compare(case: Case, outputs: Mapping[str, Returned], *, dtype: str = "float64") -> tuple[int, list[Difference]]:
    """Hold all outputs against a case.

    Parameters
    ----------
    case : Case
        Outputs it expects nothing for are not looked at.
    outputs : mapping
    dtype : {"float64", "float32"}
        The type under test.

    Returns
    -------
    compared : int
        Entries that were compared.
    differences : list of Difference
        At most one per output.
    """
    compared, differences = 0, []
    typed = any(isinstance(value, np.ndarray) and value.dtype.kind == "f" for value in case.arguments.values())
    for name, expected in case.expected.items():
        returned, tolerance = outputs[name], case.tolerance.get(name)
        problem = _unfit(returned, expected, dtype if typed and tolerance is not None else None)
        if problem:
            differences.append(Difference(name, problem, size=expected.size, bad=expected.size))
            continue
        got = np.array(np.nan) if returned.array is None else returned.array
        compared += expected.size
        difference = compare_arrays(name, got, expected, tolerance, dtype=dtype)
        if difference is not None:
            differences.append(difference)
    return compared, differences


def _unfit(returned: Returned, expected: np.ndarray, dtype: str | None) -> str:
    """What is wrong with the output as a whole, or nothing."""
    if returned.array is None and returned.shape == ():
        # None is how Python says that a number does not exist.
        missing = expected.shape == () and expected.dtype.kind == "f" and np.isnan(expected)
        return "" if missing else "is None"
    if returned.shape != expected.shape:
        return f"has shape {returned.shape}, expected {expected.shape}"
    # A single number may be a Python float, which is always float64; so may the entries of a list.
    if dtype is not None and expected.ndim and returned.dtype not in ("", dtype):
        return f"has dtype {returned.dtype}, expected {dtype}, the dtype of the inputs"
    return ""


def compare_arrays(
    name: str, got: np.ndarray, expected: np.ndarray, tolerance: Tolerance | None, *, dtype: str
) -> Difference | None:
    """Hold one array against the expected one of the same shape.

    Without a tolerance every entry must have the expected value, and a zero its sign if both are floating. Expected
    numbers that the type under test cannot hold are rounded to it.

    Returns
    -------
    Difference or None
    """
    if expected.dtype.kind == "f" and got.dtype.name == dtype == "float32":
        expected = expected.astype(dtype)
    problem = "is off"
    with np.errstate(all="ignore"):
        if tolerance is None:
            bound = None
            bad = ~((got == expected) | (_is_nan(got) & _is_nan(expected)))
            if got.dtype.kind == expected.dtype.kind == "f":
                wrong_sign = ~bad & (expected == 0) & (np.signbit(got) != np.signbit(expected))
                bad, problem = bad | wrong_sign, problem if bad.any() else "has zeros of the wrong sign"
        else:
            bound = allowed(tolerance, dtype)
            exact = (got == expected) | (_is_nan(got) & _is_nan(expected))
            error = np.abs(got.astype(np.float64) - expected)
            bad = ~(exact | (error <= bound))  # no comparison with NaN is true
            if tolerance.zeros is not None and not bad.any():
                bad = tolerance.zeros & ((got != 0) | np.signbit(got))
                problem, bound = "is not exactly +0.0 where it must be", 0.0
    if not bad.any():
        return None
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    one, other = got[index], expected[index]
    numeric = one.dtype.kind != "b" and other.dtype.kind != "b"
    return Difference(
        name,
        problem if np.isfinite(one) or not np.isfinite(other) else "is not finite",
        index,
        got=_shown(one),
        expected=_shown(other),
        ulp=_ulp(float(one), float(other), dtype) if numeric and bound is not None else None,
        error=abs(float(one) - float(other)) if numeric and bound is not None else None,
        allowed=bound,
        bad=int(np.count_nonzero(bad)),
        size=expected.size,
    )


def _is_nan(array: np.ndarray) -> np.ndarray:
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def _ulp(got: float, expected: float, dtype: str) -> float | None:
    if expected == 0 or not np.isfinite(expected):
        return None
    return abs(got - expected) / float(np.spacing(np.dtype(dtype).type(abs(expected))))


def _shown(number: np.generic) -> str:
    """All digits that matter, without the type's name."""
    return repr(number.item()) if number.dtype != np.float32 else str(number)
