"""Rectified linear unit."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers.base import Mode, Uncounted
from sparcl_ref.layers.costs import Footprint, Load, Shape


class ReLU(Uncounted):
    """``y = max(x, 0)``, entry by entry, on arrays of any shape.

    Backward. Where x > 0 the output moves with the input, elsewhere it stays 0::

        dL/dx = dL/dy  where x > 0,  else 0

    At x = 0 the derivative does not exist; 0 is taken, as PyTorch does. Since x > 0 exactly where y > 0, the output
    is kept instead of the input: the next layer usually keeps that same array as its own input.
    """

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        return Footprint(keeps_output=True, backward_bytes=load.size(shape, item_bytes=1) + load.buffer_bytes)  # y > 0

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
        y = np.maximum(x, 0)  # NaN stays NaN
        return y, y

    def _backward(self, dy: np.ndarray, y: np.ndarray, need_dx: bool) -> np.ndarray | None:
        return relu_backward(dy, y) if need_dx else None


def relu_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dL/dx of ``y = max(x, 0)`` from y."""
    # A product is several times faster than np.where, which branches at every entry.
    return dy * (y > 0)
