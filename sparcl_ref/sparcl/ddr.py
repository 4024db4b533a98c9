"""DDR, dynamic data removal (equation 2): samples the network no longer gets wrong leave the task."""

from __future__ import annotations

import numpy as np

from sparcl_ref.masks import exact, round_half_up


def ddr_sizes(samples: int, *, rho: float = 0.3, cutoff: int = 4) -> list[int]:
    """How many samples are left after 0, 1, ..., cutoff stages.

    After stage i, floor(rho * samples * i / cutoff + 1/2) are gone in all, in exact decimals.

    Parameters
    ----------
    samples : int
        Size of the task.
    rho : float
        Fraction removed in the end, 0..1.
    cutoff : int
        Stages that remove, at least 1.

    Returns
    -------
    list of int
        ``cutoff + 1`` sizes, the first is ``samples``.

    Raises
    ------
    ValueError
        If rho is outside 0..1 or cutoff below 1.

    Examples
    --------
    >>> ddr_sizes(10000)
    [10000, 9250, 8500, 7750, 7000]
    """
    if not 0 <= exact(rho) <= 1:
        raise ValueError(f"ddr_sizes: rho must lie in 0..1, got {rho}")
    if cutoff < 1:
        raise ValueError(f"ddr_sizes: cutoff must be at least 1, got {cutoff}")
    return [samples - round_half_up(exact(rho) * samples * stage / cutoff) for stage in range(cutoff + 1)]


def completed_stage(epoch: int, *, epochs: int, delta_k: int, cutoff: int) -> int | None:
    """The stage that ends with this epoch and removes data, or None.

    Only a complete stage that another epoch follows removes anything, and only up to the cutoff.

    Parameters
    ----------
    epoch : int
        From 1.
    epochs, delta_k, cutoff : int
        Epochs of the task, epochs of a stage, stages that remove.
    """
    stage, rest = divmod(epoch, delta_k)
    return stage if rest == 0 and epoch < epochs and stage <= cutoff else None


def ddr_keep(counts: np.ndarray, keep: int) -> np.ndarray:
    """Positions of the samples that stay: those misclassified most often (equation 2).

    Parameters
    ----------
    counts : ndarray of int, shape (n,)
        How often each remaining sample was misclassified in this stage, in ascending order of original index. Among
        equals the lowest goes first.
    keep : int
        How many stay, at most n.

    Returns
    -------
    ndarray of int, shape (keep,)
        Ascending positions into ``counts``.

    Raises
    ------
    ValueError
        If ``keep`` is not in 0..n.
    """
    if not 0 <= keep <= len(counts):
        raise ValueError(f"ddr_keep: cannot keep {keep} of {len(counts)} samples")
    # A stable ascending sort puts the least misclassified first and, among equals, the lowest index first.
    order = np.argsort(counts, kind="stable")
    return np.sort(order[len(counts) - keep :])
