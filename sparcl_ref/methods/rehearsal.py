"""What methods with a buffer share: the draws of a step and the passes over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparcl_ref.methods.base import LogitsLoss, Method
from sparcl_ref.methods.records import Batch, Observation
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer, Samples


class RehearsalMethod(Method):
    """A method with a buffer. What else it takes goes to `Method`.

    Parameters
    ----------
    prepare : callable
        Raw images to network input: normalisation, and augmentation where the rules say so.
    rng : numpy.random.Generator
        The stream named "replay".
    replay_batch_size : int
        Samples per draw; fewer while the buffer holds fewer.
    replay_from_task : int
        First task during which something is replayed.
    """

    family = "rehearsal"
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
