"""DER++ (Buzzega et al. 2020): stored logits and true labels, from two independent draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparcl_ref.losses import cross_entropy, mse_logits
from sparcl_ref.methods.records import Batch, Observation
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.settings import OwnSettings, setting


class DERpp(RehearsalMethod):
    """L = CE~(B) + a MSE(logits(B'), stored logits) + b CE(B'')."""

    title = "DER++"
    draws_per_step = 2

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        alpha: float = setting(0.1, "coefficient of the logit loss", at_least=0)
        beta: float = setting(0.5, "coefficient of the label loss", at_least=0)

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self.remembers(batch):
            dark = self._recall(step, draws)
            self._rehearse(step, "replay_mse", dark, lambda z: mse_logits(z, dark.logits), weight=self.settings.alpha)
            old = self._recall(step, draws)
            self._rehearse(step, "replay_ce", old, lambda z: cross_entropy(z, old.labels), weight=self.settings.beta)
        return self._finish(step)
