"""A buffer that is filled at the end of each task, an equal share for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.methods.records import TaskData
from sparcl_ref.replay import ReservoirBuffer, Samples


def even_shares(capacity: int, sizes: Sequence[int]) -> list[int]:
    """Samples held of each task after those of the given sizes: capacity // tasks, or all where a task has fewer.

    Examples
    --------
    >>> even_shares(13, [30, 30, 2])
    [4, 4, 2]
    """
    return [min(capacity // len(sizes), size) for size in sizes]


def fdr_quota(form: str, capacity: int, task: int) -> int:
    """Samples of each task that may stay, and of the new one that are recorded, after task number ``task``."""
    return capacity // (max(1, task - 1) if form == "mammoth" else task)


def keep_and_add(buffer: ReservoirBuffer, data: TaskData, order: np.ndarray, logits: np.ndarray | None = None) -> None:
    """Cut each earlier task to its first ``capacity // tasks`` samples, and add as many of the new one.

    Parameters
    ----------
    buffer : ReservoirBuffer
        Holds samples of earlier tasks, those of one task in the order in which they entered.
    data : TaskData
    order : ndarray of int
        Positions within the task; the first ones enter.
    logits : ndarray, shape (samples that enter, classes), optional
        What is stored with them, by default zeros.
    """
    share = buffer.capacity // data.task.number
    old, new = buffer.content(), data.take(order[:share])
    kept = np.concatenate([np.flatnonzero(old.tasks == task)[:share] for task in range(1, data.task.number + 1)])
    stored = np.zeros((len(new.labels), old.logits.shape[1]), old.logits.dtype) if logits is None else logits
    added = Samples(new.images, new.labels, stored, np.full(len(new.labels), data.task.number))
    buffer.hold(Samples(*(np.concatenate([a[kept], b]) for a, b in zip(old, added, strict=True))))
