"""Passes through a network whose parameters have other values for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from sparcl_ref.layers import Parameter


@contextmanager
def substituted(values: Mapping[Parameter, np.ndarray]) -> Iterator[None]:
    """Let parameters have these values meanwhile; afterwards they have their own again, to the bit.

    A forward pass and its backward pass belong within, both: parameters know when they change.
    """
    own = {parameter: parameter.value.copy() for parameter in values}
    _assign(values)
    try:
        yield
    finally:
        _assign(own)


def _assign(values: Mapping[Parameter, np.ndarray]) -> None:
    for parameter, value in values.items():
        parameter.value[...] = value
        parameter.changed()
