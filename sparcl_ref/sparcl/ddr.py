"""DDR, dynamic data removal (equation 2): samples the network no longer gets wrong leave the task."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparcl_ref.masks import exact, round_half_up


class StageStatistics:
    """What happened to each remaining sample in the current stage.

    Attributes
    ----------
    wrong : ndarray of int, shape (n,)
        How often a sample was misclassified when trained on.
    flips : ndarray of int, shape (n,)
        How often it was misclassified right after having been classified correctly.
    ever_correct, last_correct : ndarray of bool, shape (n,)
        Whether it was classified correctly at least once, and the last time.
    """

    def __init__(self, samples: int):
        self.wrong = np.zeros(samples, dtype=np.int64)
        self.flips = np.zeros(samples, dtype=np.int64)
        self.ever_correct = np.zeros(samples, dtype=bool)
        self.last_correct = np.zeros(samples, dtype=bool)

    @property
    def presented(self) -> np.ndarray:
        """Whether a sample was trained on at all, an array of bool of shape (n,)."""
        return self.ever_correct | (self.wrong > 0)

    def add(self, positions: np.ndarray, correct: np.ndarray) -> None:
        """Note one presentation of distinct samples, by position: the argmax over the whole head, before the update."""
        self.wrong[positions] += ~correct
        self.flips[positions] += self.last_correct[positions] & ~correct
        self.ever_correct[positions] |= correct
        self.last_correct[positions] = correct

    def state(self) -> dict[str, Any]:
        """Copies of the arrays."""
        return {name: array.copy() for name, array in vars(self).items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, whatever the number of samples."""
        for name, array in vars(self).items():
            setattr(self, name, np.array(state[name], dtype=array.dtype))


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

    Raises
    ------
    ValueError
        If rho is outside 0..1 or cutoff below 1.

    Examples
    --------
    >>> ddr_sizes(10000)
    [10000, 9250, 8500, 7750, 7000]
    """
    share = exact(rho)
    if not 0 <= share <= 1:
        raise ValueError(f"ddr_sizes: rho must lie in 0..1, got {rho}")
    if cutoff < 1:
        raise ValueError(f"ddr_sizes: cutoff must be at least 1, got {cutoff}")
    return [samples - round_half_up(share * samples * stage / cutoff) for stage in range(cutoff + 1)]


def stages_reached(*, epochs: int, delta_k: int, cutoff: int) -> int:
    """How many stages remove samples: complete ones that another epoch follows, up to the cutoff."""
    return min(cutoff, (epochs - 1) // delta_k)


def completed_stage(epoch: int, *, epochs: int, delta_k: int, cutoff: int) -> int | None:
    """The stage of ``delta_k`` epochs that ends with this epoch (from 1) and removes data, or None.

    Only a complete stage that another epoch follows removes anything, and only up to the cutoff.
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
