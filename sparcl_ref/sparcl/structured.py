"""Structured sparsity of the published code: whole filters, kernels, patterns or column blocks live and die together.

Every kind ranks its units by the L2 norm of their weights; gradients are ignored. As in the rest of the published code
life is read from values: a weight that is exactly 0 is dead after a shrink, also within a unit that lives on, and an
empty unit, which growth may choose, is one whose weights are all 0.

Throughout, weights have shape (out, in, kh, kw) or (out, in), ``sparsity`` is a float, str or Fraction in 0..1, and a
mask is an array of bool of the weight's shape. What cannot be divided into units raises a ValueError that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from sparcl_ref.masks import choose, clamp, exact
from sparcl_ref.sparcl.released import percentile_threshold

#: Kept positions of the eight patterns of a 3x3 kernel, row-major.
PATTERNS = (
    (4, 5, 7, 8),
    (3, 4, 6, 7),
    (1, 2, 4, 5),
    (0, 1, 3, 4),
    (5, 6, 7, 8),
    (3, 4, 5, 7),
    (1, 4, 5, 7),
    (1, 3, 4, 7),
)
BLOCK = 4


def keep_filters(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Filters: output channels whose norm is above the percentile live."""
    norms = np.linalg.norm(weight.reshape(len(weight), -1), axis=1)
    alive = norms > percentile_threshold(norms, sparsity)
    return alive.reshape(-1, *[1] * (weight.ndim - 1)) & (weight != 0)


def kernel_sparsity(weight: np.ndarray, sparsity: float | Fraction) -> float:
    """The fraction of kernels to remove so that, with four of nine entries alive in the rest, ``sparsity`` is met.

    1 - (1 - s) 9 / 4 for 3x3 kernels, s for others; at least 0.
    """
    s = float(clamp(exact(sparsity)))
    return max(0.0, 1 - (1 - s) * 9 / 4) if weight.shape[2:] == (3, 3) else s


def keep_kernels_per_filter(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Balanced filters: every output channel loses the same number of kernels, those of least norm.

    int(in * `kernel_sparsity`) kernels go per channel, so that the layer is as sparse as asked once patterns are
    applied too; among equals the higher index goes first.
    """
    _need_kernels("filter_balance", weight)
    norms = np.linalg.norm(weight.reshape(*weight.shape[:2], -1), axis=2)
    removed = int(weight.shape[1] * kernel_sparsity(weight, sparsity))
    order = np.argsort(-norms, axis=1, kind="stable")
    alive = np.zeros(norms.shape, dtype=bool)
    np.put_along_axis(alive, order[:, : weight.shape[1] - removed], True, axis=1)
    return alive.reshape(*norms.shape, *[1] * (weight.ndim - 2)) & (weight != 0)


def best_patterns(weight: np.ndarray, sparsity: float | Fraction = 0) -> np.ndarray:
    """Patterns: each 3x3 kernel keeps the four-entry pattern of greatest norm, the first among equals.

    Kernels of another shape live where they are not 0. The pattern alone decides, whatever the sparsity.
    """
    if weight.shape[2:] != (3, 3):
        return weight != 0
    kernels = weight.reshape(*weight.shape[:2], 9)
    allowed = _pattern_table()
    energies = (kernels[:, :, None, :] ** 2 * allowed).sum(axis=-1)
    alive = allowed[energies.argmax(axis=-1)].reshape(weight.shape)
    return alive & (weight != 0)


def grow_patterns(weight: np.ndarray, sparsity: float | Fraction, rng: np.random.Generator) -> np.ndarray:
    """Empty kernels join with a random pattern (all entries, for kernels that are not 3x3), equally many per channel.

    int(empty - t in) kernels join in each output channel, t from `kernel_sparsity`.
    """
    _need_kernels("pattern", weight)
    alive = (weight != 0).reshape(*weight.shape[:2], -1)
    target = kernel_sparsity(weight, sparsity)
    table = _pattern_table()
    for row in alive:
        empty = np.flatnonzero(~row.any(axis=1))
        for kernel in choose(empty, max(0, int(len(empty) - target * len(row))), rng):
            row[kernel] = table[rng.integers(len(table))] if weight.shape[2:] == (3, 3) else True
    return alive.reshape(weight.shape)


def keep_column_blocks(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Column blocks: four neighbouring output channels at one input position, above the percentile of norms."""
    norms = np.linalg.norm(_blocks(weight), axis=1)
    return _spread(norms > percentile_threshold(norms, sparsity), weight) & (weight != 0)


def grow_column_blocks(weight: np.ndarray, sparsity: float | Fraction, rng: np.random.Generator) -> np.ndarray:
    """Random empty blocks join: int(empty - target * blocks)."""
    alive = (_blocks(weight) != 0).any(axis=1)
    empty = np.flatnonzero(~alive)
    joined = choose(empty, max(0, int(len(empty) - float(clamp(exact(sparsity))) * alive.size)), rng)
    grown = np.zeros(alive.size, dtype=bool)
    grown[joined] = True
    return (weight != 0) | _spread(grown.reshape(alive.shape), weight)


class Structure(NamedTuple):
    """How one kind shrinks and, if it can, grows."""

    shrink: Callable[[np.ndarray, float | Fraction], np.ndarray]
    grow: Callable[[np.ndarray, float | Fraction, np.random.Generator], np.ndarray] | None


#: "irregular", the default, is not among them: single weights, by the rules of the profile.
STRUCTURES = {
    "filter": Structure(keep_filters, None),
    "filter_balance": Structure(keep_kernels_per_filter, None),
    "pattern": Structure(best_patterns, grow_patterns),
    "column-block-4": Structure(keep_column_blocks, grow_column_blocks),
}


def _pattern_table() -> np.ndarray:
    table = np.zeros((len(PATTERNS), 9), dtype=bool)
    for row, kept in zip(table, PATTERNS, strict=True):
        row[list(kept)] = True
    return table


def _need_kernels(kind: str, weight: np.ndarray) -> None:
    if weight.ndim < 2:
        raise ValueError(f"{kind}: weights must have shape (out, in, ...), got {weight.shape}")


def _blocks(weight: np.ndarray) -> np.ndarray:
    """Shape (out / 4, 4, everything else)."""
    if len(weight) % BLOCK:
        raise ValueError(f"column-block-4: output channels must be a multiple of {BLOCK}, got {len(weight)}")
    return weight.reshape(len(weight) // BLOCK, BLOCK, -1)


def _spread(alive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A decision per block, shape (out / 4, rest), as a mask of the weight's shape."""
    return np.repeat(alive[:, None, :], BLOCK, axis=1).reshape(weight.shape)
