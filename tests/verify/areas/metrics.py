"""Metrics: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from tests.verify.draws import floats, integers
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _correct()
    yield from _matrices()


def _correct() -> Iterator[CaseSpec]:
    logits = floats("correct z", (6, 8))
    best = np.array([2, 5, 7, 1, 0, 3])
    logits[np.arange(6), best] = 4.0
    in_task = np.array([6, 1, 4, 1, 6, 4])
    logits[np.arange(6), in_task] = [3.0, 3.0, -1.5, 4.0, 3.0, 3.0]
    tied = np.zeros((5, 8))
    tied[0, [3, 6]] = 1.0
    tied[1, [3, 6]] = 1.0
    tied[2, [1, 4, 6]] = 1.0
    tied[3, [1, 4, 6]] = 1.0
    for name, kind, note, z, labels, classes in [
        ("class-il", "regular", "Task-IL reported as Class-IL", logits, np.where(np.arange(6) % 2, in_task, best),
         None),
        ("task-il", "regular", "Class-IL reported as Task-IL; positions taken for classes", logits, in_task, [6, 1, 4]),
        ("one-sample", "edge", "an axis of length 1 that is dropped", logits[3:4], np.array([1]), None),
        ("one-class", "edge", "a task of one class is always right", logits[:2], np.array([4, 4]), [4]),
        ("ties", "adversarial", "among equal logits the lowest class wins", tied, np.array([3, 6, 1, 4, 0]), None),
        ("ties-unsorted-classes", "adversarial",
         "among equal logits the first class of the list wins instead of the lowest", tied, np.array([6, 6, 1, 6, 1]),
         [6, 4, 1]),
        ("ties-again", "adversarial", "among equal logits the lowest class wins", np.ones((4, 5)),
         np.array([0, 4, 2, 0]), None),
        ("ties-unsorted-again", "adversarial", "among equals the lowest class wins, wherever it is listed",
         np.ones((3, 5)), np.array([4, 2, 1]), [4, 1, 2]),
        ("far-below", "adversarial", "other classes set to -1e4 or the like instead of left out",
         integers("correct far", (6, 8), low=0, high=64) / 8 - 2.0**15 * np.isin(np.arange(8), [6, 1, 4]), in_task,
         [6, 1, 4]),
        ("further-below", "adversarial", "other classes set to -1e30 or the like instead of left out",
         np.where(np.isin(np.arange(4), [3, 1]), -(2.0**110), 1.0)[None], np.array([1]), [3, 1]),
        ("furthest-below", "adversarial", "other classes set to -1e30 or the like instead of left out",
         np.where(np.arange(6) > 3, -(2.0**112), 2.0**9)[None].repeat(2, axis=0), np.array([5, 4]), [5, 4]),
        ("more-classes", "adversarial", "labels that 8 bits do not hold", np.eye(2, 512, 511), np.array([511, 0]),
         [511, 255, 0]),
        ("many-classes", "adversarial", "labels that 8 bits do not hold", np.eye(3, 300, 260), np.array([260, 5, 262]),
         None),
        ("all-negative", "adversarial",
         "other classes set to 0 instead of left out: 0 beats the task's negative logits",
         floats("correct negative", (6, 8), low=-9.0, high=-1.0), in_task, [6, 1, 4]),
    ]:  # fmt: skip
        yield CaseSpec("correct", name, kind, note, {"logits": z, "labels": labels, "classes": classes})


def _matrices() -> Iterator[CaseSpec]:
    five = integers("accuracies", (6, 5), low=6, high=60) / 64
    # Task 1 is best before the end but not when it was learned; task 2 before it was learned; task 3 in the last row.
    five[:, 0] = np.array([40, 48, 60, 52, 20, 32]) / 64
    five[:, 1] = np.array([30, 62, 50, 44, 40, 24]) / 64
    five[:, 2] = np.array([4, 8, 12, 40, 36, 64]) / 64
    perfect = np.tri(4, 3, -1)
    notes = {
        "average_accuracy": "the mean over the whole matrix or its diagonal; the last task left out",
        "forgetting": "a maximum over the last row too, or rows before the task was learned; the last task counted",
        "backward_transfer": "the sign; the last task, which is always 0, in the mean",
        "forward_transfer": "no baseline of the untrained network; the diagonal shifted to the wrong side",
        "learning_accuracy": "the last row, or the row before, taken for the diagonal",
    }
    for function, note in notes.items():
        for name, kind, why, matrix in [
            ("five-tasks", "regular", note, five),
            ("two-tasks", "edge", f"{note}; a mean over one task", integers("two", (3, 2), low=0, high=65) / 64),
            ("one-task", "edge", "a mean over no task divided by 1, or refused", np.array([[0.25], [0.75]])),
            ("nothing-forgotten", "edge", "perfect and untouched later: zeros and ones", perfect),
            ("later-tasks-helped-more", "adversarial", "a forgetting cut off at 0; a transfer without its sign",
             np.array([[8, 8, 8, 8], [24, 16, 8, 8], [28, 30, 8, 8], [32, 36, 20, 4], [40, 44, 48, 56]]) / 64),
            ("later-tasks-helped", "adversarial", "a forgetting that is cut off at 0; a transfer without its sign",
             np.array([[16, 8, 4], [32, 20, 12], [40, 36, 8], [56, 48, 60]]) / 64),
        ]:  # fmt: skip
            yield CaseSpec(function, name, kind, why, {"matrix": matrix})


# --- oracle -----------------------------------------------------------------------------------------------------------


def correct(a: Arguments) -> Result:
    """Sample by sample: no class that takes part has a larger logit, and no lower one as large a logit."""
    classes = range(a["logits"].shape[1]) if a["classes"] is None else a["classes"]
    found = []
    for row, label in zip(a["logits"], a["labels"], strict=True):
        beaten = any(row[c] > row[label] or (row[c] == row[label] and c < label) for c in classes)
        found.append(not beaten)
    return {"correct": np.array(found)}, {}


def _metric(terms_of: Callable[[list[list[Fraction]], int], list[Fraction]], absolute: int) -> Oracle:
    """The mean of exact fractions; ``absolute`` numbers of at most 1 make up each of them."""

    def oracle(a: Arguments) -> Result:
        """A mean of exact fractions, rounded once."""
        rows = [[Fraction(float(entry)) for entry in row] for row in a["matrix"]]
        terms = terms_of(rows, len(rows[0]))
        value = float(sum(terms) / len(terms)) if terms else float("nan")
        tolerance = Tolerance(absolute * len(terms) + 1, absolute, "accuracies of at most 1, over tasks")
        return {"value": np.array(value)}, {"value": tolerance}

    return oracle


#: Tasks are counted from 1, as in the formulas; r[t][j - 1] is R_{t,j}.
ORACLES: dict[str, Oracle] = {
    "correct": correct,
    "average_accuracy": _metric(lambda r, n: [r[n][j - 1] for j in range(1, n + 1)], 1),
    "forgetting": _metric(lambda r, n: [max(r[t][j - 1] for t in range(j, n)) - r[n][j - 1] for j in range(1, n)], 2),
    "backward_transfer": _metric(lambda r, n: [r[n][j - 1] - r[j][j - 1] for j in range(1, n)], 2),
    "forward_transfer": _metric(lambda r, n: [r[j - 1][j - 1] - r[0][j - 1] for j in range(2, n + 1)], 2),
    "learning_accuracy": _metric(lambda r, n: [r[j][j - 1] for j in range(1, n + 1)], 1),
}


# --- wrong implementations --------------------------------------------------------------------------------------------


def forgetting(matrix, first, last, *, clip=False):
    """Best of rows first(j)..last(T), task j from 1, less the final row; NaN for one task."""
    tasks = matrix.shape[1]
    falls = [matrix[first(j) : last(tasks), j - 1].max() - matrix[tasks, j - 1] for j in range(1, tasks)]
    return np.mean(np.maximum(falls, 0) if clip else falls) if falls else np.nan


def mean(values):
    return values.mean() if values.size else np.nan


def masked(logits, labels, classes, *, fault):
    """The classes that take no part are set to some low number instead of left out."""
    low = np.full_like(logits, float(fault) if fault != "none" else -np.inf)
    columns = slice(None) if classes is None else classes
    low[:, columns] = logits[:, columns]
    return decided(low, labels, None)


def decided(logits, labels, classes, *, last=False, places=False):
    columns = np.arange(logits.shape[1]) if classes is None else np.array(classes)
    z = logits[:, columns]
    best = z.shape[1] - 1 - z[:, ::-1].argmax(axis=1) if last else z.argmax(axis=1)
    return (best if places else columns[best]) == labels


WRONG = (
    Wrong("correct-full-head", "correct", "Class-IL where Task-IL is asked",
        lambda logits, labels, classes: decided(logits, labels, None),
        likely="the whole head decides where the task's classes are asked"),
    Wrong("correct-last", "correct", "among equal logits the highest class wins",
        lambda logits, labels, classes: decided(logits, labels, classes, last=True),
        likely="ties broken from the other end"),
    Wrong("correct-places", "correct", "places among the classes are taken for classes",
        lambda logits, labels, classes: decided(logits, labels, classes, places=True),
        likely="places among the task's classes taken for classes"),
    *(Wrong(f"correct-{low}", "correct", f"{low} instead of minus infinity", masked, fault=low,
        likely="another number instead of minus infinity for classes left out")
        for low in ("-1e4", "-1e9", "-1e30")),
    Wrong("correct-uint8", "correct", "labels are bytes",
        lambda logits, labels, classes: decided(
            logits, labels.astype(np.uint8), None if classes is None else sorted(classes))),
    Wrong("correct-first-listed", "correct", "among equals the class listed first wins",
        lambda logits, labels, classes: np.asarray(classes or range(logits.shape[1]))[
            logits[:, classes or slice(None)].argmax(axis=1)] == labels,
        likely="among equals the class listed first wins instead of the lowest"),
    Wrong("correct-range", "correct", "the task's classes are taken for a range",
        lambda logits, labels, classes: decided(
            logits, labels, None if classes is None else list(range(min(classes), min(classes) + len(classes)))),
        likely="the task's classes taken for a range from the lowest on"),
    Wrong("average-with-untrained", "average_accuracy", "the mean is over the whole matrix",
        lambda matrix: matrix.mean(), likely="the mean over the whole matrix"),
    Wrong("average-diagonal", "average_accuracy", "right after each task instead of at the end",
        lambda matrix: np.diagonal(matrix[1:]).mean(), likely="the diagonal instead of the last row"),
    Wrong("forgetting-last-row", "forgetting", "the last row takes part in the maximum",
        lambda matrix: forgetting(matrix, lambda j: j, lambda tasks: tasks + 1),
        likely="the last row is a candidate for the maximum, so that nothing can be negative"),
    Wrong("forgetting-untrained", "forgetting", "rows before a task is learned take part",
        lambda matrix: forgetting(matrix, lambda j: 0, lambda tasks: tasks),
        likely="accuracies from before a task was learned are candidates for the maximum"),
    Wrong("forgetting-clipped", "forgetting", "forgetting is never negative",
        lambda matrix: forgetting(matrix, lambda j: j, lambda tasks: tasks, clip=True),
        likely="the last row is a candidate for the maximum, so that nothing can be negative"),
    Wrong("forgetting-all-tasks", "forgetting", "the mean is over T tasks, not T - 1",
        lambda matrix: forgetting(matrix, lambda j: j, lambda tasks: tasks) * (1 - 1 / matrix.shape[1]),
        likely="divided by T instead of T - 1"),
    Wrong("backward-row-off", "backward_transfer", "one row too early: before the task is learned",
        lambda matrix: mean(matrix[-1, :-1] - np.diagonal(matrix)[:-1]),
        likely="one row too early: the accuracy before a task is learned"),
    Wrong("backward-sign", "backward_transfer", "the sign of forgetting",
        lambda matrix: mean(np.diagonal(matrix[1:])[:-1] - matrix[-1, :-1]), likely="the sign of forgetting"),
    Wrong("backward-all-tasks", "backward_transfer", "the last task takes part",
        lambda matrix: (matrix[-1] - np.diagonal(matrix[1:])).mean(), likely="divided by T instead of T - 1"),
    Wrong("forward-no-baseline", "forward_transfer", "the untrained network is left out",
        lambda matrix: mean(np.diagonal(matrix)[1:]), likely="the untrained network's accuracy not subtracted"),
    Wrong("forward-row-off", "forward_transfer", "after the task instead of before it",
        lambda matrix: mean((np.diagonal(matrix[1:]) - matrix[0])[1:]),
        likely="one row too late: the accuracy after a task is learned"),
    Wrong("learning-row-off", "learning_accuracy", "one row too early: before the task is learned",
        lambda matrix: np.diagonal(matrix).mean(), likely="the diagonal of the matrix with its untrained row"),
)  # fmt: skip
