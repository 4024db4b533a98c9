r"""What a continual learner is measured by: functions of the accuracy matrix.

The matrix R has the shape (T + 1, T) for T tasks. R[t, j - 1], written R_{t,j} below, is the accuracy on task j after
training on the tasks 1..t, as a fraction in 0..1; row 0 is the untrained network. Whether it is Class-IL or Task-IL
accuracy makes no difference here.

Joint training sees all tasks at once and has no order: its matrix has two rows, untrained and trained, for T tasks.
Only the average accuracy means something there, and the other functions return None. They also do so where a
definition averages over no task at all (T = 1). Every function takes the matrix as an array_like of shape (T + 1, T),
or (2, T) for joint training, leaves it alone and raises as `checked_matrix` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def average_accuracy(matrix: ArrayLike) -> float:
    r"""Accuracy over all tasks when training is over, in 0..1.

    .. math:: \frac{1}{T} \sum_{j=1}^{T} R_{T,j}
    """
    return float(checked_matrix(matrix)[-1].mean())


def forgetting(matrix: ArrayLike) -> float | None:
    r"""How far accuracy has fallen from its best, in -1..1; less is better.

    .. math:: \frac{1}{T-1} \sum_{j=1}^{T-1} \Bigl( \max_{l \in \{j, \dots, T-1\}} R_{l,j} - R_{T,j} \Bigr)

    The paper (Chaudhry et al., "Riemannian walk", ECCV 2018) lets l run over 1..T-1 and defines R_{l,j} for j <= l
    only, which is the range above: what a task scored before it was learned, or untrained, cannot be forgotten. The
    final row is no candidate for the maximum either; so the value is negative when later tasks helped earlier ones.
    """
    r = _sequential(matrix, least=2)
    if r is None:
        return None
    tasks = r.shape[1]
    # Task j = i + 1 stands in column i and is first learned in row i + 1.
    return float(np.mean([r[i + 1 : tasks, i].max() - r[tasks, i] for i in range(tasks - 1)]))


def backward_transfer(matrix: ArrayLike) -> float | None:
    r"""What learning later tasks did to earlier ones, in -1..1 (Lopez-Paz and Ranzato, "GEM", NeurIPS 2017).

    .. math:: \frac{1}{T-1} \sum_{j=1}^{T-1} \left( R_{T,j} - R_{j,j} \right)
    """
    r = _sequential(matrix, least=2)
    return None if r is None else float(np.mean(r[-1, :-1] - np.diagonal(r[1:])[:-1]))


def forward_transfer(matrix: ArrayLike) -> float | None:
    r"""What learning earlier tasks did for a task not seen yet, in -1..1 (Lopez-Paz and Ranzato, as above).

    .. math:: \frac{1}{T-1} \sum_{j=2}^{T} \left( R_{j-1,j} - R_{0,j} \right)

    R_{0,j}, the accuracy of the untrained network, is the paper's random baseline.
    """
    r = _sequential(matrix, least=2)
    # In column i, task i + 1, the last row before it is learned is row i: the diagonal of the matrix itself.
    return None if r is None else float(np.mean((np.diagonal(r) - r[0])[1:]))


def learning_accuracy(matrix: ArrayLike) -> float | None:
    r"""How well each task is learned at first, right after training on it, in 0..1 (Riemer et al., ICLR 2019).

    .. math:: \frac{1}{T} \sum_{j=1}^{T} R_{j,j}
    """
    r = _sequential(matrix, least=1)
    return None if r is None else float(np.diagonal(r[1:]).mean())


def checked_matrix(matrix: ArrayLike) -> np.ndarray:
    """The accuracy matrix as a float64 copy, if it is one.

    Raises
    ------
    ValueError
        If it is no rectangle of numbers, has another shape, or holds NaN or a value outside 0..1.
    """
    try:
        r = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"accuracy matrix must be a rectangle of numbers: {error}") from error
    if r.ndim != 2 or r.shape[1] == 0 or r.shape[0] not in (2, r.shape[1] + 1):
        raise ValueError(f"accuracy matrix must have shape (T + 1, T), or (2, T) for joint training, got {r.shape}")
    # Written so that NaN, which compares as false, is bad.
    bad = ~((r >= 0) & (r <= 1))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"accuracies must be fractions in 0..1, got {r[row, column]} in row {row}, column {column}")
    return r


def _sequential(matrix: ArrayLike, *, least: int) -> np.ndarray | None:
    """The checked matrix, or None if it is that of joint training or of fewer tasks than ``least``."""
    r = checked_matrix(matrix)
    rows, tasks = r.shape
    return r if rows == tasks + 1 and tasks >= least else None
