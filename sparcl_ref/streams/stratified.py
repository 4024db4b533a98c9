"""Setting samples aside so that every class keeps its share."""

from __future__ import annotations

import numpy as np


def set_aside(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a fraction of the samples of each class, without replacement.

    Of n samples of a class ``round(fraction * n)`` are drawn, but at least one and never all; so their number is within
    one of the exact share, and does not depend on ``rng``.

    Parameters
    ----------
    labels : ndarray of int, shape (N,)
    fraction : float
        Above 0 and below 1.
    rng : Generator

    Returns
    -------
    ndarray of int64
        Ascending indices into ``labels``.

    Raises
    ------
    ValueError
        If a class has a single sample, or the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction to set aside must be above 0 and below 1, got {fraction}")
    drawn = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(f"class {label} has {len(members)} sample(s), of which none can be set aside; add some")
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        drawn.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(drawn)).astype(np.int64)
