"""From images to feature vectors."""

from __future__ import annotations

import math

from sparcl_ref.layers.base import Layer


class Flatten(Layer):
    """``(N, ...) -> (N, product of the rest)`` in C order: for images channel by channel, row by row.

    Backward. No number changes, only the index it is found under, so the gradient gets the input's shape back. Both
    directions return a view where the memory layout allows it.
    """

    def _forward(self, x, mode):
        if x.ndim < 2:
            raise ValueError(f"{self._label}: input must have shape (N, ...) with at least 2 axes, got {x.shape}")
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def _backward(self, dy, shape, need_dx):
        return dy.reshape(shape) if need_dx else None
