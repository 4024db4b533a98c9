"""What a backward pass relies on: arrays that nobody has changed since the forward pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from sparcl_ref.layers.parameter import Parameter

_DIGESTS = ContextVar("_DIGESTS", default=False)


@contextmanager
def debug() -> Iterator[None]:
    """Within it, every layer checks at its backward pass that no array has changed since its forward pass.

    A change of weights by an optimiser, a mask or a state is always noticed, since a parameter counts those. A write
    into an array itself, such as ``x[...] = 0`` to a reused batch or ``parameter.value[...] = 0``, is noticed here
    only: each layer takes a digest of its input, its output and its parameters. Numbers stay the same to the bit; a
    pass reads every array twice more, and outputs are held until the backward pass. Both passes must be made within.

    Examples
    --------
    >>> from sparcl_ref.layers import Linear
    >>> layer = Linear(2, 1)
    >>> with debug():
    ...     x = np.ones((1, 2), np.float32)
    ...     y = layer.forward(x, mode="train")
    ...     x[...] = 0
    ...     layer.backward(np.ones_like(y))
    Traceback (most recent call last):
      ...
    RuntimeError: Linear(2->1): the input has changed since the forward pass; leave it alone until backward or copy it
    """
    token = _DIGESTS.set(True)
    try:
        yield
    finally:
        _DIGESTS.reset(token)


@dataclass(frozen=True)
class Unchanged:
    """The arrays of a layer's forward pass as they were then."""

    changes: tuple[tuple[Parameter, int], ...]
    digests: tuple[tuple[str, np.ndarray, bytes], ...]

    @classmethod
    def since_now(cls, x: np.ndarray, y: np.ndarray, parameters: Iterable[Parameter]) -> Unchanged:
        """Note how an input, an output and parameters are; their contents within `debug` only."""
        changes = tuple((parameter, parameter.changes) for parameter in parameters)
        if not _DIGESTS.get():
            return cls(changes, ())
        arrays = [(f"parameter {parameter.name}", parameter.value) for parameter, _ in changes]
        arrays += [("the input", x), ("the output", y)]
        return cls(changes, tuple((what, array, _digest(array)) for what, array in arrays))

    def check(self, label: str) -> None:
        """Raise a RuntimeError that names the layer by ``label`` and what has changed, if anything has."""
        for parameter, changes in self.changes:
            if parameter.changes != changes:
                raise RuntimeError(
                    f"{label}: parameter {parameter.name} has changed since the forward pass; call backward before "
                    "updating, masking or loading weights, or forward again"
                )
        for what, array, digest in self.digests:
            if _digest(array) != digest:
                raise RuntimeError(
                    f"{label}: {what} has changed since the forward pass; leave it alone until backward or copy it"
                )


def _digest(array: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
