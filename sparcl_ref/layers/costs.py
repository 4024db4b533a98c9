"""What a layer says of its own costs: multiply-adds of a sample, bytes of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Of one sample, without the batch axis.
Shape = tuple[int, ...]


class NotStatedError(NotImplementedError):
    """A layer has not said something that only its cost depends on; it trains all the same."""


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of one sample's pass through a layer; one without any states ``MultiplyAdds()``.

    Attributes
    ----------
    per_entry : mapping of str to int
        Name of a parameter within the layer to the products each of its living entries takes part in: as many in the
        forward pass, for the gradient of the input, and, where its gradient is formed, for that of the entry.
    forward, dx : int
        Those without a parameter, such as the products of two activations, in the forward pass and for the gradient
        of the input.
    """

    per_entry: Mapping[str, int] = field(default_factory=dict)
    forward: int = 0
    dx: int = 0


@dataclass(frozen=True)
class Load:
    """What a layer has to do: a batch of so many samples of numbers of so many bytes.

    Attributes
    ----------
    samples, item_bytes : int
    need_dx : bool
        Whether the gradient of the input is asked for.
    """

    samples: int
    item_bytes: int
    need_dx: bool = True

    def size(self, shape: Shape, *, item_bytes: int | None = None) -> int:
        """Bytes of a batch of that shape, in numbers of the batch's kind or of so many bytes."""
        return self.samples * math.prod(shape) * (self.item_bytes if item_bytes is None else item_bytes)

    @property
    def buffer_bytes(self) -> int:
        """What NumPy takes an operand through that is of another type or order than the others: 8192 entries."""
        return 8192 * self.item_bytes


@dataclass(frozen=True)
class Footprint:
    """Bytes a layer needs for one batch beside its input, its output and their gradients; some kilobytes do not count.

    Attributes
    ----------
    keeps_input, keeps_output : bool
        Whether the backward pass uses them, so that they stay until it has ended.
    kept_bytes : int
        Other arrays that stay until then.
    forward_bytes, backward_bytes : int
        The most that is held for work during the forward and the backward pass; what a layer made of layers holds
        while those within work, their own aside.
    view : bool
        Whether the output is the input's own memory, and so for the gradients.
    """

    keeps_input: bool = False
    keeps_output: bool = False
    kept_bytes: int = 0
    forward_bytes: int = 0
    backward_bytes: int = 0
    view: bool = False
