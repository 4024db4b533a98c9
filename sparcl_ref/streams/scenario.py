"""What a scenario is: a way to make a stream of tasks of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.settings import flag
from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.lazy import Transform, Transformed, with_images
from sparcl_ref.streams.tasks import Stream, Task

#: Tasks of a domain-incremental stream unless told otherwise.
DOMAINS = 5


@dataclass(frozen=True)
class Plan:
    """What is asked of a scenario.

    Attributes
    ----------
    classes_per_task : int
        For tasks that have classes of their own.
    class_order : tuple of int
        Labels in the order in which they arrive.
    domains : int
        Tasks, where each has all classes.
    rng : Generator
        The scenario's own stream of random numbers.
    """

    classes_per_task: int
    class_order: tuple[int, ...]
    domains: int
    rng: np.random.Generator


@dataclass(frozen=True)
class Scenario:
    """A way to make tasks of a data set.

    Attributes
    ----------
    title : str
        For people.
    class_incremental : bool
        Whether each task has classes of its own. If not, all tasks have all classes: Task-IL accuracy, which chooses
        among a task's own classes, and the single head mean nothing then.
    make : callable
        From a `Dataset` and a `Plan` to a `Stream`.
    """

    title: str
    class_incremental: bool
    make: Callable[[Dataset, Plan], Stream]

    def check(self, config: Any) -> None:
        """Refuse settings of a run that have no effect on its tasks, or no meaning for them.

        Raises
        ------
        ValueError
            Naming the setting.
        """
        if self.class_incremental:
            if config.domains is not None:
                raise ValueError(
                    f"--domains needs a stream in which each task has all classes, got --stream {config.stream}; it "
                    "has as many tasks as --classes-per-task makes"
                )
            return
        every = f"every task of --stream {config.stream} has all classes"
        if config.head == "single":
            raise ValueError(f"--head single needs tasks with classes of their own, and {every}; choose --head auto")
        for name in ("class_order", "classes_per_task"):
            if getattr(config, name) != getattr(type(config), name):
                raise ValueError(f"{flag(name)} has no effect where {every}; leave it out")


def domain_incremental(dataset: Dataset, transforms: Sequence[Transform]) -> Stream:
    """A stream whose every task has all classes, and all images of the data set under a transform of its own.

    Images are transformed when they are asked for; training, test and rehearsed ones are under the same transform. A
    transform takes and returns images as stored, shape (N, C, H, W), and leaves its argument alone.
    """
    count, counts = len(transforms), (len(dataset.train_y), len(dataset.test_y))
    parts = {
        "train_x": Transformed(dataset.train_x, transforms),
        "train_y": np.tile(dataset.train_y, count),
        "test_x": Transformed(dataset.test_x, transforms),
        "test_y": np.tile(dataset.test_y, count),
    }
    classes = tuple(range(dataset.classes))
    tasks = tuple(Task(t + 1, classes, *(_block(t, size) for size in counts)) for t in range(count))
    return Stream(with_images(dataset, **parts), classes, tasks=tasks, training=tasks, class_incremental=False)


def _block(number: int, size: int) -> np.ndarray:
    index = np.arange(number * size, (number + 1) * size)
    index.flags.writeable = False
    return index
