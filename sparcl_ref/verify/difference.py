"""Whether an array is the expected one: one comparison, of cases and of traces, and the first entry that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case, Tolerance

DTYPES = ("float64", "float32")
#: What is wrong with an output that is none.
NONE = "is None"
#: Sums of the same terms in two orders, each with every rounding against it, differ by less than this many bounds.
SAFETY = 4
#: Entries compared at once: what a comparison needs beside the two arrays.
BLOCK = 1 << 14


@dataclass(frozen=True)
class Difference:
    """The first entry of one array that is off, and how far all of it is."""

    name: str  #: of the output of a case, or of the tensor of a trace
    problem: str  #: what is wrong, in a few words
    index: tuple[int, ...] | None = None  #: first bad index in C order; None if the array as a whole is wrong
    got: np.generic | None = None  #: the number there
    expected: np.generic | None = None
    ulp: float | None = None  #: distance in units in the last place of the expected number, in the dtype under test
    error: float | None = None  #: absolute error; None where every bit counts, like the tolerance
    allowed: float | None = None
    bad: int = 0  #: how many entries are off,
    size: int = 0  #: of how many
    worst: float = 0.0  #: the largest absolute error of those that are off
    largest: float = 0.0  #: the largest expected absolute value of all


def shown(number: np.generic | None) -> str:
    """All digits that matter, without the type's name; nothing for no number."""
    if number is None:
        return ""
    return repr(number.item()) if number.dtype != np.float32 else str(number)


def allowed(tolerance: Tolerance, dtype: str) -> float:
    """The largest error that rounding explains: 4 (terms + 2) eps magnitude.

    A sum of n terms, in any order, is off by at most about n eps/2 times the sum of absolute terms, the products in it
    by eps/2 each; the expected value is rounded once more, and a square root or division adds its own. The factor of 4
    leaves room for a chain of such steps, and none for another rule or a narrower type.
    """
    return SAFETY * (tolerance.terms + 2) * float(np.finfo(dtype).eps) * tolerance.magnitude


def compare_case(
    case: Case, outputs: Mapping[str, Returned], *, dtype: str = "float64"
) -> tuple[int, list[Difference]]:
    """Hold the outputs that a case expects against it: how many entries were compared, and what differs in each."""
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
        difference = compare_output(name, got, expected, tolerance, dtype=dtype)
        if difference is not None:
            differences.append(difference)
    return compared, differences


def _unfit(returned: Returned, expected: np.ndarray, dtype: str | None) -> str:
    """What is wrong with the output as a whole, or nothing."""
    if returned.array is None and returned.shape == ():
        # None is how Python says that a number does not exist.
        missing = expected.shape == () and expected.dtype.kind == "f" and np.isnan(expected)
        return "" if missing else NONE
    if returned.shape != expected.shape:
        return f"has shape {returned.shape}, expected {expected.shape}"
    # A single number may be a Python float, which is always float64; so may the entries of a list.
    if dtype is not None and expected.ndim and returned.dtype not in ("", dtype):
        return f"has dtype {returned.dtype}, expected {dtype}, the dtype of the inputs"
    return ""


def compare_output(
    name: str, got: np.ndarray, expected: np.ndarray, tolerance: Tolerance | None, *, dtype: str
) -> Difference | None:
    """`compare_arrays` within a case's tolerance; without one every bit counts, also the sign of a zero."""
    if tolerance is not None:
        bound = allowed(tolerance, dtype)
        return compare_arrays(name, got, expected, allowed=bound, dtype=dtype, zeros=tolerance.zeros)
    zeros = expected == 0 if got.dtype.kind == expected.dtype.kind == "f" else None
    return compare_arrays(name, got, expected, allowed=None, dtype=dtype, zeros=zeros)


