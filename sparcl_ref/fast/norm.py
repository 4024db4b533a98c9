"""Batch-norm fused with what follows it: nothing, ReLU, or a residual sum and ReLU."""

from __future__ import annotations

import numpy as np

from sparcl_ref.fast import elementwise
from sparcl_ref.fast.nodes import Node, Pass, Value
from sparcl_ref.layers import BatchNorm2d


class Norm(Node):
    """``relu(batchnorm(y))``, or without ReLU."""

    def __init__(self, inputs: list[Value], output: Value, layer: BatchNorm2d, *, relu: bool):
        super().__init__(inputs, output)
        self.layer = layer
        self.relu = relu

    def forward(self, run):
        y, out = self.inputs[0], self.output
        mean, scale = self._statistics(run, self.layer, y)
        length, (source, target) = run.runs(y.layout, out.layout)
        bias = self.layer.bias.value
        elementwise.normalise(
            run.arrays[y], *source, length, mean, scale, bias, self.relu, run.new(out), *target, run.zero
        )

    def backward(self, run, need_dx):
        self._backward(run, self.layer, self.inputs[0], self.relu)

    def _statistics(self, run: Pass, layer: BatchNorm2d, y: Value) -> tuple[np.ndarray, np.ndarray]:
        """Mean, and weight / standard deviation, of every channel; running statistics move in train mode."""
        mean, var = layer.running_mean.copy(), layer.running_var
        share = 0.0
        if run.mode != "eval":
            length, [(starts, plane)] = run.runs(y.layout)
            count = len(starts) * length
            if count < 2:
                raise ValueError(
                    f"{layer._label}: {run.mode} mode needs more than one value per channel to estimate a variance, "
                    f"got {count}; use another batch size"
                )
            mean, var, share = np.empty_like(mean), np.empty_like(mean), 1 / count
            elementwise.moments(run.arrays[y], starts, plane, length, mean, var, run.zero)
            if run.mode == "train":
                layer._track(mean, var * (count / (count - 1)))
        r = 1 / np.sqrt(var + layer.eps)
        scale = layer.weight.value * r
        run.notes[self, layer] = mean, r, scale, mean.dtype.type(share)
        return mean, scale

    def _backward(self, run: Pass, layer: BatchNorm2d, y: Value, relu: bool) -> None:
        """Gradients of one batch-norm's parameters and input."""
        out = self.output
        length, (upstream, active, source, target) = run.runs(out.gradient, out.layout, y.layout, y.gradient)
        mean, r, scale, share = run.notes.pop((self, layer))
        dweight, dbias = np.empty_like(mean), np.empty_like(mean)
        dy, add = run.new_grad(y)
        if add:
            raise AssertionError("batch-norm's input has one consumer")  # pragma: no cover
        elementwise.normalise_backward(
            run.grads[out], *upstream, run.arrays[out], *active, relu, run.arrays[y], *source, length,
            mean, r, scale, share, dweight, dbias, dy, *target, run.zero,
        )  # fmt: skip
        layer.weight.add_grad(dweight)
        layer.bias.add_grad(dbias)


class NormAdd(Norm):
    """``relu(batchnorm(y) + side)``, side being the block's input or the batch-norm of its shortcut.

    ``inputs`` is [y, side]; ``shortcut`` the layer that normalises side, or None.
    """

    def __init__(self, inputs: list[Value], output: Value, layer: BatchNorm2d, shortcut: BatchNorm2d | None):
        super().__init__(inputs, output, layer, relu=True)
        self.shortcut = shortcut

    def forward(self, run):
        (y, side), out = self.inputs, self.output
        mean, scale = self._statistics(run, self.layer, y)
        target = run.new(out)
        beside, beside_layout = run.arrays[side], side.layout
        if self.shortcut is not None:
            side_mean, side_scale = self._statistics(run, self.shortcut, side)
            length, (source, place) = run.runs(side.layout, out.layout)
            elementwise.normalise(
                run.arrays[side], *source, length, side_mean, side_scale, self.shortcut.bias.value, False,
                target, *place, run.zero,
            )  # fmt: skip
            beside, beside_layout = target, out.layout
        length, (source, beside_place, place) = run.runs(y.layout, beside_layout, out.layout)
        elementwise.normalise_add(
            run.arrays[y], *source, length, mean, scale, self.layer.bias.value, beside, *beside_place,
            target, *place, run.zero,
        )  # fmt: skip

    def backward(self, run, need_dx):
        (y, side), out = self.inputs, self.output
        self._backward(run, self.layer, y, True)
        if self.shortcut is not None:
            self._backward(run, self.shortcut, side, True)
            return
        length, (upstream, active, target) = run.runs(out.gradient, out.layout, side.gradient)
        ds, add = run.new_grad(side)
        elementwise.relu_backward(
            run.grads[out], *upstream, run.arrays[out], *active, length, out.layout.channels, add,
            ds, *target, run.zero,
        )  # fmt: skip
