"""Gradients of masked parameters as the numbers of their living entries.

At sparsity .95 a dense gradient is twenty times as long as what there is to say. A step holds several, those of the
current batch, of the replayed ones and their sum, and reads or writes each more than once; packed, all of that is
small beside the weights. Whoever wants an array gets one: `Parameter.grad` and `TakenGradients` spread theirs out when
looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.fast.update import sum_into
from sparcl_ref.layers import PackedGradient, Parameter

Part = np.ndarray | PackedGradient


class Packing:
    """Which entries of a parameter have a gradient, looked up again only when a mask has changed.

    Parameters
    ----------
    parameter : Parameter
    """

    def __init__(self, parameter: Parameter):
        self.parameter = parameter
        self._version = -1
        self._index: np.ndarray | None = None

    @property
    def index(self) -> np.ndarray | None:
        """Flat indices, ascending, the same array as long as no mask changes; None if all have a gradient."""
        if self._version != self.parameter.version:
            mask = self.parameter.effective_grad_mask
            self._index = None if mask is None else np.flatnonzero(mask)
            self._version = self.parameter.version
        return self._index

    def start(self) -> None:
        """Set the gradient to zero."""
        index, value = self.index, self.parameter.value
        if index is None:
            self.parameter.grad = np.zeros_like(value)
        else:
            self.parameter.packed_grad = PackedGradient(index, np.zeros(len(index), dtype=value.dtype))

    @property
    def current(self) -> PackedGradient | None:
        """The parameter's gradient if it is packed by the masks as they are now, else None."""
        packed = self.parameter.packed_grad
        return packed if packed is not None and packed.index is self.index else None


class TakenGradients(Sequence[np.ndarray]):
    """Gradients handed over, in the order of a network's parameters; each becomes an array when it is looked at.

    Parameters
    ----------
    parts : sequence of ndarray or PackedGradient
    shapes : sequence of tuple of int
    """

    def __init__(self, parts: Sequence[Part], shapes: Sequence[tuple[int, ...]]):
        self.parts = list(parts)
        self._shapes = list(shapes)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[position] for position in range(*place.indices(len(self)))]
        part = self.parts[place]
        return part.spread(self._shapes[place]) if isinstance(part, PackedGradient) else part


def set_sum(parameter: Parameter, one: Part, other: Part | None) -> None:
    """Set a gradient to one part, or to the sum of two, packed if they are packed alike."""
    parts = [part for part in (one, other) if part is not None]
    if all(isinstance(part, PackedGradient) and part.index is one.index for part in parts):
        values = np.add(one.values, other.values) if other is not None else one.values.copy()
        parameter.packed_grad = PackedGradient(one.index, values)
        return
    first, *rest = (part.spread(parameter.value.shape) if isinstance(part, PackedGradient) else part for part in parts)
    if rest:
        sum_into(parameter.grad.reshape(-1), first.reshape(-1), rest[0].reshape(-1))
    else:
        parameter.grad[...] = first
