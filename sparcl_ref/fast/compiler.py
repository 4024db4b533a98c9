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
    NotStatedError,
    Parameter,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.layers.costs import Shape

#: Kinds of layer that are a step of their own, each with that step; the last is for layers without a compiled twin.
TWINS: tuple[tuple[type[Layer], type[Node]], ...] = (
    (ReLU, Relu), (GlobalAvgPool2d, GlobalMean), (Flatten, Flat), (MaxPool2d, MaxPool)
)  # fmt: skip
#: What is compiled; all else is run by the reference layer itself.
COMPILED: tuple[type[Layer], ...] = (Sequential, Residual, Conv2d, Linear, BatchNorm2d, *(kind for kind, _ in TWINS))


def is_compiled(layer: Layer | None) -> bool:
    """Whether a layer computes what a compiled kind does: a subclass may have passes of its own."""
    passes = ("forward", "backward", "_forward", "_backward", "flow", "flow_back")
    return any(
        isinstance(layer, kind) and all(getattr(type(layer), name, 0) is getattr(kind, name, 0) for name in passes)
        for kind in COMPILED
    )


class Compiler:
    """Walks the layers, collecting nodes; afterwards `fix_layouts` decides where everything lies in memory.

    Shapes are checked here, once: the loops read what the layers promise, without looking at bounds.
    """

    def __init__(self, input_shape: tuple[int, int, int], dtype: np.dtype, packings: Mapping[Parameter, Packing]):
        self.nodes: list[Node] = []  # in order of the forward pass
        self.dtype = dtype
        self.packings = packings
        self.input = _value(input_shape)
        self._producer: dict[Value, Node] = {}
        self._strides: dict[Value, int] = {}

    def add(self, layer: Layer, x: Value) -> Value:
        """Compile a layer that reads x; returns what it produces."""
        if not is_compiled(layer):
            return self._append(Reference([x], self._output(layer, x), layer))
        if isinstance(layer, Sequential):
            return self._chain(_flattened(layer), x)
        if isinstance(layer, Residual) and (fused := self._residual(layer, x)) is not None:
            return fused
        if isinstance(layer, Conv2d | Linear):
            return self._convolution(layer, x)
        if isinstance(layer, BatchNorm2d):
            return self._append(_norm(layer, x, relu=False))
        twin = next((node for kind, node in TWINS if isinstance(layer, kind)), Reference)
        return self._append(twin([x], self._output(layer, x), layer))

    def _append(self, node: Node) -> Value:
        self.nodes.append(node)
        self._producer[node.output] = node
        return node.output

    def _chain(self, layers: list[Layer], x: Value) -> Value:
        position = 0
        while position < len(layers):
            layer = layers[position]
            follower = layers[position + 1] if position + 1 < len(layers) else None
            plain = is_compiled(layer) and is_compiled(follower)
            if plain and isinstance(layer, BatchNorm2d) and isinstance(follower, ReLU):
                x = self._append(_norm(layer, x, relu=True))
                position += 2
            else:
                x = self.add(layer, x)
                position += 1
        return x

    def _residual(self, block: Residual, x: Value) -> Value | None:
        """None if a branch does not end in batch-norm, which sum and ReLU could join."""
        body = _before_norm(block.body)
        side_branch = ([], None) if block.shortcut is None else _before_norm(block.shortcut)
        if body is None or side_branch is None:
            return None
        (before, layer), (before_side, shortcut) = body, side_branch
        # The shortcut first, so that backward comes to it last: the body then writes all of dL/dx, and a strided
        # shortcut adds to the few entries that it saw instead of clearing the others.
        side = self._chain(before_side, x)
        y = self._chain(before, x)
        _expect(layer, y, layer.num_features)
        if shortcut is not None:
            _expect(shortcut, side, shortcut.num_features)
        shapes = [value.layout.shape for value in (y, side)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"fast.compile: {block.label}: body and shortcut must give the same shape, got {shapes}")
        return self._append(NormAdd([y, side], _like(y), layer, shortcut))

    def _convolution(self, layer: Conv2d | Linear, x: Value) -> Value:
        kernel = kernel_of(layer)
        _expect(layer, x, kernel.in_channels, flat=isinstance(layer, Linear))
        stride = kernel.stride[1]
        if isinstance(self._producer.get(x), SparseConv) or self._strides.get(x, stride) != stride:
            # A convolution's gradient needs its own frame and natural order, its successor's input another; and columns
            # can be grouped for one stride only.
            x = self._append(Move([x], _like(x)))
        self._strides[x] = stride
        return self._append(SparseConv([x], self._output(layer, x), layer, self.packings[layer.weight]))

    def _output(self, layer: Layer, x: Value) -> Value:
        """What a layer produces; one that does not say is tried on zeros."""
        try:
            return _value(layer.output_shape(_shape(x)))
        except NotStatedError:
            y = layer.forward(np.zeros((1, *_shape(x)), dtype=self.dtype), mode="eval")
            layer.forget()
            return _value(y.shape[1:])

    def fix_layouts(self) -> None:
        """Give every value the frame and the column order that the convolutions reading it need."""
        convolutions = [node for node in self.nodes if isinstance(node, SparseConv)]
        halos: dict[Value, tuple[int, int]] = {}
        for node in convolutions:
            before, padding = halos.get(node.inputs[0], (0, 0)), node.kernel.padding
            halos[node.inputs[0]] = max(before[0], padding[0]), max(before[1], padding[1])
        for value in [self.input, *(node.output for node in self.nodes)]:
            value.layout = Layout(*value.layout.shape, halos.get(value, (0, 0)), self._strides.get(value, 1))
            value.gradient = value.layout
        for node in convolutions:
            written = node.output.layout
            halo = node.kernel.gradient_halo(node.inputs[0].layout.shape[1:], written.shape[1:])
            node.output.gradient = Layout(*written.shape, halo)


def _value(shape: Shape) -> Value:
    """Room for samples of shape (C, H, W) or (features,)."""
    channels, rows, columns = (*shape, 1, 1)[:3]
    layout = Layout(channels, rows, columns)
    return Value(layout, layout, flat=len(shape) == 1)


def _shape(value: Value) -> Shape:
    return value.layout.shape[:1] if value.flat else value.layout.shape


def _like(value: Value) -> Value:
    return _value(_shape(value))


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


def _flattened(layer: Layer) -> list[Layer]:
    """The layers of nested Sequentials, in order."""
    if not (isinstance(layer, Sequential) and is_compiled(layer)):
        return [layer]
    return [inner for child in layer.children().values() for inner in _flattened(child)]


def _before_norm(branch: Layer) -> tuple[list[Layer], BatchNorm2d] | None:
    """The layers of a branch before its last, and the last, if that is a batch-norm."""
    *layers, last = _flattened(branch) or [branch]
    return (layers, last) if isinstance(last, BatchNorm2d) and is_compiled(last) else None
