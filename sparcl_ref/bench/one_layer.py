"""One compiled convolution on its own, with batch-last buffers in place as inside a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparcl_ref.bench.shapes import ConvShape
from sparcl_ref.fast.conv import SparseConv
from sparcl_ref.fast.gradients import Packing
from sparcl_ref.fast.layout import Layout, Pool
from sparcl_ref.fast.nodes import Pass, Value, enter
from sparcl_ref.layers import Conv2d


class OneLayer:
    """A convolution's node with input and upstream gradient already in the layouts that its neighbours would use.

    Parameters
    ----------
    layer : Conv2d
    shape : ConvShape
    x, dy : ndarray, shape (N, C, H, W)
        Input, and gradient of the output.

    Attributes
    ----------
    node : SparseConv
    x, dy, y, dx : ndarray, one axis
        Buffers, of which `step` uses the first two.
    """

    def __init__(self, layer: Conv2d, shape: ConvShape, x: np.ndarray, dy: np.ndarray):
        pad, side, batch = (shape.kernel // 2,) * 2, shape.out_size, len(x)
        read = Layout(shape.fan_in, shape.size, shape.size, pad, shape.stride)
        written = Layout(shape.fan_out, side, side)
        self._input, self._output = Value(read, read), Value(written, written)
        self._packing = Packing(layer.weight)
        self._need_dx = not shape.first
        self.node = SparseConv([self._input], self._output, layer, self._packing)
        halo = self.node.kernel.gradient_halo((shape.size,) * 2, (side, side))
        self._output.gradient = Layout(shape.fan_out, side, side, halo)
        self._pool = Pool(x.dtype)
        self._run = Pass(batch, "train", x.dtype.type(0), self._pool)
        self.x, self.y = self._pool.take(read, batch), self._pool.take(written, batch)
        self.dy, self.dx = self._pool.take(self._output.gradient, batch), self._pool.take(read, batch)
        enter(x, self.x, read)
        enter(dy, self.dy, self._output.gradient)

    def step(self) -> None:
        """Forward and backward, gradients started at zero."""
        run = self._run
        self._packing.start()
        run.arrays[self._input] = self.x
        self.node.forward(run)
        run.grads[self._output] = self.dy
        self.node.backward(run, self._need_dx)
        self._pool.give(run.arrays.pop(self._output), self._output.layout, run.batch)
        if self._need_dx:
            self._pool.give(run.grads.pop(self._input), self._input.gradient, run.batch)

    def ways(self, *, products: bool) -> dict[str, Callable[[], object]]:
        """Forward, dX and dW as three calls without arguments, by matrix products or by sums over living weights."""
        node, weight, batch = self.node, self.node.layer.weight, self._run.batch
        # The node chooses between the two by density; here both are wanted at every density.
        forward, backward = (node.matrix_products if products else node.shifted_sums)(weight.mask, batch)
        upstream = self._output.gradient
        start = upstream.halo[0] * upstream.row(batch) + upstream.column(upstream.halo[1]) * batch

        def dx() -> None:
            for phase in backward:
                phase.gather(self.dy, weight.value, self.dx, add=False)

        return {
            "forward": lambda: forward.gather(self.x, weight.value, self.y, add=False),
            "dx": dx,
            "dw": lambda: forward.dots(
                self.x, self.dy, start=start, row=upstream.row(batch), plane=upstream.plane(batch)
            ),
        }  # fmt: skip
