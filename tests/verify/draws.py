"""Arbitrary numbers that are the same for ever: drawn from a hash of a label, not from a library's random stream."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

Shape = int | Sequence[int]


def floats(label: str, shape: Shape, *, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """float64, all numbers of float32 with full mantissas, spread evenly over ``low <= x < high``.

    Products of two such numbers need twice the digits float32 has: a sum carried out in float32 shows.
    """
    numbers = _words(label, shape) / 2**32 * (high - low) + low
    return numbers.astype(np.float32).astype(np.float64)


def integers(label: str, shape: Shape, *, low: int, high: int) -> np.ndarray:
    """int64 in ``low <= k < high``."""
    return low + (_words(label, shape) % (high - low)).astype(np.int64)


def permutation(label: str, n: int) -> np.ndarray:
    """int64, the numbers 0..n-1 in some order."""
    return np.argsort(_words(label, n), kind="stable").astype(np.int64)


def truths(label: str, shape: Shape, *, count: int) -> np.ndarray:
    """bool with exactly ``count`` entries set."""
    size = _size(shape)
    chosen = np.zeros(size, dtype=bool)
    chosen[permutation(label, size)[:count]] = True
    return chosen.reshape(shape)


def distinct(label: str, shape: Shape) -> np.ndarray:
    """float64 multiples of 1/64 from 1/64 up, each once, in some order: no two within rounding of each other."""
    return ((permutation(label, _size(shape)) + 1) / 64).reshape(shape)


def _size(shape: Shape) -> int:
    return shape if isinstance(shape, int) else math.prod(shape)


def _words(label: str, shape: Shape) -> np.ndarray:
    """uint32, evenly distributed, wide enough that ``% n`` is even for any small n."""
    data = hashlib.shake_256(label.encode()).digest(4 * _size(shape))
    return np.frombuffer(data, dtype="<u4").astype(np.uint64).reshape(shape)
