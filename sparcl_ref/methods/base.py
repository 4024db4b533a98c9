"""What all methods share: one pass forward and backward, rehearsal, and the record of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sparcl_ref.losses import correct, cross_entropy, mean_loss
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer, Samples

#: Maps logits to per-sample losses and the gradient of their mean.
LogitsLoss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


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
    logits: np.ndarray | None = None
    correct: np.ndarray | None = None
    current_grads: Sequence[np.ndarray] = field(default_factory=list)
    replay_grads: Sequence[np.ndarray] | None = None
    draws: list[np.ndarray] = field(default_factory=list)


class Method:
    """A way to learn from a stream: its `observe` computes the gradients of one step.

    Parameters
    ----------
    model : Network
    head : {"full", "single"}
        Softmax of the loss on the current batch over all logits, or over those of the current task's classes.
    on_pass : callable
        Told of each forward-and-backward pass as ``("current" or "replay", samples)``, for the ledger.
    """

    title: ClassVar[str]
    rehearses: ClassVar[bool] = False
    draws_per_step: ClassVar[int] = 0
    #: Forward passes of a step as the paper counts them: the batch and what is replayed or recalled beside it.
    paper_forwards: ClassVar[int] = 1
    #: Whether all tasks are learned at once, as one.
    joint: ClassVar[bool] = False

    def __init__(
        self, model: Network, *, head: str = "full", on_pass: Callable[[str, int], None] = lambda kind, samples: None
    ):
        if head not in ("full", "single"):
            raise ValueError(f"head must be full or single, got {head!r}")
        self.model = model
        self.head = head
        self.on_pass = on_pass

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
    model, head, on_pass
        As for `Method`.
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
        prepare: Callable[[np.ndarray], np.ndarray],
        rng: np.random.Generator,
        replay_batch_size: int = 32,
        replay_from_task: int = 1,
        head: str = "full",
        on_pass: Callable[[str, int], None] = lambda kind, samples: None,
    ):
        super().__init__(model, head=head, on_pass=on_pass)
        self.buffer = buffer
        self.prepare = prepare
        self.rng = rng
        self.replay_batch_size = replay_batch_size
        self.replay_from_task = replay_from_task

    def _remembers(self, batch: Batch) -> bool:
        """Whether there is something to replay beside this batch."""
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
