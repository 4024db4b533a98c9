"""Residual block (He et al. 2016)."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers.base import Layer
from sparcl_ref.layers.relu import relu_backward


class Residual(Layer):
    """``y = relu(body(x) + shortcut(x))``.

    Backward. Let s be the sum inside. ReLU gives dL/ds; a sum hands its gradient unchanged to each of its terms. The
    input reaches the loss through both terms, so their contributions add::

        dL/dx = (dL/ds through body) + (dL/ds through shortcut)

    With the identity as shortcut the second contribution is dL/ds itself, whatever the body does to the first.

    Parameters
    ----------
    body : Layer
        Its parameters are named as if they were the block's own.
    shortcut : Layer or None
        Gives the input the shape of the body's output; None is the identity.

    Raises
    ------
    TypeError
        If body or shortcut is not a layer.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None):
        super().__init__()
        if not isinstance(body, Layer) or not isinstance(shortcut, Layer | None):
            raise TypeError(
                f"Residual: body must be a Layer and shortcut a Layer or None, "
                f"got {type(body).__name__} and {type(shortcut).__name__}"
            )
        self.body = body
        self.shortcut = shortcut

    def children(self) -> dict[str, Layer]:
        return {"": self.body} if self.shortcut is None else {"": self.body, "shortcut": self.shortcut}

    def _forward(self, x, mode):
        main = self.body.forward(x, mode=mode)
        side = x if self.shortcut is None else self.shortcut.forward(x, mode=mode)
        if main.shape != side.shape:
            raise ValueError(
                f"{self._label}: body and shortcut must give the same shape, got {main.shape} and {side.shape}"
            )
        total = main + side
        y = np.maximum(total, 0, out=total)
        return y, y

    def _backward(self, dy, y, need_dx):
        ds = relu_backward(dy, y)
        through_body = self.body.backward(ds, need_dx=need_dx)
        through_shortcut = ds if self.shortcut is None else self.shortcut.backward(ds, need_dx=need_dx)
        return through_body + through_shortcut if need_dx else None
