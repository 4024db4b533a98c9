"""Dropout (Srivastava et al. 2014), inverted."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers.base import Mode, Uncounted
from sparcl_ref.layers.checks import as_number
from sparcl_ref.layers.costs import Footprint, Load, Shape


class Dropout(Uncounted):
    """Set each entry to zero with probability p while training, and divide the others by 1 - p.

    Forward, in train mode, with k drawn as 0 with probability p and as 1 / (1 - p) otherwise::

        y = k * x

    The expectation of k is 1, so nothing needs to be rescaled in eval and probe mode, where ``y = x``.

    Backward. The draw does not depend on x, so k is a constant factor: dL/dx = k * dL/dy.

    Parameters
    ----------
    p : float
        Probability of dropping an entry, 0 <= p < 1.
    rng : numpy.random.Generator or None
        Source of the draws, needed in train mode when p > 0. Drawn in float32 whatever the input's dtype, so that a
        float32 and a float64 run of the same generator drop the same entries.

    Raises
    ------
    ValueError
        If p is out of range, or (in `forward`) there is no generator to draw from.
    TypeError
        If ``rng`` is neither a generator nor None.
    """

    def __init__(self, p: float, *, rng: np.random.Generator | None):
        super().__init__()
        self.p = as_number("Dropout", "p", p)
        if not 0 <= self.p < 1:
            raise ValueError(f"Dropout: p must satisfy 0 <= p < 1, got {p!r}")
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(f"Dropout: rng must be a numpy.random.Generator or None, got {type(rng).__name__}")
        self.rng = rng

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        """In train mode. Draws are float32 numbers, gone before the output is made; whether kept takes a byte."""
        draws, kept = (load.size(shape, item_bytes=each) for each in (4, 1))
        if self.p == 0:
            return Footprint(view=True)
        return Footprint(kept_bytes=kept, forward_bytes=max(0, draws - load.size(shape)))

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, np.ndarray | None]:
        if mode != "train" or self.p == 0:
            return x, None
        if self.rng is None:
            raise ValueError(f"{self._label}: train mode needs a random generator; build the layer with rng=...")
        kept = self.rng.random(x.shape, dtype=np.float32) >= self.p
        return self._thinned(x, kept), kept

    def _backward(self, dy: np.ndarray, kept: np.ndarray | None, need_dx: bool) -> np.ndarray | None:
        if not need_dx:
            return None
        return dy if kept is None else self._thinned(dy, kept)

    def _thinned(self, array: np.ndarray, kept: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = array * kept
        scaled *= 1 / (1 - self.p)
        return scaled

    @property
    def _label(self) -> str:
        return f"Dropout({self.p:g})"
