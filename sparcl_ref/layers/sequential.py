"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sparcl_ref.layers.base import Layer, Mode
from sparcl_ref.layers.composite import Composite, Join, Value, Visit, VisitBack
from sparcl_ref.layers.costs import Footprint, Load, Shape


class Sequential(Composite):
    """The composition of layers: the output of each is the input of the next.

    Backward. The chain rule, from the last layer to the first: each turns the gradient of its output into that of its
    input, which is the output of the layer before. Only the first layer is ever spared its input's gradient, because
    every other one is needed by a layer before it.

    Parameters
    ----------
    layers : dict of str to Layer, or sequence of Layer
        In order of application. The keys of a dict become parts of parameter names; a sequence's layers are called
        "0", "1", and so on. Without layers the output is the input.

    Raises
    ------
    TypeError
        If an entry is not a layer.
    ValueError
        If a name contains a dot, which separates the parts of parameter names.
    """

    def __init__(self, layers: Mapping[str, Layer] | Sequence[Layer]):
        super().__init__()
        if not isinstance(layers, Mapping):
            layers = {str(index): layer for index, layer in enumerate(layers)}
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: {name!r} must be a Layer, got {type(layer).__name__}")
            if "." in name:
                raise ValueError(f"Sequential: a layer's name must not contain a dot, got {name!r}")
        self.layers: dict[str, Layer] = dict(layers)

    def children(self) -> dict[str, Layer]:
        return dict(self.layers)

    def flow(self, x: Value, visit: Visit[Value], join: Join[Value]) -> Value:
        for name, layer in self.layers.items():
            x = visit(name, layer, x)
        return x

    def flow_back(self, dy: Value, visit: VisitBack[Value], join: Join[Value], need_dx: bool) -> Value | None:
        layers = list(self.layers.values())
        for position in reversed(range(len(layers))):
            dx = visit(layers[position], dy, need_dx or position > 0)
            if dx is None:
                return None
            dy = dx
        return dy if need_dx else None

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        return Footprint()

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, None]:
        return self._through(x, mode), None

    def _backward(self, dy: np.ndarray, cache: None, need_dx: bool) -> np.ndarray | None:
        return self._back_through(dy, need_dx)
