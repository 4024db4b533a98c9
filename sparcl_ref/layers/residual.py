"""Residual block (He et al. 2016)."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers.base import Layer, Mode
from sparcl_ref.layers.composite import Composite, Join, Value, Visit, VisitBack
from sparcl_ref.layers.costs import Footprint, Load, Shape
from sparcl_ref.layers.relu import relu_backward


class Residual(Composite):
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

    def flow(self, x: Value, visit: Visit[Value], join: Join[Value]) -> Value:
        main = visit("", self.body, x)
        side = x if self.shortcut is None else visit("shortcut", self.shortcut, x)
        return join(main, side)

    def flow_back(self, ds: Value, visit: VisitBack[Value], join: Join[Value], need_dx: bool) -> Value | None:
        through_body = visit(self.body, ds, need_dx)
        through_shortcut = ds if self.shortcut is None else visit(self.shortcut, ds, need_dx)
        if through_body is None or through_shortcut is None:
            return None
        return join(through_body, through_shortcut)

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        # ds is held until both branches have passed it back.
        return Footprint(keeps_output=True, backward_bytes=load.size(self.output_shape(shape)))

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
        total = self._through(x, mode)
        y = np.maximum(total, 0, out=total)
        return y, y

    def _backward(self, dy: np.ndarray, y: np.ndarray, need_dx: bool) -> np.ndarray | None:
        ds = relu_backward(dy, y)
        return self._back_through(ds, need_dx)
