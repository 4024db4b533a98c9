"""Maximum, average and global average pooling."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import DX, DY, PADDING, X, Y, through
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake, scaled

KERNEL_SIZE = Argument("kernel_size", "int, or [rows, columns]")
POOL_STRIDE = Argument("stride", "int, or [rows, columns], or None for the kernel size", default=None)


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


def _zeros_win(x, kernel_size, stride, padding):
    padded, places, _ = _windows(x, kernel_size, stride, padding, 0.0)
    y = np.stack([padded[:, :, rows, columns].max(axis=(2, 3)) for _, _, rows, columns in places], axis=-1)
    return {"y": y.reshape(*x.shape[:2], places[-1][0] + 1, places[-1][1] + 1)}


MAX_POOL2D_FORWARD = Function(
    "max_pool2d_forward", "layers", (X, KERNEL_SIZE, POOL_STRIDE, PADDING), (Y,),
    "the largest entry of each window; padding never wins; windows that would leave the padded image are not taken",
    "max pooling", max_pool2d_forward,
    mistakes=(Mistake("padded with zeros, which win against negative entries", _zeros_win),),
)  # fmt: skip


def _pool_gradient(share, add=True):
    def outputs(dy, x, kernel_size, stride, padding):
        padded, places, inside = _windows(x, kernel_size, stride, padding, -np.inf)
        dx = np.zeros_like(padded)
        for p, q, rows, columns in places:
            part = share(padded[:, :, rows, columns]) * dy[:, :, p, q, None, None]
            if add:
                dx[:, :, rows, columns] += part
            else:
                dx[:, :, rows, columns] = np.where(part != 0, part, dx[:, :, rows, columns])
        return {"dx": dx[:, :, *inside]}

    return outputs


def _last_winner(window):
    flat = window.reshape(*window.shape[:2], -1)
    place = flat.shape[2] - 1 - flat[:, :, ::-1].argmax(axis=2)
    return (np.arange(flat.shape[2]) == place[:, :, None]).reshape(window.shape)


def _first_winner(window):
    flat = window.reshape(*window.shape[:2], -1)
    return (np.arange(flat.shape[2]) == flat.argmax(axis=2)[:, :, None]).reshape(window.shape)


def _all_winners(window):
    return window == window.max(axis=(2, 3), keepdims=True)


MAX_POOL2D_BACKWARD = Function(
    "max_pool2d_backward", "layers", (DY, X, KERNEL_SIZE, POOL_STRIDE, PADDING), (DX,),
    "dy goes to the entry that won its window, the first in row-major order among equals; where windows overlap an "
    "entry collects from each one it won",
    "derivative of max_pool2d_forward", max_pool2d_backward,
    mistakes=(
        Mistake("ties broken from the other end", _pool_gradient(_last_winner)),
        Mistake("every tied entry gets the gradient", _pool_gradient(_all_winners)),
        Mistake("gradients of overlapping windows overwritten instead of added",
            _pool_gradient(_first_winner, add=False)),
    ),
)  # fmt: skip


def _padding_not_counted(x, kernel_size, stride, padding):
    total = avg_pool2d_forward(x, kernel_size, stride, padding)
    return {"y": total / avg_pool2d_forward(np.ones_like(x), kernel_size, stride, padding)}


def _window_size(given):
    return float(np.prod(np.broadcast_to(given["kernel_size"], 2)))


AVG_POOL2D_FORWARD = Function(
    "avg_pool2d_forward", "layers", (X, KERNEL_SIZE, POOL_STRIDE, PADDING), (Y,),
    "the mean of each window over its kh * kw entries, the zeros of the padding included",
    "average pooling", avg_pool2d_forward,
    mistakes=(
        Mistake("the zeros of the padding not counted", _padding_not_counted),
        scaled("the sum of a window instead of its mean", y=_window_size),
    ),
)  # fmt: skip

AVG_POOL2D_BACKWARD = Function(
    "avg_pool2d_backward", "layers", (DY, X, KERNEL_SIZE, POOL_STRIDE, PADDING), (DX,),
    "each entry of a window receives dy / (kh * kw); where windows overlap an entry collects from each",
    "derivative of avg_pool2d_forward", avg_pool2d_backward,
    mistakes=(scaled("not divided by the window's size", dx=_window_size),),
)  # fmt: skip


def _pixels(given):
    return float(np.prod(given["x"].shape[2:]))


GLOBAL_AVG_POOL2D_FORWARD = Function(
    "global_avg_pool2d_forward", "layers", (X,), (Output("y", "float (N, C)"),),
    "y[n,c] = mean of x[n,c,:,:]",
    "average pooling", global_avg_pool2d_forward,
    mistakes=(scaled("the sum instead of the mean", y=_pixels),),
)  # fmt: skip

GLOBAL_AVG_POOL2D_BACKWARD = Function(
    "global_avg_pool2d_backward", "layers",
    (Argument("dy", "float (N, C)"), Argument("x", "float (N, C, H, W): the input; only its shape matters")), (DX,),
    "dx[n,c,h,w] = dy[n,c] / (H * W)",
    "derivative of global_avg_pool2d_forward", global_avg_pool2d_backward,
    mistakes=(scaled("not divided by the number of pixels", dx=_pixels),),
)  # fmt: skip

FUNCTIONS = (
    MAX_POOL2D_FORWARD, MAX_POOL2D_BACKWARD, AVG_POOL2D_FORWARD, AVG_POOL2D_BACKWARD, GLOBAL_AVG_POOL2D_FORWARD,
    GLOBAL_AVG_POOL2D_BACKWARD,
)  # fmt: skip
