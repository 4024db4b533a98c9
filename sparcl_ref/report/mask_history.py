"""What happened to a layer's weights while the mask moved: pure functions of the snapshots.

Snapshots are a bool array ``alive`` of shape (S, n): S moments, the first of them the initial mask, and n weights. They
can be large, so these functions go through them one moment at a time and keep no second copy. ``tasks`` has the task of
each moment, 0 for the initial mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def initial_survival(alive: np.ndarray) -> np.ndarray:
    """Fraction of the initial mask's weights that live at each moment, shape (S,); ones if it was empty."""
    first = alive[0]
    count = int(np.count_nonzero(first))
    if count == 0:
        return np.ones(len(alive))
    return np.array([np.count_nonzero(now & first) / count for now in alive])


def turnover(alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights that joined and that left since the moment before, as fractions of those alive then, shape (S,) each.

    Both are 0 at the first moment, and where nothing lived at the moment before.
    """
    joined, left = np.zeros(len(alive)), np.zeros(len(alive))
    for index in range(1, len(alive)):
        before, now = alive[index - 1], alive[index]
        count = max(1, int(np.count_nonzero(before)))
        joined[index] = np.count_nonzero(now & ~before) / count
        left[index] = np.count_nonzero(before & ~now) / count
    return joined, left


def life_order(alive: np.ndarray, tasks: Sequence[int]) -> np.ndarray:
    """Indices of all weights that ever lived: by the task in which they first joined, then the longest-lived first."""
    weights = alive.shape[1]
    first, last = np.full(weights, -1, dtype=np.int32), np.full(weights, -1, dtype=np.int32)
    moments = np.zeros(weights, dtype=np.int32)
    for index, now in enumerate(alive):
        first[now & (first < 0)] = index
        last[now] = index
        moments += now
    ever = np.flatnonzero(first >= 0)
    joined_in = np.asarray(tasks)[first[ever]]
    # lexsort: the last key counts most.
    return ever[np.lexsort((ever, -moments[ever], first[ever], -last[ever], joined_in))]


def even_sample(order: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` entries at even distances, so that each stretch of the order keeps its share."""
    if len(order) <= count:
        return order
    return order[np.linspace(0, len(order) - 1, count).round().astype(np.int64)]


def joined_in_task(alive: np.ndarray, tasks: Sequence[int]) -> Iterator[np.ndarray]:
    """Task in which each living weight last joined, -1 where it is dead: a new array (n,) for each moment."""
    origin = np.full(alive.shape[1], -1, dtype=np.int16)
    for task, now in zip(tasks, alive, strict=True):
        origin = np.where(now, np.where(origin < 0, task, origin), -1).astype(np.int16)
        yield origin


def final_origins(alive: np.ndarray, tasks: Sequence[int]) -> dict[int, float]:
    """Where the weights that live at the end came from: task in which they last joined, to fraction of the living."""
    for origin in joined_in_task(alive, tasks):
        final = origin
    found, counts = np.unique(final[final >= 0], return_counts=True)
    return {int(task): int(count) / int(counts.sum()) for task, count in zip(found, counts, strict=True)}
