"""Checks that layers share; each error names the layer, what it expected and what it was given."""

from __future__ import annotations

import numbers
import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Pair = tuple[int, int]


def expect_shape(label: str, shape: tuple[int, ...], *expected: int | str) -> None:
    """Refuse, by ValueError, a sample of other axes than expected: a size each, or the name of an axis of any size."""
    fits = len(shape) == len(expected) and all(
        isinstance(want, str) or size == want for size, want in zip(shape, expected, strict=True)
    )
    if not fits:
        wanted, got = (", ".join(map(str, ("N", *sizes))) for sizes in (expected, shape))
        raise ValueError(f"{label}: input must have shape ({wanted}), got ({got})")


def expect_dtype(label: str, x: np.ndarray, dtype: np.dtype[Any]) -> None:
    """Refuse, by TypeError, an input not of the parameters' dtype; NumPy would silently compute in float64."""
    if x.dtype != dtype:
        raise TypeError(f"{label}: input is {x.dtype} but the parameters are {dtype}; convert one of them")


def as_float_dtype(label: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype object; anything else is a TypeError."""
    found = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise TypeError(f"{label}: dtype must be float32 or float64, got {found}")
    return found


def as_count(label: str, name: str, value: int, *, minimum: int = 1) -> int:
    """Return a size given to a constructor as an int: a TypeError if it is none, a ValueError if it is too small."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{label}: {name} must be an integer, got {value!r}") from None
    if count < minimum:
        raise ValueError(f"{label}: {name} must be at least {minimum}, got {value!r}")
    return count


def as_number(label: str, name: str, value: float) -> float:
    """Return a real number given to a constructor as a float; anything else, booleans and text too, is a TypeError."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{label}: {name} must be a number, got {value!r}")
    return float(value)


def as_pair(label: str, name: str, value: int | Pair, *, minimum: int = 1) -> Pair:
    """Return ``(rows, columns)`` from such a pair or from one integer for both; refuses as `as_count` does."""
    if not isinstance(value, tuple | list):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(f"{label}: {name} must be an integer or a pair of integers, got {value!r}")
    rows, columns = (as_count(label, name, entry, minimum=minimum) for entry in value)
    return rows, columns
