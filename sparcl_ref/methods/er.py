"""ER, experience replay: train on new and remembered samples together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.records import Batch, Observation
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.settings import OwnSettings, setting


class ER(RehearsalMethod):
    """L = CE~(B) + w CE(B')."""

    title = "ER"
    draws_per_step = 1

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        er_weight: float = setting(1.0, "coefficient of the replay loss", at_least=0)

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self.remembers(batch):
            old, weight = self._recall(step, draws), self.settings.er_weight
            self._rehearse(step, "replay_ce", old, lambda z: cross_entropy(z, old.labels), weight=weight)
        return self._finish(step)
