"""What the tests of the layers share: PyTorch and finite differences as oracles, and one example of every layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sparcl_ref.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from tests.helpers import assert_close, finite_difference

MODES = ("train", "eval", "probe")


def randomise(layer: Layer, rng: np.random.Generator) -> Layer:
    """Give every parameter and running estimate a random value (positive for variances); returns the layer."""
    for _, parameter in layer.named_parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape)
    for name, buffer in layer.named_buffers():
        if name.endswith("running_mean"):
            buffer[...] = rng.standard_normal(buffer.shape)
        elif name.endswith("running_var"):
            buffer[...] = rng.uniform(0.5, 2.0, buffer.shape)
    return layer


def upstream(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
    """A random dL/dy. Never all ones: batch-norm maps those to zero, which would hide errors."""
    return rng.standard_normal(y.shape).astype(y.dtype)


def spaced(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Distinct float64 entries, 0.05 or more from each other and from 0: a small step crosses no kink and no tie."""
    size = math.prod(shape)
    return rng.permutation(np.arange(size) - size // 2 + 0.5).reshape(shape) * 0.1


def check_against_torch(layer: Layer, function: Callable, x: np.ndarray, dy: np.ndarray, *, mode: str = "train") -> int:
    """Compare output and all gradients of one pass with autograd; returns the number of entries compared.

    ``function`` is the PyTorch counterpart, called with the tensor x and the layer's parameters by name.
    """
    name = type(layer).__name__
    parameters = dict(layer.named_parameters())
    tensors = {key: torch.tensor(parameter.value, requires_grad=True) for key, parameter in parameters.items()}
    torch_x = torch.tensor(x, requires_grad=True)
    torch_y = function(torch_x, **tensors)
    torch_y.backward(torch.tensor(dy))
    compared = assert_close(layer.forward(x, mode=mode), torch_y.detach().numpy(), call=f"{name}.forward")
    compared += assert_close(layer.backward(dy), torch_x.grad.numpy(), call=f"{name}.backward dx")
    for key, parameter in parameters.items():
        compared += assert_close(parameter.grad, tensors[key].grad.numpy(), call=f"{name}.backward d{key}")
    return compared


def check_derivatives(layer: Layer, x: np.ndarray, dy: np.ndarray, *, mode: str = "train") -> None:
    """Compare every gradient of L = sum(dy * y) with central differences.

    rtol 1e-6: the truncation error is ``step**2`` = 4e-11 times a third derivative of at most some hundreds (that of
    batch-norm), the rounding error ``epsilon / step`` = 4e-11 times |L|, of order ten here.
    """
    name = type(layer).__name__

    def loss() -> float:
        return float(np.sum(layer.forward(x, mode=mode) * dy))

    loss()
    dx = layer.backward(dy)
    assert_close(dx, finite_difference(loss, x), call=f"{name} {mode} dx", rtol=1e-6)
    for key, parameter in layer.named_parameters():
        numeric = finite_difference(loss, parameter.value)
        assert_close(parameter.grad, numeric, call=f"{name} {mode} d{key}", rtol=1e-6)


@dataclass(frozen=True)
class Case:
    """One layer on one input, for what must hold of all layers."""

    name: str
    build: Callable[[type], Layer]
    shape: tuple[int, ...]

    def layer(self, dtype: type = np.float64) -> Layer:
        return randomise(self.build(dtype), np.random.default_rng(11))

    def x(self, dtype: type = np.float64, *, seed: int = 5) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal(self.shape).astype(dtype)


def _small_body(dtype: type, channels: int) -> Sequential:
    conv = Conv2d(2, channels, 3, padding=1, bias=False, dtype=dtype)
    return Sequential({"conv": conv, "bn": BatchNorm2d(channels, dtype=dtype)})


IMAGE = (3, 2, 5, 4)
CASES = [
    Case("linear", lambda dtype: Linear(4, 3, dtype=dtype), (5, 4)),
    Case("linear-without-bias", lambda dtype: Linear(4, 3, bias=False, dtype=dtype), (5, 4)),
    Case("conv", lambda dtype: Conv2d(2, 3, 3, stride=2, padding=1, dtype=dtype), IMAGE),
    Case("conv-1x1", lambda dtype: Conv2d(2, 3, 1, stride=2, bias=False, dtype=dtype), IMAGE),
    Case("conv-groups", lambda dtype: Conv2d(2, 4, (2, 3), dilation=(2, 1), groups=2, dtype=dtype), IMAGE),
    Case("batchnorm-features", lambda dtype: BatchNorm1d(4, dtype=dtype), (5, 4)),
    Case("batchnorm-sequences", lambda dtype: BatchNorm1d(4, dtype=dtype), (3, 4, 6)),
    Case("batchnorm-images", lambda dtype: BatchNorm2d(2, dtype=dtype), IMAGE),
    Case("relu", lambda dtype: ReLU(), IMAGE),
    Case("max-pool", lambda dtype: MaxPool2d(2), IMAGE),
    Case("max-pool-overlapping", lambda dtype: MaxPool2d(3, stride=1, padding=1), IMAGE),
    Case("average-pool", lambda dtype: AvgPool2d(2), IMAGE),
    Case("average-pool-overlapping", lambda dtype: AvgPool2d(3, stride=2, padding=1), IMAGE),
    Case("global-average-pool", lambda dtype: GlobalAvgPool2d(), IMAGE),
    Case("flatten", lambda dtype: Flatten(), IMAGE),
    Case("dropout", lambda dtype: Dropout(0.4, rng=np.random.default_rng(3)), IMAGE),
    Case("sequential", lambda dtype: Sequential([_small_body(dtype, 3), ReLU(), Flatten()]), IMAGE),
    Case("sequential-empty", lambda dtype: Sequential([]), IMAGE),
    Case("residual-identity", lambda dtype: Residual(_small_body(dtype, 2)), IMAGE),
    Case("residual-shortcut", lambda dtype: Residual(_small_body(dtype, 3), _small_body(dtype, 3)), IMAGE),
    # Bodies that return their input, or a view of it: nothing may be added to it in place.
    Case("residual-of-nothing", lambda dtype: Residual(Sequential([]), Sequential([])), IMAGE),
]
