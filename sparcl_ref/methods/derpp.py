"""DER++ (Buzzega et al. 2020): stored logits and true labels, from two independent draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.losses import cross_entropy, mse_logits
from sparcl_ref.methods.base import Batch, Observation, RehearsalMethod


class DERpp(RehearsalMethod):
    """L = CE~(B) + a MSE(logits(B'), stored logits) + b CE(B'').

    Parameters
    ----------
    alpha, beta : float
        a and b. All others as for `RehearsalMethod`.
    """

    title = "DER++"
    draws_per_step = 2
    paper_forwards = 3

    def __init__(self, *args, alpha: float = 0.1, beta: float = 0.5, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha
        self.beta = beta

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self._remembers(batch):
            dark = self._recall(step, draws)
            self._rehearse(step, "replay_mse", dark, lambda z: mse_logits(z, dark.logits), weight=self.alpha)
            old = self._recall(step, draws)
            self._rehearse(step, "replay_ce", old, lambda z: cross_entropy(z, old.labels), weight=self.beta)
        return self._finish(step)
