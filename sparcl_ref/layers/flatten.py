"""From images to feature vectors."""

from __future__ import annotations

import math

import numpy as np

from sparcl_ref.layers.base import Mode, Uncounted
from sparcl_ref.layers.costs import Footprint, Load, Shape


class Flatten(Uncounted):
    """``(N, ...) -> (N, product of the rest)`` in C order: for images channel by channel, row by row.

    Backward. No number changes, only the index it is found under, so the gradient gets the input's shape back. Both
    directions return a view where the memory layout allows it.
    """

    def output_shape(self, shape: Shape) -> Shape:
        if not shape:
            raise ValueError(f"{self._label}: input must have shape (N, ...) with at least 2 axes, got (N)")
        return (math.prod(shape),)

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        return Footprint(view=True)

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, Shape]:
        return x.reshape(len(x), *self.output_shape(x.shape[1:])), x.shape

    def _backward(self, dy: np.ndarray, shape: Shape, need_dx: bool) -> np.ndarray | None:
        return dy.reshape(shape) if need_dx else None
