"""Training a new network on a few samples: the rates of GDumb, and its limit on gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def rate(epoch: int, *, highest: float, lowest: float) -> float:
    """A tenth of the highest rate in epoch 1, the highest in epoch 2; then a cosine to the lowest with restarts.

    The first cycle lasts one epoch, each further one twice as long as the one before (Loshchilov and Hutter 2017).
    """
    if epoch <= 2:
        return highest / 10 if epoch == 1 else highest
    cycle = (epoch - 2).bit_length() - 1
    place, length = epoch - 2 - 2**cycle, 2**cycle
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * place / length)) / 2


def clip(gradients: Sequence[np.ndarray], limit: float) -> list[np.ndarray]:
    """All arrays times limit / (norm of all together + 1e-6), if that is below 1."""
    norm = math.sqrt(sum(float(np.sum(g.astype(np.float64) ** 2)) for g in gradients))
    share = limit / (norm + 1e-6)
    return [share * g for g in gradients] if share < 1 else list(gradients)
