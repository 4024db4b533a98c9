"""Convolution and linear layers that touch living weights only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sparcl_ref.fast.geometry import Kernel, Window, backward_windows, forward_window
from sparcl_ref.fast.gradients import Packing
from sparcl_ref.fast.loops import scatter_add
from sparcl_ref.fast.microkernel import VECTOR_BYTES, WIDE
from sparcl_ref.fast.nodes import Node, Pass, Value
from sparcl_ref.fast.products import MatrixProducts
from sparcl_ref.fast.shifted_sums import ShiftedSums, build_shifted_sums
from sparcl_ref.layers import Conv2d, Linear, Parameter

#: Densities of living weights from which on layers are computed by matrix products, not sums over the living: for
#: outputs and dL/dx, where with AVX-512 the two are about equal even when dense, and for dL/dW, where products win.
#: ``python -m sparcl_ref.bench --only kernels`` measures both ways side by side.
DENSE_FROM = 0.9
DENSE_GRADIENT_FROM = 0.8
#: Matrices with fewer rows or columns gain nothing from BLAS.
SMALLEST_MATRIX = 32
#: Batch sizes whose shifts are kept beside each other.
KEPT_PLANS = 3


def kernel_of(layer: Conv2d | Linear) -> Kernel:
    """The geometry of a layer; a linear one is a 1x1 convolution of a 1x1 image."""
    if isinstance(layer, Linear):
        return Kernel(layer.in_features, layer.out_features)
    channels = layer.in_channels, layer.out_channels
    return Kernel(*channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)


Products = ShiftedSums | MatrixProducts


@dataclass(frozen=True)
class Plan:
    """How one layer is computed, for one state of its masks and one batch size.

    ``place`` says where in the packed gradient each of ``weight``'s numbers belongs; None if all weights have one.
    """

    version: int
    forward: Products
    backward: tuple[Products, ...]
    weight: Products
    place: np.ndarray | None


class SparseConv(Node):
    """A convolution or linear layer as sums of shifted rows, one per living weight.

    - y = sum over living weights of w * (shifted x)
    - dL/dx = sum over living weights of w * (dL/dy shifted the other way)
    - dL/dw = (dL/dy) . (shifted x), formed where the gradient mask is set

    Shifts are derived from the masks once per change of either mask and batch size; values are read at every pass.
    """

    def __init__(self, inputs: list[Value], output: Value, layer: Conv2d | Linear, packing: Packing):
        super().__init__(inputs, output, layer)
        self.kernel = kernel_of(layer)
        self.packing = packing
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
        self._add_gradient(plan, plan.weight.dots(x, dy, **layout.run_place(run.batch)))
        if self.layer.bias is not None:
            self.layer.bias.add_grad(layout.images(dy, run.batch).sum(axis=(1, 2, 3)))
        if need_dx:
            dx, add = run.new_grad(self.inputs[0])
            for products in plan.backward:
                products.gather(dy, self.layer.weight.value, dx, add=add)

    def _add_gradient(self, plan: Plan, dw: np.ndarray) -> None:
        """Put the numbers that ``plan.weight`` gave where they belong."""
        weight, packed = self.layer.weight, self.packing.current
        if isinstance(plan.weight, MatrixProducts):
            if packed is None:
                weight.add_grad(dw.reshape(weight.value.shape))
            else:
                packed.values[...] += dw[packed.index]
        elif packed is None:
            scatter_add(dw, plan.weight.index, weight.grad.reshape(-1))
        else:
            scatter_add(dw, plan.place, packed.values)

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
        kernel = self.kernel
        large = kernel.groups == 1 and min(kernel.in_channels, kernel.out_channels) >= SMALLEST_MATRIX

        def way(active: int, threshold: float) -> Callable[..., tuple[Products, tuple[Products, ...]]]:
            dense = large and active >= threshold * math.prod(kernel.weight_shape)
            return self.matrix_products if dense else self.shifted_sums

        ways = way(weight.active, DENSE_FROM), way(weight.grad_active, DENSE_GRADIENT_FROM)
        forward, backward = ways[0](weight.mask, batch)
        learning = forward
        if ways[1] != ways[0] or weight.effective_grad_mask is not weight.mask:
            learning, _ = ways[1](weight.effective_grad_mask, batch, only_forward=True)
        index, place = self.packing.index, None
        if index is not None and isinstance(learning, ShiftedSums):
            place = np.searchsorted(index, learning.index).astype(np.int32)
        return Plan(weight.version, forward, backward, learning, place)

    def shifted_sums(
        self, mask: np.ndarray | None, batch: int, *, only_forward: bool = False
    ) -> tuple[ShiftedSums, tuple[ShiftedSums, ...]]:
        """Forward and backward sums over the entries of a mask."""
        kernel, item = self.kernel, self.layer.weight.value.itemsize
        flat = np.arange(math.prod(kernel.weight_shape)) if mask is None else np.flatnonzero(mask)
        reach = kernel.dilation[1] * (kernel.kernel[1] - 1)
        seen = kernel.kernel[0] * (WIDE * VECTOR_BYTES // item + reach * batch // kernel.stride[1]) * item

        def build(window: Window, channels: int, reads: int) -> ShiftedSums:
            return build_shifted_sums(window, flat, channels=channels, reads=reads, seen_bytes=seen)

        forward, backward = self._windows(flat, batch, only_forward)
        outs, ins = kernel.out_channels, kernel.in_channels
        return build(forward, outs, ins), tuple(build(window, ins, outs) for window in backward)

    def matrix_products(
        self, mask: np.ndarray | None, batch: int, *, only_forward: bool = False
    ) -> tuple[MatrixProducts, tuple[MatrixProducts, ...]]:
        """Forward and backward products over all entries; those outside the mask are zero."""
        taps = np.arange(math.prod(self.kernel.kernel))  # the weights between the first channels, one per tap
        forward, backward = self._windows(taps, batch, only_forward)
        read, upstream = self.inputs[0].layout.plane(batch), self.output.gradient.plane(batch)
        return MatrixProducts(self.kernel, forward, backward=False, plane=read), tuple(
            MatrixProducts(self.kernel, window, backward=True, plane=upstream) for window in backward
        )

    def _windows(self, flat: np.ndarray, batch: int, only_forward: bool) -> tuple[Window, Iterable[Window]]:
        kernel, x, y = self.kernel, self.inputs[0], self.output
        forward = forward_window(kernel, x.layout, y.layout, batch, flat)
        return forward, () if only_forward else backward_windows(kernel, x.gradient, y.gradient, batch, flat)
