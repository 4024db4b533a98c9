"""Structured sparsity of the published code: whole filters, kernels, patterns or column blocks live and die together.

Every kind ranks its units by the L2 norm of their weights; gradients are ignored. As in the rest of the published code
life is read from values: a weight that is exactly 0 is dead after a shrink, also within a unit that lives on. An empty
unit, which growth may choose, is one whose weights sum to 0: so +1 and -1 in one unit count as empty, and growth that
chooses such a unit gives it a new mask. Growth to sparsity 0 makes everything live.

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

    1 - (1 - s) 9 / 4 for kernels of three rows, s for others. Below s = 5/9 it is negative; and the published code asks
    for the rows alone, so it is as large for 3x1 kernels, which have no patterns.
    """
    s = float(clamp(exact(sparsity)))
    return 1 - (1 - s) * 9 / 4 if weight.shape[2:3] == (3,) else s


def keep_kernels_per_filter(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Balanced filters: every output channel loses the same number of kernels, those of least norm.

    The first int(in * `kernel_sparsity`) in ascending order of norm go, so that the layer is as sparse as asked once
    patterns are applied too; among equals the higher index goes first. A count of -k, below s = 5/9, is an accident of
    the published code, which slices with it: all but the k greatest go. Of 16 kernels s = 0.5 keeps 2, s = 0.3 keeps 9;
    where k is more than there are (below s = 1/9) it crashes, and all live here.
    """
    _need_kernels("filter_balance", weight)
    norms = np.linalg.norm(weight.reshape(*weight.shape[:2], -1), axis=2)
    removed = int(weight.shape[1] * kernel_sparsity(weight, sparsity))
    ascending = np.argsort(-norms, axis=1, kind="stable")[:, ::-1]
    alive = np.ones(norms.shape, dtype=bool)
    np.put_along_axis(alive, ascending[:, :removed], False, axis=1)
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

    How many, and when that is refused, says `kernels_to_grow`.
    """
    empty, joining = kernels_to_grow(weight, sparsity)
    if exact(sparsity) <= 0:
        return np.ones(weight.shape, dtype=bool)
    alive = (weight != 0).reshape(*weight.shape[:2], -1)
    table = _pattern_table()
    for row, candidates, count in zip(alive, map(np.flatnonzero, empty), joining.tolist(), strict=True):
        for kernel in choose(candidates, count, rng):
            row[kernel] = table[rng.integers(len(table))] if weight.shape[2:] == (3, 3) else True
    return alive.reshape(weight.shape)


def kernels_to_grow(weight: np.ndarray, sparsity: float | Fraction) -> tuple[np.ndarray, np.ndarray]:
    """Which kernels are empty, and how many of them join in each output channel.

    That is int(empty - t in), t from `kernel_sparsity`; none where no channel has an empty kernel, and all at
    sparsity 0.

    Returns
    -------
    empty : ndarray of bool, shape (out, in)
        Kernels whose weights sum to 0.
    joining : ndarray of int, shape (out,)

    Raises
    ------
    ValueError
        If in some channel the number is negative, or more than are empty.
    """
    _need_kernels("pattern", weight)
    empty = weight.reshape(*weight.shape[:2], -1).sum(axis=2) == 0
    joining = np.count_nonzero(empty, axis=1)
    if exact(sparsity) > 0 and empty.any():
        target = kernel_sparsity(weight, sparsity)
        counts = [units_to_grow("pattern", count, empty.shape[1], target) for count in joining.tolist()]
        joining = np.array(counts, dtype=np.int64)
    return empty, joining


def keep_column_blocks(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Column blocks: four neighbouring output channels at one input position, above the percentile of norms."""
    norms = np.linalg.norm(_blocks(weight), axis=1)
    return _spread(norms > percentile_threshold(norms, sparsity), weight) & (weight != 0)


def grow_column_blocks(
    weight: np.ndarray, sparsity: float | Fraction, rng: np.random.Generator | np.ndarray
) -> np.ndarray:
    """Random empty blocks join: int(empty - target * blocks).

    ``rng`` is the stream named "mask", or an array of the blocks that join, counted in C order of (out / 4, rest).

    Raises
    ------
    ValueError
        If that number is negative.
    """
    if exact(sparsity) <= 0:
        return np.ones(weight.shape, dtype=bool)
    sums = _blocks(weight).sum(axis=1)
    empty = np.flatnonzero(sums == 0)
    grown = np.zeros(sums.size, dtype=bool)
    grown[choose(empty, units_to_grow("column-block-4", len(empty), sums.size, float(exact(sparsity))), rng)] = True
    return (weight != 0) | _spread(grown.reshape(sums.shape), weight)


def units_to_grow(kind: str, empty: int, units: int, target: float) -> int:
    """How many of the ``empty`` among ``units`` join: int(empty - target * units), in floating point, as published.

    Raises
    ------
    ValueError
        If that is negative, or more than are empty: the published code draws that many, which fails.
    """
    joining = int(empty - target * units)
    if not 0 <= joining <= empty:
        raise ValueError(
            f"{kind}: growth to {target:g} of {units} units empty would let {joining} of the {empty} empty ones join; "
            "shrink first, or choose another sparsity"
        )
    return joining


def silent_filters(weight: np.ndarray) -> np.ndarray:
    """Output channels, an array of bool of shape (out,), whose weights sum to 0, as those of a dead filter do."""
    return weight.reshape(len(weight), -1).sum(axis=1) == 0


class Structure(NamedTuple):
    """How one kind shrinks and, if it can, grows.

    ``silences`` says, of the weights under the initial mask, for which output channels the scale and the offset of the
    batch-norm that follows start at 0. Under rule 8 a scale with more than a tenth of zeros is then masked.
    """

    shrink: Callable[[np.ndarray, float | Fraction], np.ndarray]
    grow: Callable[[np.ndarray, float | Fraction, np.random.Generator], np.ndarray] | None = None
    silences: Callable[[np.ndarray], np.ndarray] | None = None


#: "irregular", the default, is not among them: single weights, by the rules of the profile.
STRUCTURES = {
    "filter": Structure(keep_filters, silences=silent_filters),
    "filter_balance": Structure(keep_kernels_per_filter),
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
