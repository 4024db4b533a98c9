"""Wrong metrics; the matrix has an untrained row 0."""

from __future__ import annotations

import numpy as np

from tests.verify.wrong.entry import Wrong


def forgetting(matrix, first, last, *, clip=False):
    """Best of rows first(j)..last(T), task j from 1, less the final row; NaN for one task."""
    tasks = matrix.shape[1]
    falls = [matrix[first(j) : last(tasks), j - 1].max() - matrix[tasks, j - 1] for j in range(1, tasks)]
    return np.mean(np.maximum(falls, 0) if clip else falls) if falls else np.nan


def mean(values):
    return values.mean() if values.size else np.nan


def decided(logits, labels, classes, *, last=False, places=False):
    columns = np.arange(logits.shape[1]) if classes is None else np.array(classes)
    z = logits[:, columns]
    best = z.shape[1] - 1 - z[:, ::-1].argmax(axis=1) if last else z.argmax(axis=1)
    return (best if places else columns[best]) == labels


WRONG = (
    Wrong(
        "forgetting-last-row",
        "metrics",
        "forgetting",
        "the last row takes part in the maximum",
        lambda matrix: forgetting(matrix, lambda j: j, lambda tasks: tasks + 1),
    ),
    Wrong(
        "forgetting-untrained",
        "metrics",
        "forgetting",
        "rows before a task is learned take part",
        lambda matrix: forgetting(matrix, lambda j: 0, lambda tasks: tasks),
    ),
    Wrong(
        "forgetting-clipped",
        "metrics",
        "forgetting",
        "forgetting is never negative",
        lambda matrix: forgetting(matrix, lambda j: j, lambda tasks: tasks, clip=True),
    ),
    Wrong(
        "forgetting-all-tasks",
        "metrics",
        "forgetting",
        "the mean is over T tasks, not T - 1",
        lambda matrix: forgetting(matrix, lambda j: j, lambda tasks: tasks) * (1 - 1 / matrix.shape[1]),
    ),
    Wrong(
        "average-with-untrained",
        "metrics",
        "average_accuracy",
        "the mean is over the whole matrix",
        lambda matrix: matrix.mean(),
    ),
    Wrong(
        "average-diagonal",
        "metrics",
        "average_accuracy",
        "right after each task instead of at the end",
        lambda matrix: np.diagonal(matrix[1:]).mean(),
    ),
    Wrong(
        "backward-row-off",
        "metrics",
        "backward_transfer",
        "one row too early: before the task is learned",
        lambda matrix: mean(matrix[-1, :-1] - np.diagonal(matrix)[:-1]),
    ),
    Wrong(
        "backward-sign",
        "metrics",
        "backward_transfer",
        "the sign of forgetting",
        lambda matrix: mean(np.diagonal(matrix[1:])[:-1] - matrix[-1, :-1]),
    ),
    Wrong(
        "backward-all-tasks",
        "metrics",
        "backward_transfer",
        "the last task takes part",
        lambda matrix: (matrix[-1] - np.diagonal(matrix[1:])).mean(),
    ),
    Wrong(
        "forward-no-baseline",
        "metrics",
        "forward_transfer",
        "the untrained network is left out",
        lambda matrix: mean(np.diagonal(matrix)[1:]),
    ),
    Wrong(
        "forward-row-off",
        "metrics",
        "forward_transfer",
        "after the task instead of before it",
        lambda matrix: mean((np.diagonal(matrix[1:]) - matrix[0])[1:]),
    ),
    Wrong(
        "learning-row-off",
        "metrics",
        "learning_accuracy",
        "one row too early: before the task is learned",
        lambda matrix: np.diagonal(matrix).mean(),
    ),
    Wrong(
        "correct-full-head",
        "metrics",
        "correct",
        "Class-IL where Task-IL is asked",
        lambda logits, labels, classes: decided(logits, labels, None),
    ),
    Wrong(
        "correct-last",
        "metrics",
        "correct",
        "among equal logits the highest class wins",
        lambda logits, labels, classes: decided(logits, labels, classes, last=True),
    ),
    Wrong(
        "correct-places",
        "metrics",
        "correct",
        "places among the classes are taken for classes",
        lambda logits, labels, classes: decided(logits, labels, classes, places=True),
    ),
)
