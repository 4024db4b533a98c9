"""What DDR remembers: which samples of the task are left, and how each fared in the running stage."""

from __future__ import annotations

import numpy as np

from . import ddr, released
from .config import Config
from .masks import Margin

FIELDS = ("remaining", "misclassified", "flips", "ever_correct", "previous")


class Removal:
    """Counts per sample and the list of remaining samples.

    Attributes
    ----------
    remaining : (n,) original indices still trained on, ascending
    misclassified : (|D_t|,) times each sample was misclassified in this stage
    flips : (|D_t|,) correct-to-wrong flips in this stage (released rule 7)
    ever_correct : (|D_t|,) bool, correct at least once in this stage
    previous : (|D_t|,) -1 not yet presented in this stage, 0 last wrong, 1 last correct
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.begin(0)

    def begin(self, total: int) -> None:
        """Start a task of `total` samples."""
        self.remaining = np.arange(total)
        self._clear(total)

    def _clear(self, total: int) -> None:
        self.misclassified = np.zeros(total, dtype=np.int64)
        self.flips = np.zeros(total, dtype=np.int64)
        self.ever_correct = np.zeros(total, dtype=bool)
        self.previous = np.full(total, -1, dtype=np.int64)

    def count(self, batch: np.ndarray, correct: np.ndarray) -> None:
        """Note the outcome of the training pass for each sample of a batch."""
        self.misclassified[batch] += ~correct
        self.flips[batch] += (self.previous[batch] == 1) & ~correct
        self.ever_correct[batch] |= correct
        self.previous[batch] = correct

    def close(self, epoch: int) -> Margin | None:
        """When `epoch` ends a stage, remove what is due and count anew; the margin of the removal, if there was one."""
        c, total, margin = self.config, len(self.misclassified), None
        if epoch % c.delta_k != 0:
            return None
        stage = ddr.finished_stage(epoch, delta_k=c.delta_k, epochs=c.epochs)
        if c.sparse and c.ddr and stage is not None and stage <= c.ddr_cutoff:
            if c.released:
                scores = released.ddr_scores(self.flips, self.ever_correct, c.epochs)
                seen = self.previous[self.remaining] >= 0  # only what was presented in the stage can go
                number = released.removed_per_stage(total, c.ddr_rho, c.ddr_cutoff)
                stays, margin = ddr.remove(self.remaining[seen], scores, number)
                self.remaining = np.union1d(stays, self.remaining[~seen])
            else:
                number = ddr.gone(total, c.ddr_rho, stage, c.ddr_cutoff) - (total - len(self.remaining))
                self.remaining, margin = ddr.remove(self.remaining, self.misclassified, number)
        self._clear(total)
        return margin
