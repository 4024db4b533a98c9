"""Gradients of masked parameters as the numbers of their living entries.

At sparsity .95 a dense gradient is twenty times as long as what there is to say. A step holds several, those of the
current batch, of the replayed ones and their sum, and reads or writes each more than once; packed, all of that is
small beside the weights. Whoever wants an array gets one: `Parameter.grad` and `TakenGradients` spread theirs out when
looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange

from sparcl_ref.fast.jit import compiled
from sparcl_ref.layers import Parameter

#: Entries per piece of work.
PIECE = 1 << 15


@dataclass(frozen=True, eq=False)
class PackedGradient:
    """The gradient of some entries of a parameter; of all others it is +0.0."""

    index: np.ndarray  #: flat indices, ascending
    values: np.ndarray

    def spread(self, shape: tuple[int, ...]) -> np.ndarray:
        """As an array of the parameter's shape."""
        grad = np.zeros(shape, dtype=self.values.dtype)
        grad.reshape(-1)[self.index] = self.values
        return grad


Part = np.ndarray | PackedGradient


def packed_gradient(parameter: Parameter) -> PackedGradient | None:
    """The parameter's gradient if it is packed, else None."""
    deferred = parameter.deferred_grad
    return deferred if isinstance(deferred, PackedGradient) else None


@compiled(parallel=True)
def sum_into(target, first, second):
    """``target = first + second``."""
    for piece in prange(-(-target.size // PIECE)):
        low, high = piece * PIECE, min(target.size, (piece + 1) * PIECE)
        total, one, other = target[low:high], first[low:high], second[low:high]
        for i in range(high - low):
            total[i] = one[i] + other[i]


class Packing:
    """Which entries of a parameter have a gradient, looked up again only when a mask has changed."""

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
            self.parameter.defer_grad(PackedGradient(index, np.zeros(len(index), dtype=value.dtype)))

    @property
    def current(self) -> PackedGradient | None:
        """The parameter's gradient if it is packed by the masks as they are now, else None."""
        packed = packed_gradient(self.parameter)
        return packed if packed is not None and packed.index is self.index else None


class TakenGradients(Sequence[np.ndarray]):
    """Gradients handed over, in the order of a network's parameters; each becomes an array when it is looked at."""

    def __init__(self, parts: Sequence[Part], shapes: Sequence[tuple[int, ...]]):
        self.parts = list(parts)
        self._shapes = list(shapes)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[position] for position in range(*place.indices(len(self)))]
        return _spread(self.parts[place], self._shapes[place])


def set_sum(parameter: Parameter, one: Part, other: Part | None) -> None:
    """Set a gradient to one part, or to the sum of two, packed if they are packed alike."""
    if isinstance(one, PackedGradient) and other is None:
        parameter.defer_grad(PackedGradient(one.index, one.values.copy()))
    elif isinstance(one, PackedGradient) and isinstance(other, PackedGradient) and one.index is other.index:
        parameter.defer_grad(PackedGradient(one.index, np.add(one.values, other.values)))
    elif other is None:
        parameter.grad[...] = one
    else:
        first, second = (_spread(part, parameter.value.shape).reshape(-1) for part in (one, other))
        sum_into(parameter.grad.reshape(-1), first, second)


def _spread(part: Part, shape: tuple[int, ...]) -> np.ndarray:
    return part.spread(shape) if isinstance(part, PackedGradient) else part
