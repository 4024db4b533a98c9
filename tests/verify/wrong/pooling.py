"""Wrong activations, poolings and dropout."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tests.verify.wrong.entry import Wrong
from tests.verify.wrong.layers import pair, tensor


def pooled(x, kernel_size, stride, padding, *, function, **options):
    stride = pair(kernel_size if stride is None else stride)
    return function(x, pair(kernel_size), stride, pair(padding), **options)


def pool_gradient(dy, x, kernel_size, stride, padding, *, function, **options):
    x = tensor(x).requires_grad_()
    y = pooled(x, kernel_size, stride, padding, function=function, **options)
    return torch.autograd.grad(y, x, tensor(dy))[0].numpy()


def zero_padded_maximum(x, kernel_size, stride, padding):
    rows, columns = pair(padding)
    x = functional.pad(tensor(x), (columns, columns, rows, rows))
    return pooled(x, kernel_size, stride, 0, function=functional.max_pool2d).numpy()


def ceil_maximum(x, **window):
    return pooled(tensor(x), **window, function=functional.max_pool2d, ceil_mode=True).numpy()


def last_of_equals(dy, x, kernel_size, stride, padding):
    """Turning the image around makes the last winner the first, where the windows still lie alike."""
    size = [n + 2 * p for n, p in zip(x.shape[2:], pair(padding), strict=True)]
    stride = pair(kernel_size if stride is None else stride)
    rest = [(n - k) % s for n, k, s in zip(size, pair(kernel_size), stride, strict=True)]
    rows, columns = (p - r for p, r in zip(pair(padding), rest, strict=True))
    flipped = tensor(x).flip(2, 3).requires_grad_()
    top, left = pair(padding)
    edge = functional.pad(flipped, (columns, left, rows, top), value=-np.inf)
    y = functional.max_pool2d(edge, pair(kernel_size), stride)
    return torch.autograd.grad(y, flipped, tensor(dy).flip(2, 3))[0].flip(2, 3).numpy()


def without_padding_counted(x, **window):
    return pooled(tensor(x), **window, function=functional.avg_pool2d, count_include_pad=False).numpy()


def undivided(dy, x, kernel_size, stride, padding):
    area = np.prod(pair(kernel_size))
    window = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return pool_gradient(dy, x, **window, function=functional.avg_pool2d) * area


WRONG = (
    Wrong(
        "relu-output-ge",
        "layers",
        "relu_backward",
        "the derivative is taken from the output with >=",
        lambda dy, x: np.where(np.maximum(x, 0) >= 0, dy, 0.0),
    ),
    Wrong(
        "relu-half-at-zero",
        "layers",
        "relu_backward",
        "the derivative at 0 is taken as 1/2",
        lambda dy, x: dy * np.heaviside(x, 0.5),
    ),
    Wrong(
        "relu-leaky",
        "layers",
        "relu_forward",
        "a slope of 0.01 is left below 0",
        lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)),
    ),
    Wrong("max-pool-zero-padding", "layers", "max_pool2d_forward", "zeros of the padding can win", zero_padded_maximum),
    Wrong("max-pool-ceil", "layers", "max_pool2d_forward", "windows that leave the image are taken", ceil_maximum),
    Wrong(
        "max-pool-last", "layers", "max_pool2d_backward", "of equal entries the last gets the gradient", last_of_equals
    ),
    Wrong(
        "avg-pool-inside",
        "layers",
        "avg_pool2d_forward",
        "the padding is left out of the mean",
        without_padding_counted,
    ),
    Wrong("avg-pool-undivided", "layers", "avg_pool2d_backward", "the gradient is not divided by the area", undivided),
    Wrong(
        "global-pool-sum",
        "layers",
        "global_avg_pool2d_forward",
        "a sum instead of a mean",
        lambda x: x.sum(axis=(2, 3)),
    ),
    Wrong(
        "global-pool-undivided",
        "layers",
        "global_avg_pool2d_backward",
        "the gradient is not divided by the area",
        lambda dy, x: np.broadcast_to(dy[:, :, None, None], x.shape).copy(),
    ),
    Wrong(
        "dropout-unscaled",
        "layers",
        "dropout_forward",
        "what is kept is not scaled",
        lambda x, keep, p: np.where(keep, x, 0.0),
    ),
    Wrong(
        "dropout-by-p",
        "layers",
        "dropout_backward",
        "the gradient is divided by p, not 1 - p",
        lambda dy, keep, p: np.where(keep, dy / p, 0.0) if p else dy,
    ),
)
