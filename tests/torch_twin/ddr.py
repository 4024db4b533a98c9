"""Dynamic data removal, equation (2)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .masks import Margin, exact


def gone(total: int, rho: float, stage: int, cutoff: int) -> int:
    """Samples gone in all after stage `stage` (from 1): floor(rho * total * min(stage, cutoff) / cutoff + 1/2)."""
    return math.floor(exact(rho) * total * min(stage, cutoff) / cutoff + Fraction(1, 2))


def sizes(total: int, rho: float, cutoff: int) -> list[int]:
    """Samples of a task in stage 1, 2, ..., cutoff + 1."""
    return [total - gone(total, rho, stage, cutoff) for stage in range(cutoff + 1)]


def finished_stage(epoch: int, *, delta_k: int, epochs: int) -> int | None:
    """Number (from 1) of the stage that ends with `epoch` if another epoch follows it, else None."""
    return epoch // delta_k if epoch % delta_k == 0 and epoch < epochs else None


def remove(remaining: np.ndarray, scores: np.ndarray, number: int) -> tuple[np.ndarray, Margin]:
    """Drop the `number` samples of lowest score; ties: the lowest original index goes first.

    Parameters
    ----------
    remaining : (n,) int
        Original indices, ascending.
    scores : (|D_t|,) int
        Score of every sample of the task, by original index.

    Returns
    -------
    (n - number,) int
        What stays, ascending.
    Margin
        Here `kept` is the lowest score that stays and `dropped` the highest that goes. Scores are integers: 0 means a
        tie.
    """
    order = remaining[np.argsort(scores[remaining], kind="stable")]
    leaving, staying = order[:number], order[number:]
    worst = float(scores[staying].min()) if len(staying) else math.inf
    best = float(scores[leaving].max()) if len(leaving) else -math.inf
    scale = float(scores[remaining].max()) if len(remaining) else 0.0
    return np.sort(staying), Margin(worst, best, scale)
