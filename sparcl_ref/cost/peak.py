"""Peak memory of one pass, by following the reference engine's arrays through a network without allocating them.

Arrays are counted once however many layers keep them by reference, and they live as long as Python would let them: an
input while the call that received it runs, a cache until its backward pass has returned. What each kind of layer
allocates is said in `sparcl_ref.cost.layer_memory`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparcl_ref.cost.layer_memory import BACKWARD, FORWARD
from sparcl_ref.cost.spec import Node, Shape


@dataclass(eq=False)
class Array:
    """A stand-in for an array: its bytes, and how many hold it."""

    size_bytes: int
    holders: int = 1


class Meter:
    """Bytes held now and at most, with arrays counted while anyone holds them."""

    def __init__(self) -> None:
        self.now_bytes = 0
        self.peak_bytes = 0

    def new(self, size_bytes: int) -> Array:
        """Allocate."""
        self.now_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.now_bytes)
        return Array(size_bytes)

    def hold(self, array: Array) -> Array:
        """One more holder."""
        array.holders += 1
        return array

    def drop(self, array: Array) -> None:
        """One holder less; the last one frees."""
        array.holders -= 1
        if array.holders == 0:
            self.now_bytes -= array.size_bytes

    def work(self, size_bytes: int) -> None:
        """Allocate and free at once."""
        self.drop(self.new(size_bytes))


@dataclass(frozen=True)
class PassPeak:
    """Bytes of one forward and backward pass beside parameters and their gradients.

    Attributes
    ----------
    kept_bytes : int
        Input, logits and what layers keep for their backward passes, when the forward pass has ended.
    peak_bytes : int
        The most held at any time, working space included.
    """

    kept_bytes: int
    peak_bytes: int


def pass_peak(tree: Node, *, batch: int, item_bytes: int = 4) -> PassPeak:
    """Follow one forward and one backward pass.

    Parameters
    ----------
    tree : Node
        The whole network.
    batch : int
        Samples.
    item_bytes : int
        4 for float32, 8 for float64.
    """
    walk = Pass(Meter(), batch, item_bytes)
    x = walk.array(tree.input_shape)
    logits = walk.forward(tree, x)
    kept = walk.meter.now_bytes
    dlogits = walk.array(tree.output_shape)
    walk.backward(tree, dlogits, need_dx=False)
    walk.meter.drop(logits)
    return PassPeak(kept_bytes=kept, peak_bytes=walk.meter.peak_bytes)


class Pass:
    """Forward and backward over a tree of nodes."""

    def __init__(self, meter: Meter, batch: int, item_bytes: int):
        self.meter = meter
        self.batch = batch
        self.item_bytes = item_bytes
        self._kept: dict[int, list[Array]] = {}

    def array(self, shape: Shape) -> Array:
        """A batch of that shape in the network's dtype."""
        return self.meter.new(self.bytes_of(shape))

    def bytes_of(self, shape: Shape, item_bytes: int | None = None) -> int:
        """Bytes of a batch of that shape."""
        return self.batch * math.prod(shape) * (self.item_bytes if item_bytes is None else item_bytes)

    def forward(self, node: Node, x: Array) -> Array:
        """The output; the input stays the caller's."""
        self.meter.hold(x)  # by the call's own frame
        kept, y = FORWARD[node.kind](self, node, x)
        self._kept[id(node)] = kept
        self.meter.drop(x)
        return y

    def backward(self, node: Node, dy: Array, *, need_dx: bool) -> Array | None:
        """The gradient of the input; takes over one hold of ``dy`` and frees the cache."""
        dx = BACKWARD[node.kind](self, node, dy, need_dx)
        self.meter.drop(dy)
        for array in self._kept.pop(id(node)):
            self.meter.drop(array)
        return dx
