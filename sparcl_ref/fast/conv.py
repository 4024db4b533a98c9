"""Convolution and linear layers that touch living weights only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.fast.geometry import Kernel, backward_windows, forward_window
from sparcl_ref.fast.loops import scatter_add
from sparcl_ref.fast.microkernel import VECTOR_BYTES, WIDE
from sparcl_ref.fast.nodes import Node, Pass, Value
from sparcl_ref.fast.sweep import Sweep, build_sweep
from sparcl_ref.layers import Conv2d, Linear, Parameter

#: Batch sizes whose shifts are kept beside each other.
KEPT_PLANS = 3


def kernel_of(layer: Conv2d | Linear) -> Kernel:
    """The geometry of a layer; a linear one is a 1x1 convolution of a 1x1 image."""
    if isinstance(layer, Linear):
        return Kernel(layer.in_features, layer.out_features)
    return Kernel(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    )


@dataclass(frozen=True)
class Plan:
    """Sweeps of one layer for one state of its masks and one batch size."""

    version: int
    forward: Sweep
    backward: tuple[Sweep, ...]
    weight: Sweep


class SparseConv(Node):
    """A convolution or linear layer as sums of shifted rows, one per living weight.

    - y = sum over living weights of w * (shifted x)
    - dL/dx = sum over living weights of w * (dL/dy shifted the other way)
    - dL/dw = (dL/dy) . (shifted x), formed where the gradient mask is set

    Shifts are derived from the masks once per change of either mask and batch size; values are read at every pass.
    """

    def __init__(self, inputs: list[Value], output: Value, layer: Conv2d | Linear):
        super().__init__(inputs, output)
        self.layer = layer
        self.kernel = kernel_of(layer)
        self._plans: dict[int, Plan] = {}

    def forward(self, run):
        plan = self._plan(run)
        x, y = run.arrays[self.inputs[0]], run.new(self.output)
        plan.forward.gather(x, self.layer.weight.value, y, add=False)
        if self.layer.bias is not None:
            images = self.output.layout.images(y, run.batch)
            images += self.layer.bias.value[:, None, None, None]

    def backward(self, run, need_dx):
        plan = self._plan(run)
        x, dy = run.arrays[self.inputs[0]], run.grads[self.output]
        layout = self.output.gradient
        start = layout.halo[0] * layout.row(run.batch) + layout.column(layout.halo[1]) * run.batch
        dw = plan.weight.dots(x, dy, start=start, row=layout.row(run.batch), plane=layout.plane(run.batch))
        scatter_add(dw, plan.weight.index, self.layer.weight.grad.reshape(-1))
        if self.layer.bias is not None:
            self.layer.bias.add_grad(layout.images(dy, run.batch).sum(axis=(1, 2, 3)))
        if need_dx:
            dx, add = run.new_grad(self.inputs[0])
            for sweep in plan.backward:
                sweep.gather(dy, self.layer.weight.value, dx, add=add)

    def _plan(self, run: Pass) -> Plan:
        weight = self.layer.weight
        plan = self._plans.get(run.batch)
        if plan is None or plan.version != weight.version:
            self._plans = {batch: kept for batch, kept in self._plans.items() if kept.version == weight.version}
            for batch in [*self._plans][: max(0, len(self._plans) - KEPT_PLANS + 1)]:
                del self._plans[batch]
            plan = self._plans[run.batch] = self._build(weight, run.batch)
        return plan

    def _build(self, weight: Parameter, batch: int) -> Plan:
        kernel, x, y = self.kernel, self.inputs[0], self.output
        alive = _living(weight.mask, weight.value.size)
        item = weight.value.itemsize
        tile = WIDE * VECTOR_BYTES // item
        reach = [d * (k - 1) for k, d in zip(kernel.kernel, kernel.dilation, strict=True)]
        seen = kernel.kernel[0] * (tile + reach[1] * batch // kernel.stride[1]) * item

        def sweep(window, flat, channels, reads):
            return build_sweep(window, flat, channels=channels, reads=reads, seen_bytes=seen)

        forward = sweep(
            forward_window(kernel, x.layout, y.layout, batch, alive), alive, kernel.out_channels, kernel.in_channels
        )
        backward = tuple(
            sweep(window, alive, kernel.in_channels, kernel.out_channels)
            for window in backward_windows(kernel, x.gradient, y.gradient, batch, alive)
        )
        learning = forward
        if weight.grad_mask is not None:
            chosen = _living(weight.effective_grad_mask, weight.value.size)
            window = forward_window(kernel, x.layout, y.layout, batch, chosen)
            learning = sweep(window, chosen, kernel.out_channels, kernel.in_channels)
        return Plan(weight.version, forward, backward, learning)


def _living(mask: np.ndarray | None, size: int) -> np.ndarray:
    return np.arange(size) if mask is None else np.flatnonzero(mask)
