"""Moments of a run that are worth looking at, and the names that addresses give to moments and runs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

#: A task is said to be forgotten when it has lost this much of its best accuracy.
FORGOTTEN = 0.05


def adjustments(came: Sequence[Sequence[int]], left: Sequence[Sequence[int]]) -> list[int]:
    """Moments before which weights came or left, of counts by layer and moment."""
    return [moment for moment, counts in enumerate(zip(*came, *left, strict=True)) if any(counts)]


def exchanges(came: Sequence[Sequence[int]], left: Sequence[Sequence[int]]) -> list[int]:
    """Moments before which weights came and others left."""
    both = zip(zip(*came, strict=True), zip(*left, strict=True), strict=True)
    return [moment for moment, (into, out) in enumerate(both) if any(into) and any(out)]


def removals(removed: Sequence[int]) -> list[int]:
    """Moments at which samples were removed."""
    return [moment for moment, count in enumerate(removed) if count]


def first_forgetting(accuracy: np.ndarray, moments: Sequence[tuple[int, int]], learned: Sequence[int]) -> int | None:
    """The first moment at which an earlier task is `FORGOTTEN` or more below the best it had since it was learned.

    Parameters
    ----------
    accuracy : ndarray, shape (T, tasks)
    moments : sequence of (task, epoch)
    learned : sequence of int
        The training task in which each column's task is learned.
    """
    tasks = np.array([task for task, _ in moments])
    for moment, now in enumerate(tasks):
        for column in (column for column, when in enumerate(learned) if when < now):
            since = accuracy[: moment + 1, column][tasks[: moment + 1] >= learned[column]]
            # A hair less, as the fractions of 100 images are not exact in binary.
            if since.max() - since[-1] >= FORGOTTEN - 1e-9:
                return moment
    return None


def address(task: int, epoch: int) -> str:
    """How an address names a moment, such as "3.2"; "0" before training."""
    return f"{task}.{epoch}" if task else "0"


def keys(titles: Sequence[str]) -> list[str]:
    """A short name for each run, for addresses: what tells its title from the others'.

    Examples
    --------
    >>> keys(["SparCL-DER++ .90", "SparCL-DER++ .90 (no DDR)", "SparCL-DER++ .90 (no DDR)"])
    ['run', 'no-ddr', 'no-ddr-2']
    >>> keys(["ER", "DER++"])
    ['er', 'derpp']
    """
    words = [title.split() for title in titles]
    common = 0
    while len(words) > 1 and all(len(each) > common and each[common] == words[0][common] for each in words):
        common += 1
    found: list[str] = []
    for title in words:
        plain = " ".join(title[common:] if len(words) > 1 else []).lower().replace("+", "p")
        name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "run"
        unlike = (f"{name}-{number}" for number in itertools.count(2))
        found.append(next(each for each in itertools.chain([name], unlike) if each not in found))
    return found
