"""Who owns the weights of a layer, and how many stay free: the rule by which PackNet prunes."""

from __future__ import annotations

import numpy as np

from sparcl_ref.masks import exact, round_half_up


def partition(
    weight: np.ndarray, owner: np.ndarray, *, task: int, fraction: float | str, ties: str = "exact"
) -> np.ndarray:
    """Owners of a layer's weights after a fraction of the task's, those of the smallest magnitude, has become free.

    Parameters
    ----------
    weight : ndarray
    owner : ndarray of int
        Task that owns each weight, 0 for a free one.
    task : int
        Whose weights are pruned.
    fraction : float
        Of the n weights that the task owns, whatever others own.
    ties : {"exact", "source"}
        "exact": floor(fraction n + 1/2) become free; of equal ones the lower index is kept. "source", as the authors'
        code: all up to the k-th smallest, k being fraction n rounded, halves to even; ties go together.
    """
    own = np.flatnonzero(owner == task)
    size = np.abs(weight.reshape(-1)[own])
    share = exact(fraction) * len(own)
    if ties == "source":
        count = round(share)
        gone = own[size <= np.partition(size, count - 1)[count - 1]] if count else own[:0]
    else:
        gone = own[np.lexsort((-own, size))[: round_half_up(share)]]
    after = owner.copy()
    after.reshape(-1)[gone] = 0
    return after


def free_weights(size: int, fraction: float, *, task: int) -> int:
    """Weights of a layer of that size that are free when a task begins, by `partition` after each task before."""
    for _ in range(task - 1):
        size = round_half_up(exact(fraction) * size)
    return size
