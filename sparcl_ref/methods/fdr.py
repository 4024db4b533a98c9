"""FDR, function distance regularisation (Benjamin et al., ICLR 2019): stay near what was said of stored samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.methods.distances import function_distance
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.quotas import even_shares, fdr_quota, keep_and_add
from sparcl_ref.methods.records import Batch, Filling, Observation, Occasion, Passes, TaskData
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.replay import Samples
from sparcl_ref.settings import OwnSettings, setting


class FDR(RehearsalMethod):
    """L = CE~(B) + a mean over B' of `function_distance` to the logits recorded at the end of the samples' task.

    The form of the paper and the code behind the published figures differ in how samples are stored and in how often
    the network is updated: see `differences`.
    """

    title = "FDR"
    draws_per_step = 1
    paper_forwards = 3
    fills = "tasks"
    differences = (
        Difference(
            "updates a batch",
            "one, of the sum",
            "two, of cross-entropy and then of the distance",
            "the distance no longer weighs against cross-entropy: each gets a step of its own",
        ),
        Difference(
            "coefficient",
            "`--alpha`",
            "none: the required alpha is never used",
            "the distance counts more than three times as much as at the default",
        ),
        Difference(
            "logits recorded",
            "in eval mode (this reference's choice)",
            "in train mode",
            "the logits are those of batch statistics, and the running statistics move",
        ),
        Difference(
            "quota after t tasks",
            "buffer // t",
            "buffer // (t - 1); the whole buffer after task 1 (a reconstruction, for t - 1 is 0 there)",
            "nothing is cut after task 2",
        ),
        Difference(
            "new samples",
            "the first of a random order take their share (this reference's choice)",
            "enter by the reservoir's rule, counted from those that were kept",
            "shares are even on average only",
        ),
        Difference("images recorded", "as stored", "augmented (left out here)", "targets of other images"),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        alpha: float = setting(0.3, "coefficient of the distance; mammoth's form has none", at_least=0)
        form: str = setting("paper", "of the paper, or of the code base mammoth", choices=("paper", "mammoth"))

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.form == "mammoth":
                yield "alpha", "--form mammoth"

    @classmethod
    def held_after(cls, settings: Any, sizes: Sequence[int], filling: Filling) -> int:
        if settings.form == "paper":
            return sum(even_shares(filling.capacity, sizes))
        return min(
            filling.capacity,
            sum(min(fdr_quota("mammoth", filling.capacity, t), size) for t, size in enumerate(sizes, start=1)),
        )

    @classmethod
    def by_chance(cls, settings: Any) -> bool:
        return bool(settings.form == "mammoth")

    @classmethod
    def updates_again(cls, settings: Any) -> bool:
        return bool(settings.form == "mammoth")

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "end_task":
            count = min(fdr_quota(settings.form, occasion.capacity, occasion.task), occasion.size)
            least = count % occasion.batch_size or min(count, occasion.batch_size)
            yield Passes("recording", count, backward=False, least=least if settings.form == "mammoth" else 0)

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self.settings.form == "paper" and self.remembers(batch):
            self._approach(step, draws, weight=self.settings.alpha)
        return self._finish(step)

    def after_update(self, batch: Batch, step: Observation, *, draws: Sequence[np.ndarray] | None = None) -> bool:
        if self.settings.form == "paper" or not self.remembers(batch):
            return False
        self.model.zero_grads()
        self._approach(step, draws, weight=1.0)
        return True

    def _approach(self, step: Observation, draws: Sequence[np.ndarray] | None, *, weight: float) -> None:
        old = self._recall(step, draws)
        self._rehearse(step, "distance", old, lambda z: function_distance(z, old.logits), weight=weight)

    def end_task(self, data: TaskData) -> None:
        assert self.own_rng is not None
        form = self.settings.form
        share = fdr_quota(form, self.buffer.capacity, data.task.number)
        order = self.own_rng.permutation(len(data))[:share]
        if form == "paper":
            parts = [self._record(data, part, "eval") for part in _chunks(order, data.batch_size)]
            nothing = np.zeros((0, self.model.classes), dtype=data.dtype)
            keep_and_add(self.buffer, data, order, np.concatenate([nothing, *parts]))
            return
        held = self.buffer.content()
        tasks = range(1, data.task.number)
        kept = np.concatenate([np.zeros(0, int), *(np.flatnonzero(held.tasks == task)[:share] for task in tasks)])
        self.buffer.hold(Samples(*(array[kept] for array in held)))
        for part in _chunks(order, data.batch_size):
            batch, logits = data.take(part), self._record(data, part, "train")
            self.buffer.add(batch.images, batch.labels, logits, task=batch.task, rng=self.own_rng)

    def _record(self, data: TaskData, positions: np.ndarray, mode: Any) -> np.ndarray:
        self.on_pass("recording", len(positions), backward=False)
        return self.model.forward(data.take(positions).x, mode=mode)


def _chunks(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[start : start + size] for start in range(0, len(order), size)]
