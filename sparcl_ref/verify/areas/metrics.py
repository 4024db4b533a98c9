"""Whether samples are classified correctly, and what a matrix of accuracies says."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.losses import correct
from sparcl_ref.metrics import average_accuracy, backward_transfer, forgetting, forward_transfer, learning_accuracy
from sparcl_ref.verify.areas.losses.cross_entropy import (
    CLASSES,
    LABELS,
    LOGITS,
    LOW_NUMBER,
    LOW_NUMBERS,
    RANGE,
    as_range,
)
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

MATRIX = Argument(
    "matrix", "float (T + 1, T): R[t, j - 1] is the accuracy on task j after training on tasks 1..t; row 0 is untrained"
)
VALUE = Output("value", "float; None or NaN where the mean is over no task (T = 1)")


def _last_of_ties(arranged, logits, labels, classes):
    columns = (np.arange(logits.shape[1]) if classes is None else arranged(classes))[::-1]
    return {"correct": columns[logits[:, columns].argmax(axis=1)] == labels}


def _places(logits, labels, classes):
    # Without a list the places are the classes.
    return {} if classes is None else {"correct": logits[:, classes].argmax(axis=1) == labels}


def _low_others(low, logits, labels, classes):
    others = np.full(logits.shape[1], classes is not None)
    others[[] if classes is None else classes] = False
    return {"correct": np.where(others, low, logits).argmax(axis=1) == labels}


def _over_a_range(logits, labels, classes):
    return {} if classes is None else _first_listed(logits, labels, as_range(classes))


def _first_listed(logits, labels, classes):
    columns = np.asarray(classes)
    return {"correct": columns[logits[:, columns].argmax(axis=1)] == labels}


def _best_over(rows, matrix):
    """Forgetting with the maximum over other rows."""
    tasks = matrix.shape[1]
    return {"value": np.mean([matrix[rows(j, tasks), j].max() - matrix[tasks, j] for j in range(tasks - 1)])}


_OVER_ALL_TASKS = scaled("divided by T instead of T - 1", value=lambda given: 1 - 1 / given["matrix"].shape[1])


FUNCTIONS = (
    specify("correct", "metrics", correct, "method, setting",
        "whether the largest logit is the label's: over the whole head (Class-IL), or among the given classes "
        "(Task-IL); among equal logits the lowest class wins",
        LOGITS, LABELS, CLASSES, exactly("correct", "bool (N,)"),
        instead("the whole head decides where the task's classes are asked", classes=None),
        *(Mistake("ties broken from the other end", partial(_last_of_ties, arranged))
            for arranged in (np.sort, np.asarray)),
        Mistake("places among the task's classes taken for classes", _places),
        *(Mistake(LOW_NUMBER, partial(_low_others, low)) for low in LOW_NUMBERS),
        Mistake(RANGE, _over_a_range),
        Mistake("among equals the class listed first wins instead of the lowest", _first_listed),
    ),
    specify("average_accuracy", "metrics", average_accuracy, "Lopez-Paz and Ranzato, 2017",
        "mean over j = 1..T of R[T, j]",
        MATRIX, VALUE,
        Mistake("the diagonal instead of the last row", lambda matrix: {"value": learning_accuracy(matrix)}),
        Mistake("the mean over the whole matrix", lambda matrix: {"value": matrix[1:].mean()}),
        Mistake("the mean over the whole matrix", lambda matrix: {"value": matrix.mean()}),
    ),
    specify("forgetting", "metrics", forgetting, "Chaudhry et al., 2018",
        "mean over j = 1..T-1 of (max over l = j..T-1 of R[l, j]) - R[T, j]; the last row is no candidate for the "
        "maximum, so the value may be negative",
        MATRIX, VALUE,
        Mistake("the last row is a candidate for the maximum, so that nothing can be negative",
            partial(_best_over, lambda j, tasks: slice(j + 1, None))),
        Mistake("accuracies from before a task was learned are candidates for the maximum",
            partial(_best_over, lambda j, tasks: slice(tasks))),
        Mistake("accuracies from before a task was learned are candidates for the maximum",
            partial(_best_over, lambda j, tasks: slice(1, tasks))),
        Mistake("limited to 0, where tasks that later ones helped make it negative",
            lambda right, matrix: {"value": max(0.0, right(matrix=matrix)["value"])}, of_right=True),
        Mistake("the accuracy right after learning instead of the best: backward transfer with the other sign",
            lambda matrix: {"value": np.mean((np.diagonal(matrix[1:]) - matrix[-1])[:-1])}),
        _OVER_ALL_TASKS,
    ),
    specify("backward_transfer", "metrics", backward_transfer, "Lopez-Paz and Ranzato, 2017",
        "mean over j = 1..T-1 of R[T, j] - R[j, j]",
        MATRIX, VALUE,
        _OVER_ALL_TASKS,
        Mistake("divided by T instead of T - 1",
            lambda matrix: {"value": np.mean(matrix[-1] - np.diagonal(matrix[1:]))}),
        scaled("the sign of forgetting", value=-1),
        Mistake("one row too early: the accuracy before a task is learned",
            lambda matrix: {"value": np.mean(matrix[-1, :-1] - np.diagonal(matrix)[:-1])}),
    ),
    specify("forward_transfer", "metrics", forward_transfer, "Lopez-Paz and Ranzato, 2017",
        "mean over j = 2..T of R[j-1, j] - R[0, j]",
        MATRIX, VALUE,
        Mistake("one row too late: the accuracy after a task is learned",
            lambda matrix: {"value": np.mean((np.diagonal(matrix[1:]) - matrix[0])[1:])}),
        _OVER_ALL_TASKS,
        Mistake("the untrained network's accuracy not subtracted",
            lambda matrix: {"value": np.diagonal(matrix)[1:].mean()}),
    ),
    specify("learning_accuracy", "metrics", learning_accuracy, "Riemer et al., 2019",
        "mean over j = 1..T of R[j, j]",
        MATRIX, VALUE,
        Mistake("the last row instead of the diagonal", lambda matrix: {"value": average_accuracy(matrix)}),
        Mistake("the diagonal of the matrix with its untrained row",
            lambda matrix: {"value": np.diagonal(matrix).mean()}),
    ),
)  # fmt: skip