def compare_arrays(
    name: str,
    got: np.ndarray,
    expected: np.ndarray,
    *,
    allowed: float | None,
    dtype: str,
    zeros: np.ndarray | None = None,
    signed: bool = True,
) -> Difference | None:
    """Hold one array against the expected one of the same shape, block by block.

    NaN is right where NaN is expected, and nowhere else. Expected numbers that the type under test cannot hold are
    rounded to it. ``allowed`` is the largest absolute error; None wants equality. ``zeros``, of the shape of the
    expected array, says where the expected 0 is wanted exactly, ``signed`` whether -0.0 is another number there.
    """

    def off(one: np.ndarray, other: np.ndarray, part: slice) -> np.ndarray:
        right = _equal(one, other) | (_is_nan(one) & _is_nan(other))
        # No comparison with NaN is true.
        return ~right if allowed is None else ~(right | (_error(one, other) <= allowed))

    found = _first(name, "is off", got, expected, off, allowed, dtype)
    if found is not None or zeros is None:
        return found
    flat_zeros = zeros.reshape(-1)

    def no_zero(one: np.ndarray, other: np.ndarray, part: slice) -> np.ndarray:
        other_sign = signed & (np.signbit(one) != np.signbit(other))
        return flat_zeros[part] & ((one != other) | other_sign)

    if allowed is None:
        return _first(name, "has zeros of the wrong sign", got, expected, no_zero, None, dtype)
    return _first(name, "is not exactly +0.0 where it must be", got, expected, no_zero, 0.0, dtype)


def _first(
    name: str,
    problem: str,
    got: np.ndarray,
    expected: np.ndarray,
    bad: Callable[[np.ndarray, np.ndarray, slice], np.ndarray],
    allowed: float | None,
    dtype: str,
) -> Difference | None:
    """The first entry that is bad, and what is to be said of all that are."""
    narrow = got.dtype.kind == expected.dtype.kind == "f" and got.dtype.name == dtype
    flat_got, flat = got.reshape(-1), expected.reshape(-1)
    count, worst, largest = 0, 0.0, 0.0
    place, one, other = 0, None, None
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, BLOCK):
            part = slice(start, start + BLOCK)
            ours = flat[part].astype(dtype) if narrow else flat[part]
            wrong = bad(flat_got[part], ours, part)
            largest = max(largest, float(np.max(np.abs(ours.astype(np.float64)), initial=0.0)))
            if not wrong.any():
                continue
            if not count:
                place = start + int(np.argmax(wrong))
                one, other = flat_got[place], ours[place - start]
            count += int(np.count_nonzero(wrong))
            error = _error(flat_got[part][wrong], ours[wrong])
            worst = max(worst, float(np.max(np.where(np.isfinite(error), error, np.inf))))
    if one is None or other is None:
        return None
    measured = allowed is not None and "b" not in (one.dtype.kind, other.dtype.kind)
    return Difference(
        name,
        problem if np.isfinite(one) or not np.isfinite(other) else "is not finite",
        tuple(int(i) for i in np.unravel_index(place, expected.shape)),
        got=one,
        expected=other,
        ulp=_ulp(float(one), float(other), dtype) if measured else None,
        error=abs(float(one) - float(other)) if measured else None,
        allowed=allowed,
        bad=count,
        size=expected.size,
        worst=worst,
        largest=largest,
    )


def _error(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(np.float64) - other.astype(np.float64))


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which entries are the same number; NumPy alone would round a large whole number to compare it with a float."""
    equal = one == other
    if one.dtype.kind == "f" and other.dtype.kind in "iu":
        fits = np.abs(one) < 2.0**63
        equal &= np.where(fits, one, 0).astype(other.dtype) == other
    return equal


def _is_nan(array: np.ndarray) -> np.ndarray:
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def _ulp(got: float, expected: float, dtype: str) -> float | None:
    if expected == 0 or not np.isfinite(expected):
        return None
    return abs(got - expected) / float(np.spacing(np.dtype(dtype).type(abs(expected))))
