"""One layer's weights over a run: which live, which are silenced, which joined, and how much each counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparcl_ref.groups import mask_of
from sparcl_ref.report.explorer.shown import weights_shown
from sparcl_ref.sparcl.importance import cgi, cwi

if TYPE_CHECKING:
    from sparcl_ref.layers import Parameter
    from sparcl_ref.regime import MaskChange
    from sparcl_ref.trainer import Trainer


@dataclass(frozen=True)
class LayerRecord:
    """One layer's weights at T moments; of n of them, those that are shown, each by itself.

    Attributes
    ----------
    name : str
    shape : tuple of int
    grid : ndarray of int, shape (rows, columns)
        Flat index of each of the n weights that are shown, as they lie on the screen.
    alive, silenced, joined : ndarray of bool, shape (T, n)
        Of the epoch before the moment: which lived in its last step, which of these DGM silenced, and which joined
        before or within it, those included that had left just before. In the grid's order.
    importance, gradient : ndarray of uint8, shape (T, n)
        In which quarter of the layer's living weights each is, 0 the lowest, by equation 1 and by its two gradients
        alone, at the moment; 0 where dead.
    living, silent, came, left : list of int
        Of the whole layer, by moment.
    """

    name: str
    shape: tuple[int, ...]
    grid: np.ndarray
    alive: np.ndarray
    silenced: np.ndarray
    joined: np.ndarray
    importance: np.ndarray
    gradient: np.ndarray
    living: list[int]
    silent: list[int]
    came: list[int]
    left: list[int]


class LayerRecorder:
    """Follows one layer's masks."""

    def __init__(self, trainer: Trainer, parameter: Parameter):
        self.parameter = parameter
        self.chosen = trainer.regime is not None
        self.factors = {"alpha": trainer.config.importance_alpha, "beta": trainer.config.importance_beta}
        self.grid = weights_shown(parameter.value.shape)
        self.mask = mask_of([parameter]).reshape(-1).copy()
        self.joined = np.zeros(self.mask.size, bool)
        self.moved = {"came": 0, "left": 0}
        self.rows: dict[str, list[np.ndarray]] = {
            name: [] for name in ("alive", "silenced", "joined", "importance", "gradient")
        }
        self.counts: dict[str, list[int]] = {name: [] for name in ("living", "silent", "came", "left")}

    def follow(self, change: MaskChange) -> None:
        """Weights that a change names have turned: the living have left, the dead have joined."""
        self._turn(change.indices.get(self.parameter.name, np.zeros(0, dtype=np.int64)))

    def _turn(self, turned: np.ndarray) -> None:
        left = self.mask[turned]
        self.moved["left"] += int(np.count_nonzero(left))
        self.moved["came"] += int(np.count_nonzero(~left))
        self.mask[turned] = ~left
        self.joined[turned] = ~left

    def look(self, task_gradient: np.ndarray, buffer_gradient: np.ndarray) -> None:
        """Write down how the layer stands."""
        parameter = self.parameter
        alive = mask_of([parameter]).reshape(-1)
        # A method that says itself which weights live changes masks without an event.
        self._turn(np.flatnonzero(alive != self.mask))
        formed = parameter.grad_mask
        silenced = np.zeros_like(alive) if formed is None else alive & ~formed.reshape(-1)
        scores = {
            "importance": cwi(parameter.value, task_gradient, buffer_gradient, **self.factors),
            "gradient": cgi(task_gradient, buffer_gradient, **self.factors),
        }
        # Where all weights live, nothing is chosen.
        row = {name: quarters(score.reshape(-1), alive & self.chosen) for name, score in scores.items()}
        row |= {"alive": alive, "silenced": silenced, "joined": self.joined}
        for name, values in row.items():
            self.rows[name].append(values[self.grid.reshape(-1)])
        counts = {"living": int(np.count_nonzero(alive)), "silent": int(np.count_nonzero(silenced)), **self.moved}
        for name, count in counts.items():
            self.counts[name].append(count)
        self.joined[:], self.moved = False, {"came": 0, "left": 0}

    def record(self) -> LayerRecord:
        arrays: Any = {name: np.array(rows) for name, rows in self.rows.items()}
        counts: Any = self.counts
        return LayerRecord(
            self.parameter.name.removesuffix(".weight"), self.parameter.value.shape, self.grid, **arrays, **counts
        )


def quarters(score: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """In which quarter of the living each entry's score is, 0 (lowest) .. 3; equal ones by place, the dead 0."""
    found = np.zeros(score.shape, dtype=np.uint8)
    living = np.flatnonzero(alive)
    order = living[np.argsort(score[living], kind="stable")]
    found[order] = 4 * np.arange(len(order)) // max(1, len(order))
    return found
