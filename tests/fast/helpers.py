"""Comparing the two engines."""

from __future__ import annotations

import numpy as np

#: Relative to the largest entry; float64 sums in another order differ by far less.
FLOAT64_TOLERANCE = 1e-10


def tolerance(dtype: type, terms: int) -> float:
    """Largest difference of two sums in different order, relative to the sum of magnitudes.

    Each of n additions rounds by at most half an ulp of a partial sum: n * eps bounds the difference of two orders.
    """
    return FLOAT64_TOLERANCE if dtype == np.float64 else terms * float(np.finfo(dtype).eps)


def assert_near(got: np.ndarray, expected: np.ndarray, what: str, bound: np.ndarray | float) -> None:
    """Compare entry by entry against an absolute bound, naming the first entry that is off."""
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    assert got.dtype == expected.dtype, f"{what}: dtype {got.dtype}, expected {expected.dtype}"
    off = ~(np.abs(got - expected) <= bound)
    if off.any():
        place = tuple(int(i) for i in np.argwhere(off)[0])
        raise AssertionError(
            f"{what}[{place}]: got {got[place]!r}, expected {expected[place]!r}, {off.sum()} of {off.size} entries off"
        )
