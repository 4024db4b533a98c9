"""What all methods share: one pass forward and backward, rehearsal, and the record of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.losses import correct, cross_entropy, mean_loss
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer, Samples
from sparcl_ref.settings import OwnSettings
from sparcl_ref.streams import Dataset, Task

#: Maps logits to per-sample losses and the gradient of their mean.
LogitsLoss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Moment = Literal["begin_task", "epoch", "end_task"]
#: Told of a pass: its kind, its samples, and whether gradients were formed.
OnPass = Callable[..., None]


def unheard(kind: str, samples: int, *, backward: bool = True) -> None:
    """An `OnPass` that nobody listens to."""


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
    """

    images: np.ndarray
    x: np.ndarray
    labels: np.ndarray
    classes: tuple[int, ...]
    task: int


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
    dataset : Dataset
    dtype : dtype
        Of the network.
    tasks : int
        Number of tasks in the stream.
    """

    task: Task
    dataset: Dataset
    dtype: DTypeLike
    tasks: int

    def batches(self, size: int) -> Iterator[Batch]:
        """The task's samples in order, normalised and not augmented; the last batch may be short."""
        index = self.task.train_index
        for start in range(0, len(index), size):
            part = index[start : start + size]
            images = self.dataset.train_x[part]
            x = self.dataset.normalise(images, self.dtype)
            yield Batch(images, x, self.dataset.train_y[part], self.task.classes, self.task.number)


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
    held : int
        Samples in the buffer at that moment; of an epoch, when it begins.
    """

    moment: Moment
    task: int
    tasks: int
    samples: int
    steps: int
    held: int


@dataclass(frozen=True)
class Passes:
    """Passes of one kind: how many samples go forward, and whether gradients are formed."""

    kind: str
    samples: int
    backward: bool = True


class Method:
    """A way to learn from a stream: its `observe` computes the gradients of one step.

    The trainer calls the hooks in this order, and can be resumed before each of its events: at a task's begin
    `begin_task`; in each step `observe`, `after_backward`, then gradient masks, the update and the buffer; at a task's
    end `end_task`, then `predict` on all tasks.

    Parameters
    ----------
    model : Network
    head : {"full", "single"}
        Softmax of the loss on the current batch over all logits, or over those of the current task's classes.
    on_pass : callable
        Told of each pass as ``(kind, samples, backward=True)``, for the ledger; kinds are "current", "replay", and
        whatever else the method's `passes` names.
    own_rng : numpy.random.Generator, optional
        A random stream of the method's own, for draws that are none of the usual ones.
    **own
        The method's own settings, see `Settings`.
    """

    title: ClassVar[str]
    #: The method's own settings, shown by ``--help`` under its name and refused by other methods.
    Settings: ClassVar[type[OwnSettings]] = OwnSettings
    rehearses: ClassVar[bool] = False
    #: Independent draws from the buffer in each step.
    draws_per_step: ClassVar[int] = 0
    #: Forward passes of a step as the paper counts them: the batch and what is replayed or recalled beside it.
    paper_forwards: ClassVar[int] = 1
    #: Whether all tasks are learned at once, as one.
    joint: ClassVar[bool] = False
    #: Whether `predict` answers differently when it is told the task, so that Task-IL asks anew.
    predicts_by_task: ClassVar[bool] = False

    def __init__(
        self,
        model: Network,
        *,
        head: str = "full",
        on_pass: OnPass = unheard,
        own_rng: np.random.Generator | None = None,
        **own: Any,
    ):
        if head not in ("full", "single"):
            raise ValueError(f"head must be full or single, got {head!r}")
        self.model = model
        self.head = head
        self.on_pass = on_pass
        self.own_rng = own_rng
        self.settings: Any = self.Settings(**own)

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterable[Passes]:
        """What the method computes at an occasion beyond the batch and its draws; told to ``on_pass`` when it happens.

        A forecast asks before the run, so the answer follows from the settings and the occasion alone.
        """
        return ()

    def begin_task(self, data: TaskData) -> None:
        """A task is about to be learned."""

    def end_task(self, data: TaskData) -> None:
        """A task has been learned and will be evaluated next."""

    def after_backward(self, step: Observation) -> None:
        """Change the gradients of a step, as a projection does, before gradient masks silence some of them."""

    def predict(self, x: np.ndarray, *, task: int | None = None) -> np.ndarray:
        """A score for each class; the highest is the answer. By default the logits, whatever the task.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W)
            Normalised.
        task : int, optional
            From 1; None where the task is not told (Class-IL).

        Returns
        -------
        ndarray, shape (N, classes)
        """
        return self.model.forward(x, mode="eval")

    def remembers(self, batch: Batch) -> bool:
        """Whether there is something to replay beside this batch."""
        return False

    def state(self) -> dict[str, Any]:
        """What the method remembers beyond model and buffer, as plain arrays and JSON values."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        """Compute losses and gradients of one step; update nothing.

        Parameters
        ----------
        batch : Batch
        draws : sequence of ndarray of int, optional
            Buffer slots to replay, one array per draw, instead of random ones.

        Returns
        -------
        Observation

        Raises
        ------
        ValueError
            If the number of draws is not the method's, or a slot is empty.
        """
        raise NotImplementedError  # pragma: no cover

    def _learn(self, batch: Batch) -> Observation:
        """The pass over the current batch with CE~; its gradient is taken, so that replay starts at zero."""
        step = Observation()
        classes = batch.classes if self.head == "single" else None
        self.model.zero_grads()
        step.logits = self._pass(
            "current", batch.x, lambda z: cross_entropy(z, batch.labels, classes=classes), step.losses
        )
        step.correct = correct(step.logits, batch.labels)
        step.current_grads = self.model.take_grads()
        return step

    def _finish(self, step: Observation) -> Observation:
        """Set every gradient to current + replay."""
        if step.draws:
            step.replay_grads = self.model.take_grads()
        self.model.set_grads(step.current_grads, step.replay_grads)
        return step

    def _pass(
        self, term: str, x: np.ndarray, loss: LogitsLoss, losses: dict[str, float], *, weight: float = 1.0
    ) -> np.ndarray:
        """Forward, loss, backward; the weighted mean loss is noted under ``term``. Returns the raw logits."""
        logits = self.model.forward(x, mode="train")
        per_sample, dlogits = loss(logits)
        self.model.backward(dlogits if weight == 1 else weight * dlogits, need_dx=False)
        self.on_pass("current" if term == "current" else "replay", len(x))
        losses[term] = weight * mean_loss(per_sample)
        return logits


class RehearsalMethod(Method):
    """A method with a buffer.

    Parameters
    ----------
    model
        As for `Method`, like the rest.
    buffer : ReservoirBuffer
    prepare : callable
        Raw images to network input: normalisation, and augmentation where the rules say so.
    rng : numpy.random.Generator
        The stream named "replay".
    replay_batch_size : int
        Samples per draw; fewer while the buffer holds fewer.
    replay_from_task : int
        First task during which something is replayed.
    """

    rehearses = True

    def __init__(
        self,
        model: Network,
        *,
        buffer: ReservoirBuffer,
        prepare: Callable[[np.ndarray], np.ndarray] = lambda images: images,
        rng: np.random.Generator,
        replay_batch_size: int = 32,
        replay_from_task: int = 1,
        **rest: Any,
    ):
        super().__init__(model, **rest)
        self.buffer = buffer
        self.prepare = prepare
        self.rng = rng
        self.replay_batch_size = replay_batch_size
        self.replay_from_task = replay_from_task

    def remembers(self, batch: Batch) -> bool:
        return len(self.buffer) > 0 and batch.task >= self.replay_from_task

    def _recall(self, step: Observation, draws: Sequence[np.ndarray] | None) -> Samples:
        """The next independent draw from the buffer, noted in ``step.draws``."""
        if draws is None:
            slots = self.buffer.draw(self.replay_batch_size, self.rng)
        elif len(draws) != self.draws_per_step:
            raise ValueError(f"{self.title}: expected {self.draws_per_step} draws, got {len(draws)}")
        else:
            slots = np.asarray(draws[len(step.draws)])
        step.draws.append(slots)
        return self.buffer.get(slots)

    def _rehearse(self, step: Observation, term: str, samples: Samples, loss: LogitsLoss, *, weight: float) -> None:
        """One pass over replayed samples; its gradient adds to the replay part."""
        self._pass(term, self.prepare(samples.images), loss, step.losses, weight=weight)
