"""A-GEM, averaged gradient episodic memory (Chaudhry et al., ICLR 2019): no step may raise the loss on the past.

g is the gradient on the batch, r that on samples of earlier tasks. Where they point apart, g loses its part along r.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.quotas import even_shares, keep_and_add
from sparcl_ref.methods.records import Batch, Filling, Observation, TaskData
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.settings import OwnSettings, setting


def dot(one: Iterable[np.ndarray], other: Iterable[np.ndarray]) -> float:
    """The inner product of two lists of arrays as one vector each, summed in float64."""
    pairs = zip(one, other, strict=True)
    return float(sum(np.vdot(a.astype(np.float64), b.astype(np.float64)) for a, b in pairs))


def overlap(gradient: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """How much of r is in g, (g.r) / (r.r), where that is negative; else 0, also where r is 0."""
    product = dot(gradient, reference)
    return product / dot(reference, reference) if product < 0 else 0.0


def project(gradient: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> list[np.ndarray]:
    """g - (g.r) / (r.r) r over all arrays as one vector if g.r < 0, else g itself (equation 11 of the paper).

    The result is at right angles to r and no longer than g; the length of r does not matter.
    """
    share = overlap(gradient, reference)
    if share == 0:
        return list(gradient)
    return [g - share * r for g, r in zip(gradient, reference, strict=True)]


class AGEM(RehearsalMethod):
    """The gradient of CE~(B), projected by that of CE on samples of earlier tasks.

    The memory changes at the end of a task, as `differences` say. Under sparsity the vectors consist of the entries
    whose gradient is formed.
    """

    title = "A-GEM"
    draws_per_step = 1
    fills = "tasks"
    differences = (
        Difference(
            "what is remembered",
            "equal shares of all tasks seen, drawn at random when a task ends (this reference's choice; the paper "
            "fills the memory during a task and uses it from the next one on, as remembered)",
            "one batch of each task, by the reservoir's rule",
            "most of a large memory stays empty: 160 samples after five tasks with batches of 32",
        ),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        form: str = setting("paper", "of the paper, or of the code base mammoth", choices=("paper", "mammoth"))

    @classmethod
    def held_after(cls, settings: Any, sizes: Sequence[int], filling: Filling) -> int:
        if settings.form == "mammoth":
            return min(filling.capacity, sum(min(filling.batch_size, size) for size in sizes))
        return sum(even_shares(filling.capacity, sizes))

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if not self.remembers(batch):
            return self._finish(step)
        old = self._recall(step, draws)
        self._rehearse(step, "replay_ce", old, lambda z: cross_entropy(z, old.labels), weight=1.0)
        step.replay_grads = self.model.take_grads()
        self.model.set_grads(step.current_grads)
        return step

    def after_backward(self, step: Observation) -> None:
        if step.replay_grads is None:
            return
        share = overlap(step.current_grads, step.replay_grads)
        if share:
            self.model.set_grads(project(step.current_grads, step.replay_grads))

    def end_task(self, data: TaskData) -> None:
        assert self.own_rng is not None
        order = self.own_rng.permutation(len(data))
        if self.settings.form == "paper":
            keep_and_add(self.buffer, data, order)
            return
        batch = data.take(order[: data.batch_size])
        no_logits = np.zeros((len(batch.labels), self.model.classes), dtype=data.dtype)
        self.buffer.add(batch.images, batch.labels, no_logits, task=batch.task, rng=self.own_rng)
