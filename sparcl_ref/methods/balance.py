"""Greedy balance: a memory whose classes are as many as each other, filled in one pass over a stream (GDumb)."""

from __future__ import annotations

import numpy as np


def greedy_balance(held: np.ndarray, new: np.ndarray, capacity: int, rng: np.random.Generator) -> np.ndarray:
    """Which samples are held after new ones have been offered one by one, given all labels.

    One is taken while its class has fewer than capacity / classes seen; if there is no room, a random sample of the
    largest class leaves (among equals of the lowest class). As remembered of the paper.

    Parameters
    ----------
    held, new : ndarray of int
        Labels of what is held already, and of what is offered.
    capacity : int
        At least as many as are held.

    Returns
    -------
    ndarray of int, ascending
        Positions in ``concatenate([held, new])``.
    """
    members: dict[int, list[int]] = {}
    for position, label in enumerate(held.tolist()):
        members.setdefault(label, []).append(position)
    for position, label in enumerate(new.tolist(), start=len(held)):
        own = members.setdefault(label, [])
        if len(own) * len(members) >= capacity:
            continue
        if sum(map(len, members.values())) == capacity:
            largest = max(sorted(members), key=lambda each: len(members[each]))
            members[largest].pop(int(rng.integers(len(members[largest]))))
        own.append(position)
    return np.sort(np.array([position for each in members.values() for position in each], dtype=np.int64))
