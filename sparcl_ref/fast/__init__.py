"""The compiled engine: sparse kernels whose zeros save time.

Importing this package imports Numba; nothing else in sparcl_ref does.
"""

from __future__ import annotations

from sparcl_ref.fast.network import FastNetwork
from sparcl_ref.fast.precompile import prepare
from sparcl_ref.fast.update import CompiledSGD
from sparcl_ref.models import Network

__all__ = ["CompiledSGD", "FastNetwork", "compile", "prepare"]


def compile(model: Network) -> FastNetwork:
    """The compiled twin of a model; parameters and running statistics are shared, not copied. See `FastNetwork`."""
    return FastNetwork(model)
