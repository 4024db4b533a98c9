"""Maximum, average and global average pooling."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import DX, DY, PADDING, X, Y, through
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, scaled

_WINDOW = (
    Argument("kernel_size", "int, or [rows, columns]"),
    Argument("stride", "int, or [rows, columns], or None for the kernel size", None),
    PADDING,
)


def max_pool2d_forward(x, kernel_size, stride, padding):
    return layers.MaxPool2d(kernel_size, stride=stride, padding=padding).forward(x, mode="train")


def max_pool2d_backward(dy, x, kernel_size, stride, padding):
    return through(layers.MaxPool2d(kernel_size, stride=stride, padding=padding), x, dy)


def avg_pool2d_forward(x, kernel_size, stride, padding):
    return layers.AvgPool2d(kernel_size, stride=stride, padding=padding).forward(x, mode="train")


def avg_pool2d_backward(dy, x, kernel_size, stride, padding):
    return through(layers.AvgPool2d(kernel_size, stride=stride, padding=padding), x, dy)


def global_avg_pool2d_forward(x):
    return layers.GlobalAvgPool2d().forward(x, mode="train")


def global_avg_pool2d_backward(dy, x):
    return through(layers.GlobalAvgPool2d(), x, dy)


def _windows(x, kernel_size, stride, padding, fill):
    """Padded input and, for each output position, its window's slices."""
    kh, kw = np.broadcast_to(kernel_size, 2)
    sh, sw = (kh, kw) if stride is None else np.broadcast_to(stride, 2)
    ph, pw = np.broadcast_to(padding, 2)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    rows, columns = (padded.shape[2] - kh) // sh + 1, (padded.shape[3] - kw) // sw + 1
    places = [
        (p, q, slice(p * sh, p * sh + kh), slice(q * sw, q * sw + kw)) for p in range(rows) for q in range(columns)
    ]
    return padded, places, (slice(ph, ph + x.shape[2]), slice(pw, pw + x.shape[3]))


def _filled(fill, x, kernel_size, stride, padding):
    padded, places, _ = _windows(x, kernel_size, stride, padding, fill)
    y = np.stack([padded[:, :, rows, columns].max(axis=(2, 3)) for _, _, rows, columns in places], axis=-1)
    return {"y": y.reshape(*x.shape[:2], places[-1][0] + 1, places[-1][1] + 1)}


def _pool_gradient(share, dy, x, kernel_size, stride, padding, add=True, fill=-np.inf):
    padded, places, inside = _windows(x, kernel_size, stride, padding, fill)
    dx = np.zeros_like(padded)
    for p, q, rows, columns in places:
        part = share(padded[:, :, rows, columns]) * dy[:, :, p, q, None, None]
        seen = dx[:, :, rows, columns]
        dx[:, :, rows, columns] = seen + part if add else np.where(part != 0, part, seen)
    return {"dx": dx[:, :, *inside]}


def _first_winner(window):
    flat = window.reshape(*window.shape[:2], -1)
    return (np.arange(flat.shape[2]) == flat.argmax(axis=2)[:, :, None]).reshape(window.shape)


def _last_winner(window):
    return _first_winner(window[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]


def _all_winners(window):
    return window == window.max(axis=(2, 3), keepdims=True)


def _equal_shares(window):
    winners = _all_winners(window)
    return winners / winners.sum(axis=(2, 3), keepdims=True)


def _padding_not_counted(x, kernel_size, stride, padding):
    total = avg_pool2d_forward(x, kernel_size, stride, padding)
    return {"y": total / avg_pool2d_forward(np.ones_like(x), kernel_size, stride, padding)}


def _window_size(given):
    return float(np.prod(np.broadcast_to(given["kernel_size"], 2)))


def _pixels(given):
    return float(np.prod(given["x"].shape[2:]))


FUNCTIONS = (
    specify("max_pool2d_forward", "layers", max_pool2d_forward, "max pooling",
        "the largest entry of each window; padding never wins; windows that would leave the padded image are not taken",
        X, *_WINDOW, Y,
        Mistake("padded with zeros, which win against negative entries", partial(_filled, 0.0)),
        *(Mistake("padded with a low number instead of minus infinity", partial(_filled, low))
            for low in (-1.0, -1e2, -1e4, -1e5, -1e9, -1e30)),
    ),
    specify("max_pool2d_backward", "layers", max_pool2d_backward, "derivative of max_pool2d_forward",
        "dy goes to the entry that won its window, the first in row-major order among equals; where windows overlap "
        "an entry collects from each one it won",
        DY, X, *_WINDOW, DX,
        Mistake("ties broken from the other end", partial(_pool_gradient, _last_winner)),
        Mistake("every tied entry gets the gradient", partial(_pool_gradient, _all_winners)),
        Mistake("the gradient shared among equal winners", partial(_pool_gradient, _equal_shares)),
        *(Mistake("gradients lost to a padding that wins windows", partial(_pool_gradient, _first_winner, fill=fill))
            for fill in (0.0, -1.0, -1e2, -1e4, -1e5, -1e9, -1e30)),
        Mistake("gradients of overlapping windows overwritten instead of added",
            partial(_pool_gradient, _first_winner, add=False)),
    ),
    specify("avg_pool2d_forward", "layers", avg_pool2d_forward, "average pooling",
        "the mean of each window over its kh * kw entries, the zeros of the padding included",
        X, *_WINDOW, Y,
        Mistake("the zeros of the padding not counted", _padding_not_counted),
        scaled("the sum of a window instead of its mean", y=_window_size),
    ),
    specify("avg_pool2d_backward", "layers", avg_pool2d_backward, "derivative of avg_pool2d_forward",
        "each entry of a window receives dy / (kh * kw); where windows overlap an entry collects from each",
        DY, X, *_WINDOW, DX,
        scaled("not divided by the window's size", dx=_window_size),
    ),
    specify("global_avg_pool2d_forward", "layers", global_avg_pool2d_forward, "average pooling",
        "y[n,c] = mean of x[n,c,:,:]",
        X, Output("y", "float (N, C)"),
        scaled("the sum instead of the mean", y=_pixels),
    ),
    specify("global_avg_pool2d_backward", "layers", global_avg_pool2d_backward,
        "derivative of global_avg_pool2d_forward",
        "dx[n,c,h,w] = dy[n,c] / (H * W)",
        Argument("dy", "float (N, C)"), Argument("x", "float (N, C, H, W): the input; only its shape matters"), DX,
        scaled("not divided by the number of pixels", dx=_pixels),
    ),
)  # fmt: skip
