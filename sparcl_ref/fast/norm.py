"""Batch-norm fused with what follows it: nothing, ReLU, or a residual sum and ReLU."""

from __future__ import annotations

import numpy as np

from sparcl_ref.fast import elementwise
from sparcl_ref.fast.nodes import Node, Pass, Value
from sparcl_ref.layers import BatchNorm2d


class Norm(Node):
    """``relu(batchnorm(y))``, or without ReLU."""

    def __init__(self, inputs: list[Value], output: Value, layer: BatchNorm2d, *, relu: bool):
        super().__init__(inputs, output, layer)
        self.relu = relu

    def forward(self, run):
        self._normalise(run, self.layer, self.inputs[0], self.relu)

    def backward(self, run, need_dx):
        self._backward(run, self.layer, self.inputs[0], self.relu)

    def _normalise(self, run: Pass, layer: BatchNorm2d, y: Value, relu: bool, side: Value | None = None) -> None:
        """Fill the output from one batch-norm, and what lies in ``side`` if given; running statistics move."""
        out = self.output
        mean, var = layer.running_mean, layer.running_var
        measure = run.mode != "eval"
        target = run.arrays[out] if out in run.arrays else run.new(out)
        beside, layout = (target[:0], out.layout) if side is None else (run.arrays[side], side.layout)
        length, (source, other, place) = run.runs(y.layout, layout, out.layout)
        count = len(source[0]) * length
        if measure:
            if count < 2:
                raise ValueError(
                    f"{layer.label}: {run.mode} mode needs more than one value per channel to estimate a variance, "
                    f"got {count}; use another batch size"
                )
            mean, var = np.empty_like(mean), np.empty_like(var)
        r = np.empty_like(mean)
        elementwise.normalise(
            run.arrays[y], *source, length, measure, mean, var, r, r.dtype.type(layer.eps), layer.weight.value,
            layer.bias.value, relu, beside, *other, target, *place, run.zero,
        )  # fmt: skip
        if run.mode == "train":
            layer.track(mean, var * (count / (count - 1)))
        run.notes[self, layer] = mean.copy(), r, r.dtype.type(1 / count if measure else 0)

    def _backward(self, run: Pass, layer: BatchNorm2d, y: Value, relu: bool) -> None:
        """Gradients of one batch-norm's parameters and input; dL/d(output) becomes what ReLU lets pass of it."""
        out = self.output
        length, (upstream, active, source, target) = run.runs(out.gradient, out.layout, y.layout, y.gradient)
        mean, r, share = run.notes.pop((self, layer))
        dweight, dbias = np.empty_like(mean), np.empty_like(mean)
        total, add = run.new_grad(y)
        # Where another consumer of y has written its share, this one's is formed apart and added.
        dy = run.pool.take(y.gradient, run.batch) if add else total
        elementwise.normalise_backward(
            run.grads[out], *upstream, run.arrays[out], *active, relu, run.arrays[y], *source, length,
            mean, r, layer.weight.value, share, dweight, dbias, dy, *target, run.zero,
        )  # fmt: skip
        layer.weight.add_grad(dweight)
        layer.bias.add_grad(dbias)
        if add:
            elementwise.copy_runs(dy, *target, length, y.layout.channels, True, total, *target)
            run.pool.give(dy, y.gradient, run.batch)


class NormAdd(Norm):
    """``relu(batchnorm(y) + side)``, side being the block's input or the batch-norm of its shortcut.

    ``inputs`` is [y, side]; ``shortcut`` the layer that normalises side, or None.
    """

    def __init__(self, inputs: list[Value], output: Value, layer: BatchNorm2d, shortcut: BatchNorm2d | None):
        super().__init__(inputs, output, layer, relu=True)
        self.shortcut = shortcut

    def forward(self, run):
        y, side = self.inputs
        if self.shortcut is not None:
            self._normalise(run, self.shortcut, side, False)
            side = self.output
        self._normalise(run, self.layer, y, True, side)

    def backward(self, run, need_dx):
        (y, side), out = self.inputs, self.output
        self._backward(run, self.layer, y, True)
        if self.shortcut is not None:
            self._backward(run, self.shortcut, side, False)
        elif side not in run.grads and side.gradient == out.gradient:
            run.grads[side] = run.grads.pop(out)
        else:
            length, (source, target) = run.runs(out.gradient, side.gradient)
            ds, add = run.new_grad(side)
            elementwise.copy_runs(run.grads[out], *source, length, out.layout.channels, add, ds, *target)
