"""From a tree of reference layers to a list of compiled steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparcl_ref.fast.conv import SparseConv, kernel_of
from sparcl_ref.fast.gradients import Packing
from sparcl_ref.fast.layout import Layout
from sparcl_ref.fast.nodes import Flat, GlobalMean, MaxPool, Move, Node, Reference, Relu, Value
from sparcl_ref.fast.norm import Norm, NormAdd
from sparcl_ref.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Parameter,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.layers.windows import Window


class Compiler:
    """Walks the layers, collecting nodes; afterwards `fix_layouts` decides where everything lies in memory.

    Shapes are checked here, once: the loops read what the layers promise, without looking at bounds.

    Attributes
    ----------
    nodes : list of Node
        In order of the forward pass.
    """

    def __init__(self, input_shape: tuple[int, int, int], dtype: np.dtype, packings: Mapping[Parameter, Packing]):
        self.nodes: list[Node] = []
        self.dtype = dtype
        self.packings = packings
        self.input = _value(*input_shape)
        self._producer: dict[Value, Node] = {}
        self._strides: dict[Value, int] = {}

    def add(self, layer: Layer, x: Value) -> Value:
        """Compile a layer that reads x; returns what it produces."""
        if isinstance(layer, Sequential):
            return self._chain(_flattened(layer), x)
        if isinstance(layer, Residual) and (fused := self._residual(layer, x)) is not None:
            return fused
        if isinstance(layer, Conv2d | Linear):
            return self._convolution(layer, x)
        shape = x.layout
        if isinstance(layer, BatchNorm2d):
            return self._append(_norm(layer, x, relu=False))
        if isinstance(layer, ReLU):
            return self._append(Relu([x], _like(x)))
        if isinstance(layer, GlobalAvgPool2d):
            return self._append(GlobalMean([x], _value(shape.channels, 1, 1, flat=True)))
        if isinstance(layer, Flatten):
            features = shape.channels * shape.rows * shape.columns
            return self._append(Flat([x], _value(features, 1, 1, flat=True)))
        if isinstance(layer, MaxPool2d):
            window = Window(layer.kernel_size, layer.stride, layer.padding)
            size = window.output_size(layer.label, (shape.rows, shape.columns))
            return self._append(MaxPool([x], _value(shape.channels, *size), layer))
        return self._append(Reference([x], self._probe(layer, x), layer))

    def _append(self, node: Node) -> Value:
        self.nodes.append(node)
        self._producer[node.output] = node
        return node.output

    def _chain(self, layers: list[Layer], x: Value) -> Value:
        position = 0
        while position < len(layers):
            layer = layers[position]
            follower = layers[position + 1] if position + 1 < len(layers) else None
            if isinstance(layer, BatchNorm2d) and isinstance(follower, ReLU):
                x = self._append(_norm(layer, x, relu=True))
                position += 2
            else:
                x = self.add(layer, x)
                position += 1
        return x

    def _residual(self, block: Residual, x: Value) -> Value | None:
        """None if a branch does not end in batch-norm, which sum and ReLU could join."""
        body = _before_norm(block.body)
        if body is None:
            return None
        if block.shortcut is None:
            return self._append(_norm_add(block, [self._chain(body[0], x), x], body[1], None))
        short = _before_norm(block.shortcut)
        if short is None:
            return None
        # The shortcut first, so that backward comes to it last: the body then writes all of dL/dx, and a strided
        # shortcut adds to the few entries that it saw instead of clearing the others.
        side = self._chain(short[0], x)
        y = self._chain(body[0], x)
        return self._append(_norm_add(block, [y, side], body[1], short[1]))

    def _convolution(self, layer: Conv2d | Linear, x: Value) -> Value:
        kernel, packing = kernel_of(layer), self.packings[layer.weight]
        _expect(layer, x, kernel.in_channels, flat=isinstance(layer, Linear))
        stride = kernel.stride[1]
        if isinstance(self._producer.get(x), SparseConv) or self._strides.get(x, stride) != stride:
            # A convolution's gradient needs its own frame and natural order, its successor's input another; and columns
            # can be grouped for one stride only.
            x = self._append(Move([x], _like(x)))
        self._strides[x] = stride
        window = Window(kernel.kernel, kernel.stride, kernel.padding, kernel.dilation)
        size = window.output_size(layer.label, (x.layout.rows, x.layout.columns))
        return self._append(
            SparseConv([x], _value(kernel.out_channels, *size, flat=isinstance(layer, Linear)), layer, packing)
        )

    def _probe(self, layer: Layer, x: Value) -> Value:
        """What a layer without a twin produces, found by trying it on zeros."""
        shape = (x.layout.channels,) if x.flat else (x.layout.channels, x.layout.rows, x.layout.columns)
        y = layer.forward(np.zeros((1, *shape), dtype=self.dtype), mode="eval")
        layer.forget()
        return _value(*(*y.shape[1:], 1, 1)[:3], flat=y.ndim == 2)

    def fix_layouts(self) -> None:
        """Give every value the frame and the column order that the convolutions reading it need."""
        halos: dict[Value, tuple[int, int]] = {}
        for node in self.nodes:
            if isinstance(node, SparseConv):
                x, kernel = node.inputs[0], node.kernel
                before = halos.get(x, (0, 0))
                halos[x] = max(before[0], kernel.padding[0]), max(before[1], kernel.padding[1])
        for value in [self.input, *(node.output for node in self.nodes)]:
            shape = value.layout.channels, value.layout.rows, value.layout.columns
            value.layout = Layout(*shape, halos.get(value, (0, 0)), self._strides.get(value, 1))
            value.gradient = value.layout
        for node in self.nodes:
            if isinstance(node, SparseConv):
                read, written = node.inputs[0].layout, node.output.layout
                halo = node.kernel.gradient_halo((read.rows, read.columns), (written.rows, written.columns))
                node.output.gradient = Layout(written.channels, written.rows, written.columns, halo)


def _value(channels: int, rows: int, columns: int, *, flat: bool = False) -> Value:
    layout = Layout(channels, rows, columns)
    return Value(layout, layout, flat)


def _expect(layer: Layer, x: Value, channels: int, *, flat: bool = False) -> None:
    """Refuse a layer that expects another input than it gets."""
    if (channels, flat) != (x.layout.channels, x.flat):
        expected, got = ("features" if kind else "channels" for kind in (flat, x.flat))
        raise ValueError(
            f"fast.compile: {layer.label} expects {channels} {expected}, but gets {x.layout.channels} {got}"
        )


def _norm(layer: BatchNorm2d, x: Value, *, relu: bool) -> Norm:
    _expect(layer, x, layer.num_features)
    return Norm([x], _like(x), layer, relu=relu)


def _norm_add(block: Residual, inputs: list[Value], layer: BatchNorm2d, shortcut: BatchNorm2d | None) -> NormAdd:
    y, side = inputs
    _expect(layer, y, layer.num_features)
    if shortcut is not None:
        _expect(shortcut, side, shortcut.num_features)
    shapes = [(value.layout.channels, value.layout.rows, value.layout.columns) for value in inputs]
    if shapes[0] != shapes[1]:
        raise ValueError(f"fast.compile: {block.label}: body and shortcut must give the same shape, got {shapes}")
    return NormAdd(inputs, _like(y), layer, shortcut)


def _like(value: Value) -> Value:
    return _value(value.layout.channels, value.layout.rows, value.layout.columns, flat=value.flat)


def _flattened(layer: Layer) -> list[Layer]:
    """The layers of nested Sequentials, in order."""
    if not isinstance(layer, Sequential):
        return [layer]
    return [inner for child in layer.children().values() for inner in _flattened(child)]


def _before_norm(branch: Layer) -> tuple[list[Layer], BatchNorm2d] | None:
    """The layers of a branch before its last, and the last, if that is a batch-norm."""
    *layers, last = _flattened(branch) or [branch]
    return (layers, last) if isinstance(last, BatchNorm2d) else None
