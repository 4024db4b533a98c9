"""Batch normalisation (Ioffe and Szegedy 2015)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.layers.base import Mode, Uncounted
from sparcl_ref.layers.checks import as_count, as_float_dtype, as_number, expect_dtype, expect_shape
from sparcl_ref.layers.costs import Footprint, Load, Shape
from sparcl_ref.layers.parameter import Parameter


class _BatchNorm(Uncounted):
    """Normalise each channel to mean 0 and variance 1, then give it a learned scale and offset.

    Forward, for one channel with its m values x_1..x_m (all samples, all positions)::

        mu    = mean of x
        var   = mean of (x - mu)^2                           biased: divided by m
        r     = 1 / sqrt(var + eps)
        xhat  = (x - mu) * r
        y     = weight * xhat + bias

    Train mode also moves the running estimates that eval mode uses in place of mu and var::

        running_mean = (1 - momentum) * running_mean + momentum * mu
        running_var  = (1 - momentum) * running_var  + momentum * var * m / (m - 1)      unbiased

    Probe mode computes like train mode and moves nothing.

    Backward. The parameters are a scale and an offset, as in a linear layer with one input per channel:

    - dL/dweight = sum of dy * xhat
    - dL/dbias = sum of dy

    In eval mode mu and var are constants, so dL/dx = weight * r * dy.

    In train and probe mode x_i moves its own output, and through mu and var all others. With g = weight * dy for
    dL/dxhat, and d mu / d x_i = 1/m, d var / d x_i = 2 (x_i - mu) / m, d r / d var = -r^3 / 2::

        dL/dx_i = r * g_i  -  r * mean(g)  -  r^3 * (x_i - mu) * mean(g * (x - mu))
                  direct      through mu       through var
                = weight * r * (dy_i - mean(dy) - xhat_i * mean(dy * xhat))

    (The change of var through mu is zero, because deviations from the mean sum to zero.) In words: what remains is dy
    without its component along the constant and along xhat, the two directions in which the output cannot move.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to the variance, positive.
    momentum : float
        Weight of the newest batch in the running estimates, 0..1.
    dtype : numpy dtype
        float32 or float64, of parameters and buffers and therefore of inputs and outputs.

    Attributes
    ----------
    weight, bias : Parameter, shape (num_features,)
        Ones and zeros at first.
    running_mean, running_var : ndarray, shape (num_features,)
        Zeros and ones at first; changed in place only.
    num_batches_tracked : ndarray of int64, shape ()

    Raises
    ------
    ValueError
        If an argument is out of range; in `forward`, if train or probe mode meets a single value per channel.
    TypeError
        If the number of channels is not an integer, eps or momentum no number, or the dtype not supported.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, dtype: DTypeLike = np.float32):
        super().__init__()
        self.num_features = as_count(type(self).__name__, "num_features", num_features)
        self.eps = as_number(self._label, "eps", eps)
        self.momentum = as_number(self._label, "momentum", momentum)
        if not self.eps > 0:
            raise ValueError(f"{self._label}: eps must be positive, got {eps!r}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"{self._label}: momentum must lie in 0..1, got {momentum!r}")
        dtype = as_float_dtype(self._label, dtype)
        self.weight = Parameter("weight", np.ones(self.num_features, dtype))
        self.bias = Parameter("bias", np.zeros(self.num_features, dtype))
        self.running_mean = np.zeros(self.num_features, dtype)
        self.running_var = np.ones(self.num_features, dtype)
        self.num_batches_tracked = np.zeros((), dtype=np.int64)

    def own_parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight, "bias": self.bias}

    def own_buffers(self) -> dict[str, np.ndarray]:
        return {
            "running_mean": self.running_mean,
            "running_var": self.running_var,
            "num_batches_tracked": self.num_batches_tracked,
        }

    def least_samples(self, shape: Shape) -> int:
        return 2 if math.prod(shape[1:]) == 1 else 1

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        return Footprint(kept_bytes=load.size(shape))  # the deviations from the mean

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, bool]]:
        self.output_shape(x.shape[1:])
        expect_dtype(self._label, x, self.weight.value.dtype)
        flat = _flat_positions(x)
        from_batch = mode != "eval"
        if from_batch:
            count = flat.shape[0] * flat.shape[2]
            if count < 2:
                raise ValueError(
                    f"{self._label}: {mode} mode needs more than one value per channel to estimate a variance, "
                    f"got {count} with input shape {x.shape}; use another batch size"
                )
            mean = _channel_sums(flat) / count
            centred = flat - mean[:, np.newaxis]
            var = _channel_sums(centred, centred) / count
            if mode == "train":
                self.track(mean, var * (count / (count - 1)))
        else:
            centred = flat - self.running_mean[:, np.newaxis]
            var = self.running_var
        r = 1 / np.sqrt(var + self.eps)
        y = centred * (self.weight.value * r)[:, np.newaxis]
        y += self.bias.value[:, np.newaxis]
        return y.reshape(x.shape), (centred, r, from_batch)

    def track(self, mean: np.ndarray, unbiased_var: np.ndarray) -> None:
        """Move the running estimates towards a batch's, as `forward` does in train mode; engines call it, too."""
        for running, new in ((self.running_mean, mean), (self.running_var, unbiased_var)):
            running *= 1 - self.momentum
            running += self.momentum * new
        self.num_batches_tracked[...] += 1

    def _backward(self, dy: np.ndarray, cache: tuple[np.ndarray, np.ndarray, bool], need_dx: bool) -> np.ndarray | None:
        centred, r, from_batch = cache
        flat_dy = _flat_positions(dy)
        dbias = _channel_sums(flat_dy)
        dweight = _channel_sums(flat_dy, centred) * r
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        if not need_dx:
            return None
        scale = self.weight.value * r
        dx: np.ndarray = flat_dy * scale[:, np.newaxis]
        if from_batch:
            count = flat_dy.shape[0] * flat_dy.shape[2]
            # The cache is this layer's own array and has served, so the product may take its place.
            dx -= np.multiply(centred, (scale * r * dweight / count)[:, np.newaxis], out=centred)
            dx -= (scale * dbias / count)[:, np.newaxis]
        return dx.reshape(dy.shape)

    @property
    def _label(self) -> str:
        return f"{type(self).__name__}({self.num_features})"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features ``(N, C)`` or sequences ``(N, C, L)``; see `_BatchNorm` for the rest."""

    def output_shape(self, shape: Shape) -> Shape:
        expect_shape(self._label, shape, self.num_features, *(["L"] if len(shape) == 2 else []))
        return shape


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images ``(N, C, H, W)``; see `_BatchNorm` for the rest."""

    def output_shape(self, shape: Shape) -> Shape:
        expect_shape(self._label, shape, self.num_features, "H", "W")
        return shape


def _flat_positions(x: np.ndarray) -> np.ndarray:
    """View an input with any number of position axes as (N, C, positions)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _channel_sums(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Sum an array (N, C, positions), or the product of two, over samples and positions."""
    # One pass over memory and no product array; float64 for the few partial sums keeps float32's long sums accurate.
    partial = np.einsum("nci->nc", a) if b is None else np.einsum("nci,nci->nc", a, b)
    sums: np.ndarray = partial.sum(axis=0, dtype=np.float64).astype(a.dtype)
    return sums
