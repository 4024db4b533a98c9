"""DER, dark experience replay (Buzzega et al. 2020): remember what the network said, not only what was right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.losses import mse_logits
from sparcl_ref.methods.base import Batch, Observation, RehearsalMethod


class DER(RehearsalMethod):
    """L = CE~(B) + a MSE(logits(B'), stored logits).

    Parameters
    ----------
    alpha : float
        a. All others as for `RehearsalMethod`.
    """

    title = "DER"
    draws_per_step = 1
    paper_forwards = 2

    def __init__(self, *args, alpha: float = 0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self._remembers(batch):
            old = self._recall(step, draws)
            self._rehearse(step, "replay_mse", old, lambda z: mse_logits(z, old.logits), weight=self.alpha)
        return self._finish(step)
