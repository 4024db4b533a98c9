"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from sparcl_ref.layers.base import Layer, Mode, Uncounted
from sparcl_ref.layers.costs import Shape

#: What flows through a network: arrays, or, for whoever wants to know about them, shapes or sizes.
Value = TypeVar("Value")
Visit = Callable[[str, Layer, Value], Value]
VisitBack = Callable[[Layer, Value, bool], Value | None]
Join = Callable[[Value, Value], Value]


class Composite(Uncounted):
    """A layer that says how a value flows through its children, and its gradient back through them."""

    def flow(self, x: Value, visit: Visit[Value], join: Join[Value]) -> Value:
        """Pass a value through the children.

        ``visit`` is ``(local name, child, value) -> value``, called in the order of computation; ``join``, called where
        two branches are added, ``(value, value) -> value``.
        """
        raise NotImplementedError  # pragma: no cover

    def flow_back(self, dy: Value, visit: VisitBack[Value], join: Join[Value], need_dx: bool) -> Value | None:
        """Pass a gradient back through the children; ``visit`` is ``(child, gradient, need_dx) -> gradient``."""
        raise NotImplementedError  # pragma: no cover

    def output_shape(self, shape: Shape) -> Shape:
        return self.flow(shape, lambda name, layer, shape: layer.output_shape(shape), self.same_shape)

    def same_shape(self, main: Shape, side: Shape) -> Shape:
        """The shape of the sum of two branches; a ValueError if theirs differ."""
        if main != side:
            raise ValueError(f"{self._label}: body and shortcut must give the same shape, got {main} and {side}")
        return main

    def _through(self, x: np.ndarray, mode: Mode) -> np.ndarray:
        def add(main: np.ndarray, side: np.ndarray) -> np.ndarray:
            self.same_shape(main.shape, side.shape)
            total: np.ndarray = main + side
            return total

        return self.flow(x, lambda name, layer, x: layer.forward(x, mode=mode), add)

    def _back_through(self, dy: np.ndarray, need_dx: bool) -> np.ndarray | None:
        return self.flow_back(dy, lambda layer, dy, need_dx: layer.backward(dy, need_dx=need_dx), np.add, need_dx)
