"""What passes between a trainer and a method: a batch, what a step found out, a task, and passes beyond batches."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.streams import Dataset, Task

Moment = Literal["begin_task", "epoch", "end_task"]


@dataclass(frozen=True)
class Batch:
    """Samples of the current task.

    Attributes
    ----------
    images : ndarray, shape (N, C, H, W)
        As stored in the data set: what a buffer keeps.
    x : ndarray, shape (N, C, H, W)
        Augmented and normalised: what the network sees.
    labels : ndarray of int, shape (N,)
    classes : tuple of int
        Classes of the current task.
    task : int
        From 1.
    positions : ndarray of int, shape (N,)
        Which of the task's samples they are, before any removal, as `TaskData.take` counts them.
    """

    images: np.ndarray
    x: np.ndarray
    labels: np.ndarray
    classes: tuple[int, ...]
    task: int
    positions: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass
class Observation:
    """What one step found out. Nothing has been updated; every parameter's ``grad`` is current + replay.

    Attributes
    ----------
    losses : dict of str to float
        Mean loss of each term, with its coefficient: "current", "replay_ce", "replay_mse".
    logits : ndarray, shape (N, classes)
        Raw logits of the current batch, before any head mask.
    correct : ndarray of bool, shape (N,)
        Whether the argmax over the whole head is the label.
    current_grads : sequence of ndarray
        Gradient of the loss on the current batch, in the order of ``model.parameters()``.
    replay_grads : sequence of ndarray or None
        Gradient of the whole replay term with its coefficients; None if nothing was replayed.
    draws : list of ndarray of int
        Buffer slots of each replayed batch, in order.
    """

    losses: dict[str, float] = field(default_factory=dict)
    logits: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    correct: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    current_grads: Sequence[np.ndarray] = field(default_factory=list)
    replay_grads: Sequence[np.ndarray] | None = None
    draws: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class TaskData:
    """A task as a method's hooks see it; nothing is copied or computed until it is asked for.

    Attributes
    ----------
    task : Task
        Number (from 1), classes, and indices into the training images.
    dtype : dtype
        Of the network.
    tasks : int
        Number of tasks in the stream.
    batch_size : int
        New samples of a step.
    epochs : int
        Of the task.
    """

    task: Task
    dataset: Dataset
    dtype: DTypeLike
    tasks: int
    batch_size: int
    epochs: int = 1

    def __len__(self) -> int:
        return len(self.task.train_index)

    def batches(self, size: int) -> Iterator[Batch]:
        """The task's samples in order, normalised and not augmented; the last batch may be short."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def take(self, positions: np.ndarray | slice) -> Batch:
        """The task's samples at these positions, counted within the task; normalised and not augmented."""
        part = self.task.train_index[positions]
        images = self.dataset.train_x[part]
        x = self.dataset.normalise(images, self.dtype)
        where = np.arange(len(self))[positions]
        return Batch(images, x, self.dataset.train_y[part], self.task.classes, self.task.number, where)


@dataclass(frozen=True)
class Occasion:
    """When a method may make passes beyond its batches, as a forecast asks for them.

    Attributes
    ----------
    moment : {"begin_task", "epoch", "end_task"}
    task, tasks : int
        From 1, and how many there are.
    samples : int
        Of the task that remain for training at that moment.
    steps : int
        Updates of the epoch; 0 outside one.
    size : int
        Of the task before any removal, with what is merged: what `TaskData.batches` gives.
    held : int
        Samples in the buffer at that moment; of an epoch, when it begins.
    kept : int
        Samples in it after the task, where the method fills it; else as ``held``.
    capacity : int
        Slots of the buffer; 0 without one.
    batch_size : int
        New samples of a step.
    own_classes : bool
        Whether each task has classes of its own.
    epochs : int
        Of each task.
    """

    moment: Moment
    task: int
    tasks: int
    samples: int
    steps: int
    size: int
    held: int
    kept: int
    capacity: int
    batch_size: int
    own_classes: bool = True
    epochs: int = 1


@dataclass(frozen=True)
class Entries:
    """What a network consists of, as far as a method needs it that says itself which weights live.

    Attributes
    ----------
    sizes : mapping of str to int
        Entries of every parameter.
    weights : tuple of str
        Names of the weights of convolutions and linear layers, the classifier's last; empty where they are not known.
    classes, classes_per_task : int
    """

    sizes: Mapping[str, int]
    weights: tuple[str, ...]
    classes: int
    classes_per_task: int


@dataclass(frozen=True)
class Passes:
    """Passes of one kind: how many samples go forward, and whether gradients are formed.

    Attributes
    ----------
    kind : str
    samples : int
    backward : bool
    living : bool
        Whether gradients of all living weights are formed, as within `all_living`, whatever DGM masks in a step.
    head : bool
        Whether only the classifier computes, on features that are known already: forward, and its weights' gradient.
    at_once : int
        Samples that go through together, on which the time hangs; 0 for as many as in the run's batches.
    least : int
        Samples in the smallest batch, where layers normalise by the batch (train mode); 0 where they do not.
    charged : bool
        Whether the published accounting charges them, as it does a step's samples.
    epochs : int
        Of the phase that they are, see `sparcl_ref.methods.phases`; 0 if they are none.
    """

    kind: str
    samples: int
    backward: bool = True
    living: bool = False
    head: bool = False
    at_once: int = 0
    least: int = 0
    charged: bool = False
    epochs: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", operator.index(self.samples))


@dataclass(frozen=True)
class Filling:
    """What decides how far a buffer is filled that takes samples at the end of each task."""

    capacity: int
    batch_size: int
    classes_per_task: int


@dataclass(frozen=True)
class Extent:
    """What the memory of a method is measured by.

    Attributes
    ----------
    parameters, statistics : int
        Trainable entries of the network, and entries of running statistics.
    classes : int
        Width of the head.
    features : int
        Inputs of the classifier.
    sizes : tuple of int
        Samples of each task; empty where they are not known.
    held : tuple of int
        Samples in the buffer before the first task and after each, where the method fills it; else empty.
    item_bytes : int
        Of a number in the network's dtype.
    weights : tuple of int
        Entries of the weight of each convolution and linear layer, the classifier's last.
    biases : tuple of int
        Entries of the bias of each.
    """

    parameters: int
    statistics: int
    classes: int
    features: int
    sizes: tuple[int, ...]
    held: tuple[int, ...]
    item_bytes: int
    weights: tuple[int, ...] = ()
    biases: tuple[int, ...] = ()
