"""Fine-tuning: the lower bound. Learn each task as it comes and forget the last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.methods.base import Method
from sparcl_ref.methods.records import Batch, Observation


class FineTuning(Method):
    """L = CE~(B)."""

    title = "SGD"
    family = "baselines"

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        return self._finish(self._learn(batch))
