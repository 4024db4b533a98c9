"""ER, experience replay: train on new and remembered samples together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.base import Batch, Observation, RehearsalMethod


class ER(RehearsalMethod):
    """L = CE~(B) + w CE(B').

    Parameters
    ----------
    er_weight : float
        w. All others as for `RehearsalMethod`.
    """

    title = "ER"
    draws_per_step = 1
    paper_forwards = 2

    def __init__(self, *args, er_weight: float = 1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.er_weight = er_weight

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self._remembers(batch):
            old = self._recall(step, draws)
            self._rehearse(step, "replay_ce", old, lambda z: cross_entropy(z, old.labels), weight=self.er_weight)
        return self._finish(step)
