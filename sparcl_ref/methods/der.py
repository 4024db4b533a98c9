"""DER, dark experience replay (Buzzega et al. 2020): remember what the network said, not only what was right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparcl_ref.losses import mse_logits
from sparcl_ref.methods.records import Batch, Observation
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.settings import OwnSettings, setting


class DER(RehearsalMethod):
    """L = CE~(B) + a MSE(logits(B'), stored logits)."""

    title = "DER"
    draws_per_step = 1

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        alpha: float = setting(0.1, "coefficient of the logit loss", at_least=0)

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self.remembers(batch):
            old = self._recall(step, draws)
            self._rehearse(step, "replay_mse", old, lambda z: mse_logits(z, old.logits), weight=self.settings.alpha)
        return self._finish(step)
