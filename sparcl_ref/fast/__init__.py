"""The compiled engine: sparse kernels whose zeros save time.

Importing this package imports Numba; nothing else in sparcl_ref does.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.fast.network import FastNetwork
from sparcl_ref.fast.one_convolution import OneConvolution, conv2d, conv2d_backward
from sparcl_ref.fast.update import CompiledSGD
from sparcl_ref.models import Network, build_model

__all__ = ["CompiledSGD", "FastNetwork", "OneConvolution", "compile", "conv2d", "conv2d_backward", "prepare"]

#: Small networks that together hold every step the engine has; the last is wide enough for matrix products.
MODELS = (("resnet18", (3, 8, 8), 4), ("convnet", (1, 8, 8), 8), ("mlp", (1, 8, 8), 64))
#: The optimiser with and without a velocity.
MOMENTA = (0.0, 0.9)


def compile(model: Network) -> FastNetwork:
    """The compiled twin of a model; parameters and running statistics are shared, not copied. See `FastNetwork`."""
    return FastNetwork(model)


def prepare(dtype: DTypeLike) -> float:
    """Compile all that training in a dtype runs, or load it where an earlier run left it; returns the seconds it took.

    So the wait can be announced, and is no part of what is measured. Machine code is kept beside the package, or in the
    folder that the environment variable ``NUMBA_CACHE_DIR`` names.
    """
    start = time.perf_counter()
    for name, input_shape, width in MODELS:
        for momentum in MOMENTA:
            _train_once(name, input_shape, width, np.dtype(dtype), momentum)
    return time.perf_counter() - start


def _train_once(name: str, input_shape: tuple[int, int, int], width: int, dtype: np.dtype, momentum: float) -> None:
    """Two passes, an update and an evaluation, first dense, then with masks of both kinds."""
    rng = np.random.default_rng(0)
    network = FastNetwork(build_model(name, input_shape=input_shape, classes=2, width=width, dtype=dtype, rng=rng))
    optimizer = CompiledSGD(network.parameters(), momentum=momentum)
    images = rng.standard_normal((3, *input_shape)).astype(dtype)
    for masked in (False, True):
        for parameter in network.sparsifiable() if masked else ():
            mask = rng.random(parameter.value.shape) < 0.5
            parameter.set_mask(mask)
            parameter.set_grad_mask(mask & (rng.random(mask.shape) < 0.5))
        network.zero_grads()
        taken = []
        for _ in range(2):
            logits = network.forward(images, mode="train")
            network.backward(logits, need_dx=False)
            taken.append(network.take_grads())
        network.set_grads(*taken)
        optimizer.step(0.0)
    network.forward(images, mode="eval")
