"""What each kind of layer of the reference engine allocates, keeps and works in, forward and backward.

A forward rule returns the arrays the layer keeps for its backward pass and its output; a backward rule the gradient of
the input. They follow the methods of the same layers in `sparcl_ref.layers` line by line; small arrays (one number per
channel) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparcl_ref.cost.spec import Node
from sparcl_ref.layers.conv import COLUMN_BYTES

if TYPE_CHECKING:
    from sparcl_ref.cost.peak import Array, Pass

#: NumPy adds strided arrays in place through buffers of this many entries for each of three operands.
BUFFER_ENTRIES = 3 * 8192

Forward = Callable[["Pass", Node, "Array"], tuple[list["Array"], "Array"]]
Backward = Callable[["Pass", Node, "Array", bool], "Array | None"]


def _sequential_forward(p: Pass, node: Node, x: Array):
    p.meter.hold(x)
    for child in node.children:
        y = p.forward(child, x)
        p.meter.drop(x)
        x = y
    return [], x


def _sequential_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    p.meter.hold(dy)
    for position in reversed(range(len(node.children))):
        dy = p.backward(node.children[position], dy, need_dx=need_dx or position > 0)
    return dy


def _residual_forward(p: Pass, node: Node, x: Array):
    main = p.forward(node.children[0], x)
    side = p.forward(node.children[1], x) if len(node.children) == 2 else p.meter.hold(x)
    total = p.array(node.output_shape)
    p.meter.drop(main)
    p.meter.drop(side)
    return [p.meter.hold(total)], total


def _residual_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    ds = _relu_backward(p, node, dy, True)
    parts = [p.backward(child, p.meter.hold(ds), need_dx=need_dx) for child in node.children]
    dx = p.array(node.input_shape) if need_dx else None
    for part in (*parts, ds):
        if part is not None:
            p.meter.drop(part)
    return dx


@dataclass(frozen=True)
class _ConvArrays:
    """Bytes per sample of a convolution's columns, padded input and product, and the samples of its chunks."""

    columns: int
    padded: int
    product: int
    chunks: tuple[int, ...]

    @classmethod
    def of(cls, p: Pass, node: Node) -> _ConvArrays:
        columns = node.input_shape[0] * math.prod(node.kernel) * math.prod(node.output_shape[1:]) * p.item_bytes
        product = math.prod(node.output_shape) * p.item_bytes
        copied = node.kernel != (1, 1) or node.padding != (0, 0)
        padded = _padded_entries(node) * p.item_bytes if copied else 0
        most = max(1, COLUMN_BYTES // (columns + product))
        return cls(columns, padded, product, tuple(min(most, p.batch - i) for i in range(0, p.batch, most)))

    def gather_bytes(self) -> int:
        """While columns are made: the padded copy, and the chunk before until its names are given to the new arrays."""
        before = (0, *self.chunks[:-1])
        pairs = zip(before, self.chunks, strict=True)
        return max(old * (self.columns + self.product) + new * (self.columns + self.padded) for old, new in pairs)


def _padded_entries(node: Node) -> int:
    """Entries of one sample with its frame of zeros."""
    sides = zip(node.input_shape[1:], node.padding, strict=True)
    return node.input_shape[0] * math.prod(size + 2 * padding for size, padding in sides)


def _conv_forward(p: Pass, node: Node, x: Array):
    y = p.array(node.output_shape)
    arrays = _ConvArrays.of(p, node)
    p.meter.work(max(arrays.gather_bytes(), arrays.chunks[0] * (arrays.columns + arrays.product)))
    return [p.meter.hold(x)], y


def _conv_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    dx = p.array(node.input_shape) if need_dx else None
    arrays = _ConvArrays.of(p, node)
    weight = node.weights * p.item_bytes
    largest = arrays.chunks[0]
    multiply = largest * (arrays.columns + arrays.product) + weight
    scatter = largest * (arrays.columns + arrays.product + arrays.padded) + BUFFER_ENTRIES * p.item_bytes
    p.meter.work(weight + max(arrays.gather_bytes(), multiply, scatter if need_dx else 0))
    return dx


def _linear_forward(p: Pass, node: Node, x: Array):
    return [p.meter.hold(x)], p.array(node.output_shape)


def _linear_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    p.meter.work(node.weights * p.item_bytes)
    return p.array(node.input_shape) if need_dx else None


def _norm_forward(p: Pass, node: Node, x: Array):
    centred = p.array(node.input_shape)
    return [centred], p.array(node.output_shape)


def _fresh_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    return p.array(node.input_shape) if need_dx else None


def _relu_forward(p: Pass, node: Node, x: Array):
    y = p.array(node.output_shape)
    return [p.meter.hold(y)], y


def _relu_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    if not need_dx:
        return None
    positive = p.meter.new(p.bytes_of(node.output_shape, 1))
    ds = p.array(node.output_shape)
    p.meter.drop(positive)
    return ds


def _max_pool_forward(p: Pass, node: Node, x: Array):
    p.meter.work(_padding_copy(p, node))
    y = p.array(node.output_shape)
    return [p.meter.hold(x), p.meter.hold(y)], y


def _max_pool_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    if not need_dx:
        return None
    dx = p.array(node.input_shape)
    flags = 3 * p.bytes_of(node.output_shape, 1)
    p.meter.work(2 * _padding_copy(p, node) + flags + p.bytes_of(node.output_shape))
    return dx


def _average_forward(p: Pass, node: Node, x: Array):
    p.meter.work(_padding_copy(p, node))
    return [], p.array(node.output_shape)


def _average_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    if not need_dx:
        return None
    dx = p.array(node.input_shape)
    p.meter.work(p.bytes_of(node.output_shape) + _padding_copy(p, node))
    return dx


def _padding_copy(p: Pass, node: Node) -> int:
    return 0 if node.padding == (0, 0) else p.batch * _padded_entries(node) * p.item_bytes


def _view_forward(p: Pass, node: Node, x: Array):
    return [], p.meter.hold(x)


def _view_backward(p: Pass, node: Node, dy: Array, need_dx: bool):
    return p.meter.hold(dy) if need_dx else None


def _dropout_forward(p: Pass, node: Node, x: Array):
    p.meter.work(p.bytes_of(node.input_shape, 4))
    kept = p.meter.new(p.bytes_of(node.input_shape, 1))
    return [kept], p.array(node.output_shape)


FORWARD: dict[str, Forward] = {
    "Sequential": _sequential_forward,
    "Residual": _residual_forward,
    "Conv2d": _conv_forward,
    "Linear": _linear_forward,
    "BatchNorm1d": _norm_forward,
    "BatchNorm2d": _norm_forward,
    "ReLU": _relu_forward,
    "MaxPool2d": _max_pool_forward,
    "AvgPool2d": _average_forward,
    "GlobalAvgPool2d": _average_forward,
    "Flatten": _view_forward,
    "Dropout": _dropout_forward,
}
BACKWARD: dict[str, Backward] = {
    "Sequential": _sequential_backward,
    "Residual": _residual_backward,
    "Conv2d": _conv_backward,
    "Linear": _linear_backward,
    "BatchNorm1d": _fresh_backward,
    "BatchNorm2d": _fresh_backward,
    "ReLU": _relu_backward,
    "MaxPool2d": _max_pool_backward,
    "AvgPool2d": _average_backward,
    "GlobalAvgPool2d": _average_backward,
    "Flatten": _view_backward,
    "Dropout": _fresh_backward,
}
