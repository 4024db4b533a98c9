"""Peak memory of one pass, by following arrays through a network without allocating them.

Arrays are counted once however many layers keep them by reference, and they live as long as Python lets them: a
stand-in is counted until its last reference is gone, and references are held here by the frames and caches that
`Layer.forward` and `Layer.backward` hold theirs by. What each layer keeps and works in it says itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from sparcl_ref.layers import Composite, Footprint, Layer, Load
from sparcl_ref.layers.costs import Shape


class Meter:
    """Bytes held now and at most."""

    def __init__(self) -> None:
        self.now_bytes = 0
        self.peak_bytes = 0


class Array:
    """A stand-in for an array of a batch: it is metered from its making until nobody refers to it.

    ``shape`` is that of one sample, ``base`` the array whose memory it shares.
    """

    def __init__(self, meter: Meter, shape: Shape, size_bytes: int, *, base: Array | None = None):
        self.shape = shape
        self._base = base
        self._meter = meter
        self._size_bytes = size_bytes
        meter.now_bytes += size_bytes
        meter.peak_bytes = max(meter.peak_bytes, meter.now_bytes)

    def __del__(self) -> None:
        self._meter.now_bytes -= self._size_bytes


class PassPeak(NamedTuple):
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


def pass_peak(body: Layer, shape: Shape, *, batch: int, item_bytes: int = 4) -> PassPeak:
    """Follow one forward and one backward pass in train mode.

    ``body``, the whole network, is asked for shapes and sizes, not computed. ``shape`` is that of one sample of its
    input, ``item_bytes`` 4 for float32, 8 for float64. Raises NotStatedError if a layer does not say its output shape
    or the memory it needs.
    """
    walk = Pass(Load(batch, item_bytes))
    x = walk.array(shape)
    logits = walk.forward(body, x)
    kept = walk.meter.now_bytes
    walk.backward(body, walk.array(logits.shape), need_dx=False)
    return PassPeak(kept_bytes=kept, peak_bytes=walk.meter.peak_bytes)


class Pass:
    """Forward and backward through layers, each of which occurs once."""

    def __init__(self, load: Load):
        self.meter = Meter()
        self._load = load
        self._caches: dict[Layer, tuple[Shape, list[Array]]] = {}

    def array(self, shape: Shape) -> Array:
        """A batch of that shape in the network's dtype."""
        return Array(self.meter, shape, self._load.size(shape))

    def forward(self, layer: Layer, x: Array) -> Array:
        """The layer's output."""
        needs = layer.footprint(x.shape, self._load)
        kept, _working = (Array(self.meter, (), size) for size in (needs.kept_bytes, needs.forward_bytes))
        if isinstance(layer, Composite):
            y = layer.flow(x, lambda _, child, x: self.forward(child, x), self._sum)
        else:
            y = self._result(layer.output_shape(x.shape), x, needs)
        by_reference = [array for array, keeps in ((x, needs.keeps_input), (y, needs.keeps_output)) if keeps]
        self._caches[layer] = x.shape, [kept, *by_reference]
        return y

    def backward(self, layer: Layer, dy: Array, need_dx: bool) -> Array | None:
        """The gradient of the layer's input; what the layer kept is freed when it is done."""
        shape, _cache = self._caches.pop(layer)
        needs = layer.footprint(shape, replace(self._load, need_dx=need_dx))
        if not (need_dx or dict(layer.named_parameters()) or isinstance(layer, Composite)):
            return None  # nothing to do
        _working = Array(self.meter, (), needs.backward_bytes)
        if isinstance(layer, Composite):
            return layer.flow_back(dy, self.backward, self._sum, need_dx)
        return self._result(shape, dy, needs) if need_dx else None

    def _result(self, shape: Shape, given: Array, needs: Footprint) -> Array:
        return Array(self.meter, shape, 0, base=given) if needs.view else self.array(shape)

    def _sum(self, main: Array, side: Array) -> Array:
        return self.array(main.shape)
