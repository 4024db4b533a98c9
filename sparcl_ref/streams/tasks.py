"""From a data set to a stream of tasks, and from a task to an epoch of shuffled batches."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparcl_ref.streams.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Task:
    """One step of a stream.

    Attributes
    ----------
    number : int
        Counted from 1.
    classes : tuple of int
        Labels, in the stream's class order. A label is also the index of its logit, whatever the order.
    train_index, test_index : ndarray of int64, read-only
        Ascending indices into the data set's ``train_x`` and ``test_x``.
    """

    number: int
    classes: tuple[int, ...]
    train_index: np.ndarray
    test_index: np.ndarray


@dataclass(frozen=True, eq=False)
class Stream:
    """A data set in pieces: what is learnt, in order, and what is measured after each piece.

    Attributes
    ----------
    dataset : Dataset
    class_order : tuple of int
        All labels in the order in which they arrive.
    tasks : tuple of Task
        What accuracy is measured on.
    training : tuple of Task
        What is learnt, one after the other. The same as ``tasks``, but for `joint`.
    class_incremental : bool
        Whether each task has classes of its own, which together make up ``class_order``; if not, each has all of them.
    """

    dataset: Dataset
    class_order: tuple[int, ...]
    tasks: tuple[Task, ...]
    training: tuple[Task, ...]
    class_incremental: bool = True


def class_order(spec: str | Sequence[int], classes: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Decide the order in which the classes arrive.

    ``spec`` "natural" is 0, 1, 2, ...; "random" a uniformly random permutation, for which alone ``rng`` is drawn from;
    a sequence is taken as it is.

    Raises
    ------
    ValueError
        If ``spec`` is another word, or not a permutation of 0 .. classes-1.
    """
    if isinstance(spec, str):
        if spec == "natural":
            return tuple(range(classes))
        if spec == "random":
            return tuple(rng.permutation(classes).tolist())
        raise ValueError(f"class order must be natural, random or a permutation of 0..{classes - 1}, got {spec!r}")
    return _permutation(spec, classes)


def split(dataset: Dataset, *, classes_per_task: int, class_order: Sequence[int]) -> Stream:
    """Cut a data set into tasks of ``classes_per_task`` classes each, in the order that `class_order` returned.

    Raises
    ------
    ValueError
        If the classes do not divide evenly into tasks, or the order is no permutation of the labels.
    """
    order = _permutation(class_order, dataset.classes)
    if not isinstance(classes_per_task, int | np.integer) or classes_per_task < 1 or dataset.classes % classes_per_task:
        raise ValueError(
            f"{dataset.name}: {dataset.classes} classes do not divide into tasks of {classes_per_task}; "
            f"choose a divisor of {dataset.classes}"
        )
    starts = range(0, dataset.classes, classes_per_task)
    cuts = enumerate((order[start : start + classes_per_task] for start in starts), start=1)
    tasks = tuple(_task(dataset, number, classes) for number, classes in cuts)
    return Stream(dataset, order, tasks=tasks, training=tasks)


def joint(stream: Stream) -> Stream:
    """Learn all classes at once, as a single task, but measure on the tasks of the given stream: the upper bound."""
    return replace(stream, training=(_task(stream.dataset, 1, stream.class_order),))


def cut_batches(
    indices: np.ndarray, permutation: np.ndarray, batch_size: int, *, drop_last: bool = False
) -> list[np.ndarray]:
    """Cut ``indices[permutation]`` into batches: the same permutation gives the same batches, so an epoch can go on.

    Parameters
    ----------
    indices, permutation : ndarray of int, shape (N,)
        Samples of the epoch, such as what data removal has left of `Task.train_index`, and the order to take them in.
    batch_size : int
    drop_last : bool
        Leave out a last batch that is not full.

    Raises
    ------
    ValueError
        If ``batch_size`` is below 1, or the permutation has another length than the indices.
    """
    if batch_size < 1:
        raise ValueError(f"batch size must be at least 1, got {batch_size}")
    if permutation.shape != indices.shape:
        raise ValueError(f"expected a permutation of {len(indices)} samples, got one of {len(permutation)}")
    shuffled = indices[permutation]
    end = len(shuffled) - len(shuffled) % batch_size if drop_last else len(shuffled)
    return [shuffled[start : start + batch_size] for start in range(0, end, batch_size)]


def _permutation(order: Sequence[int], classes: int) -> tuple[int, ...]:
    try:
        labels = tuple(int(operator.index(label)) for label in order)
    except TypeError:
        labels = ()
    if sorted(labels) != list(range(classes)):
        raise ValueError(f"class order must contain each of 0..{classes - 1} once, got {order!r}")
    return labels


def _task(dataset: Dataset, number: int, classes: tuple[int, ...]) -> Task:
    train_index, test_index = (np.flatnonzero(np.isin(labels, classes)) for labels in (dataset.train_y, dataset.test_y))
    train_index.flags.writeable = test_index.flags.writeable = False
    return Task(number, classes, train_index, test_index)
