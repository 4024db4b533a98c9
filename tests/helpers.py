"""Assertions that name the call, the place, what came and what was expected; and a numerical derivative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def assert_close(
    actual: ArrayLike, expected: ArrayLike, *, call: str, rtol: float = 1e-10, atol: float | None = None
) -> int:
    """Fail unless both have one shape and |actual - expected| <= atol + rtol * |expected| everywhere.

    Parameters
    ----------
    actual, expected : array_like
        What the code under test gave, and what the oracle says. Not broadcast.
    call : str
        What was computed, such as "Conv2d.backward dW".
    rtol : float
        Relative tolerance. The default is for float64: reductions of up to some thousand terms lose about 1e-13.
    atol : float, optional
        Absolute tolerance. By default ``rtol`` times the largest finite |expected|, because an entry in which large
        terms cancel carries the rounding of those terms. An oracle of zeros alone is thus compared exactly; give
        ``atol`` where an entry may cancel that has no large neighbour, such as an only one.

    Returns
    -------
    int
        Number of entries compared, never 0: comparing nothing is a failure.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise AssertionError(f"{call}: got shape {actual.shape}, expected shape {expected.shape}")
    if actual.size == 0:
        raise AssertionError(f"{call}: nothing to compare, shape {actual.shape}")
    got, want = actual.astype(np.float64), expected.astype(np.float64)
    if atol is None:
        atol = rtol * float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want)))
    with np.errstate(invalid="ignore"):  # inf - inf
        good = (got == want) | (np.isfinite(want) & (np.abs(got - want) <= atol + rtol * np.abs(want)))
    if not good.all():
        where = tuple(int(i) for i in np.argwhere(~good)[0])
        raise AssertionError(
            f"{call}: {np.count_nonzero(~good)} of {good.size} entries differ; first at index {where}: "
            f"got {actual[where]!r}, expected {expected[where]!r} (rtol {rtol:g}, atol {atol:g})"
        )
    return good.size


def assert_positive_zero(array: ArrayLike, *, call: str, where: np.ndarray | None = None) -> int:
    """Fail unless every entry (that ``where`` selects) is exactly +0.0; -0.0 and NaN are not.

    Returns
    -------
    int
        Number of entries looked at, for tests that must not pass by looking at none.
    """
    array = np.asarray(array)
    chosen = np.ones(array.shape, dtype=bool) if where is None else np.asarray(where)
    if chosen.shape != array.shape or chosen.dtype != np.bool_:
        raise AssertionError(f"{call}: where must be bool of shape {array.shape}, got {chosen.dtype} {chosen.shape}")
    bad = chosen & ((array != 0) | np.signbit(array))
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise AssertionError(
            f"{call}: {np.count_nonzero(bad)} of {np.count_nonzero(chosen)} entries are not +0.0; "
            f"first at index {first}: got {array[first]!r}, expected 0.0"
        )
    return int(np.count_nonzero(chosen))


def finite_difference(function: Callable[[], float], x: np.ndarray, *, step: float = 6e-6) -> np.ndarray:
    """Gradient of a scalar function by central differences.

    Parameters
    ----------
    function : callable
        Takes nothing and reads ``x`` itself, which is changed in place and restored: an input or a parameter's value.
    x : ndarray of float64
    step : float
        The default is about the cube root of float64's epsilon, where the two errors meet: ``step**2`` of the
        truncated series and ``epsilon / step`` of the subtraction. Expect 1e-9 to 1e-8 for functions of size one;
        use less where a kink (ReLU, max pooling) is near.

    Returns
    -------
    ndarray of float64, shape of ``x``
    """
    if x.dtype != np.float64:
        raise TypeError(f"finite differences need float64, got {x.dtype}")
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        try:
            x[index] = kept + step
            above = float(function())
            x[index] = kept - step
            below = float(function())
        finally:
            x[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient
