"""Steps of a compiled network: each reads and writes batch-last buffers of the pass it runs in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparcl_ref.fast import elementwise
from sparcl_ref.fast.layout import Layout, Pool


@dataclass(eq=False)
class Value:
    """What a node produces: the layouts of the activation and of its gradient, and whether it is (N, features)."""

    layout: Layout
    gradient: Layout
    flat: bool = False


@dataclass(eq=False)
class Pass:
    """One forward pass and what its backward pass needs."""

    batch: int
    mode: str
    zero: Any  #: 0 of the activations' dtype
    pool: Pool
    arrays: dict[Value, np.ndarray] = field(default_factory=dict)
    grads: dict[Value, np.ndarray] = field(default_factory=dict)
    notes: dict[Any, Any] = field(default_factory=dict)  #: what each node keeps for its own backward step

    def new(self, value: Value) -> np.ndarray:
        """A buffer for an activation."""
        self.arrays[value] = self.pool.take(value.layout, self.batch)
        return self.arrays[value]

    def new_grad(self, value: Value) -> tuple[np.ndarray, bool]:
        """A buffer for a contribution to a gradient, and whether to add to what is there."""
        if value in self.grads:
            return self.grads[value], True
        self.grads[value] = self.pool.take(value.gradient, self.batch)
        return self.grads[value], False

    def drop(self, value: Value) -> None:
        """Give the buffers of a value back."""
        for arrays, layout in ((self.arrays, value.layout), (self.grads, value.gradient)):
            if value in arrays:
                self.pool.give(arrays.pop(value), layout, self.batch)

    def close(self) -> None:
        """Give all buffers back."""
        for value in [*self.arrays, *self.grads]:
            self.drop(value)
        self.notes.clear()

    def runs(self, *layouts: Layout, by_column: bool = False) -> tuple[int, list[tuple[np.ndarray, int]]]:
        """Length of the runs that all layouts share, and for each its starts and its distance of channels."""
        by_column = by_column or any(layout.phases > 1 for layout in layouts)
        length = self.batch * (1 if by_column else layouts[0].columns)
        return length, [
            (layout.starts(self.batch, by_column=by_column), layout.plane(self.batch)) for layout in layouts
        ]


class Node:
    """One step, of a layer unless it only moves numbers; subclasses define `forward` and `backward`."""

    def __init__(self, inputs: list[Value], output: Value, layer: Any = None):
        self.inputs = inputs
        self.output = output
        self.layer = layer

    def forward(self, run: Pass) -> None:
        """Fill the output's buffer."""
        raise NotImplementedError  # pragma: no cover

    def backward(self, run: Pass, need_dx: bool) -> None:
        """Add to parameters' gradients and, if asked for, to the inputs'."""
        raise NotImplementedError  # pragma: no cover


class Simple(Node):
    """A step cheap enough for NumPy, on images ``(C, H, W, N)``.

    ``_forward(x)`` gives the output, ``_backward(dy, y)`` dL/dx, or something that broadcasts to it.
    """

    def forward(self, run):
        x, y = self.inputs[0], self.output
        y.layout.write(run.new(y), run.batch, self._forward(x.layout.images(run.arrays[x], run.batch)))

    def backward(self, run, need_dx):
        x, y = self.inputs[0], self.output
        if need_dx:
            dy = y.gradient.images(run.grads[y], run.batch)
            dx, add = run.new_grad(x)
            x.gradient.write(dx, run.batch, self._backward(dy, y.layout.images(run.arrays[y], run.batch)), add=add)


class Relu(Simple):
    """``max(x, 0)`` on its own."""

    def _forward(self, x):
        return np.maximum(x, 0)

    def _backward(self, dy, y):
        return dy * (y > 0)


class Move(Simple):
    """The same values in another layout."""

    def _forward(self, x):
        return x

    def _backward(self, dy, y):
        return dy


class Flat(Simple):
    """``(C, H, W)`` as ``(C * H * W, 1, 1)``: the same numbers in the same order."""

    def _forward(self, x):
        return x.reshape(-1, 1, 1, x.shape[3])

    def _backward(self, dy, y):
        return dy.reshape(*self.inputs[0].layout.shape, -1)


class GlobalMean(Simple):
    """Mean of each channel's image."""

    def _forward(self, x):
        return x.mean(axis=(1, 2), keepdims=True)

    def _backward(self, dy, y):
        return dy / (self.inputs[0].layout.rows * self.inputs[0].layout.columns)


class MaxPool(Node):
    """Largest entry of each window."""

    def _geometry(self, run: Pass) -> tuple:
        """What both loops ask about the window and what it slides over."""
        x, y, layer = self.inputs[0].layout, self.output.layout, self.layer
        return y.columns, run.batch, x.channels, layer.kernel_size, layer.stride, layer.padding, x.shape[1:]

    def forward(self, run):
        x, y = self.inputs[0], self.output
        _, (source, target) = run.runs(x.layout, y.layout, by_column=True)
        winner = run.notes[self] = np.zeros(math.prod(y.layout.shape) * run.batch, dtype=np.int32)
        elementwise.window_max(run.arrays[x], *source, *self._geometry(run), run.new(y), *target, winner)

    def backward(self, run, need_dx):
        x, y = self.inputs[0], self.output
        if need_dx:
            _, (upstream, target) = run.runs(y.gradient, x.gradient, by_column=True)
            dx, add = run.new_grad(x)
            if not add:
                dx.fill(0)
            elementwise.window_max_backward(run.grads[y], *upstream, run.notes[self], *self._geometry(run), dx, *target)


class Reference(Node):
    """A layer without a compiled twin: the reference layer itself, between two reorderings. Right, but slow."""

    def forward(self, run):
        x, y = self.inputs[0], self.output
        images = leave(run.arrays[x], x.layout, run.batch)
        result = self.layer.forward(images.reshape(run.batch, -1) if x.flat else images, mode=run.mode)
        enter(result, run.new(y), y.layout)
        run.notes[self] = result.shape

    def backward(self, run, need_dx):
        x, y = self.inputs[0], self.output
        dy = leave(run.grads[y], y.gradient, run.batch).reshape(run.notes[self])
        dx = self.layer.backward(dy, need_dx=need_dx)
        if need_dx:
            target, add = run.new_grad(x)
            enter(dx, target, x.gradient, add=add)


def enter(images: np.ndarray, out: np.ndarray, layout: Layout, *, add: bool = False) -> None:
    """Write (or add) images of shape (N, C, H, W), or as many numbers, to a batch-last buffer."""
    batch = len(images)
    layout.write(out, batch, images.reshape(batch, *layout.shape).transpose(1, 2, 3, 0), add=add)


def leave(x: np.ndarray, layout: Layout, batch: int) -> np.ndarray:
    """Images (N, C, H, W) from a batch-last buffer."""
    return np.ascontiguousarray(layout.images(x, batch).transpose(3, 0, 1, 2))
