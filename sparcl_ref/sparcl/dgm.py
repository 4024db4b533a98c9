"""DGM, dynamic gradient masking: of the living weights only the most important are updated for a while."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sparcl_ref.masks import budget, clamp, exact, shrink


def gradient_sparsity(sparsity: float | Fraction, q: float | Fraction | None = None) -> Fraction:
    """s + q, the fraction of a layer without gradient, clamped to [0, 1]; q = 0.2 (1 - s) unless given.

    That is 4/5 at s = 0.75, 23/25 at 0.9, 24/25 at 0.95.
    """
    s = exact(sparsity)
    return clamp(s + (Fraction(1, 5) * (1 - s) if q is None else exact(q)))


def gradient_mask(mask: np.ndarray, importance: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Of the living entries keep the most important, so that a fraction ``sparsity`` of the layer is masked.

    Parameters
    ----------
    mask : ndarray of bool
        Living entries.
    importance : ndarray, same shape
        Continual gradient importance (equation 3); among equals the lower flat index is kept.
    sparsity : float, str or Fraction
        s + q, see `gradient_sparsity`. A layer already sparser than that keeps all its living entries.

    Returns
    -------
    ndarray of bool, same shape
        A subset of ``mask``.

    Raises
    ------
    ValueError
        If shapes differ or a living entry's importance is not finite.
    """
    return shrink(mask, importance, min(int(np.count_nonzero(mask)), budget(mask.size, sparsity)))


def is_refresh(iteration: int, interval: int) -> bool:
    """Whether the gradient mask is chosen anew at this iteration of an epoch (0, interval, 2 interval, ...)."""
    return iteration % interval == 0
