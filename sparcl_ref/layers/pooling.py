"""Pooling: one number for each window of an image, channel by channel."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers.base import Layer
from sparcl_ref.layers.checks import Pair, as_pair, expect_shape
from sparcl_ref.layers.windows import Window, crop, pad


class _Pool2d(Layer):
    """What max and average pooling share: the window's arguments and its geometry."""

    def __init__(self, kernel_size: int | Pair, *, stride: int | Pair | None = None, padding: int | Pair = 0):
        super().__init__()
        name = type(self).__name__
        self.kernel_size = as_pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else as_pair(name, "stride", stride)
        self.padding = as_pair(name, "padding", padding, minimum=0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"{self._label}: padding must be at most half the kernel, got {self.padding}")
        self._window = Window(self.kernel_size, self.stride, self.padding)

    def _output_size(self, x: np.ndarray) -> Pair:
        expect_shape(self._label, x, "N", "C", "H", "W")
        return self._window.output_size(self._label, x.shape[2:])

    @property
    def _label(self) -> str:
        return f"{type(self).__name__}({self.kernel_size[0]}x{self.kernel_size[1]})"


class MaxPool2d(_Pool2d):
    """The largest entry of each window; padding never wins.

    Backward. A small change of the largest entry changes the output by as much; a small change of any other entry
    changes nothing. So dy goes to the entry that won, and where windows overlap an entry collects from each one it
    won. Among equals the first in row-major order of the window wins. NaN is the largest of all, and of several the
    last wins. Both are PyTorch's choices.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        Default: the kernel size, so that windows touch without overlap.
    padding : int or (int, int)
        At most half the kernel, so that no window lies outside the image.

    Raises
    ------
    ValueError
        If a size is out of range.
    TypeError
        If a size is not an integer.
    """

    def _forward(self, x, mode):
        out = self._output_size(x)
        padded = pad(x, self._window, -np.inf)
        y = np.full((*x.shape[:2], *out), -np.inf, dtype=x.dtype)
        for _, _, rows, columns in self._window.taps(out):
            np.maximum(y, padded[:, :, rows, columns], out=y)
        return y, (x, y)

    def _backward(self, dy, cache, need_dx):
        if not need_dx:
            return None
        x, y = cache
        padded = pad(x, self._window, -np.inf)
        dpadded = np.zeros_like(padded)
        inside = pad(np.ones((1, 1, *x.shape[2:]), dtype=bool), self._window, False)
        open_windows = np.ones(y.shape, dtype=bool)  # those whose winner has not been met
        taps = [np.s_[:, :, rows, columns] for _, _, rows, columns in self._window.taps(y.shape[2:])]
        for seen in taps:
            won = open_windows & inside[seen] & (padded[seen] == y)
            dpadded[seen] += np.where(won, dy, 0)
            open_windows ^= won
        if open_windows.any():  # NaN equals nothing
            for seen in reversed(taps):
                won = open_windows & np.isnan(padded[seen])
                dpadded[seen] += np.where(won, dy, 0)
                open_windows ^= won
        return crop(dpadded, self._window, x.shape[2:])


class AvgPool2d(_Pool2d):
    """The mean of each window, the zeros of the padding included (PyTorch's ``count_include_pad=True``).

    Backward. Each of the k entries of a window has weight 1/k in its mean, so it receives dy/k; where windows overlap
    an entry collects from each one it lies in.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        Default: the kernel size, so that windows touch without overlap.
    padding : int or (int, int)
        At most half the kernel.

    Raises
    ------
    ValueError
        If a size is out of range.
    TypeError
        If a size is not an integer.
    """

    def _forward(self, x, mode):
        out = self._output_size(x)
        padded = pad(x, self._window, 0.0)
        y = np.zeros((*x.shape[:2], *out), dtype=x.dtype)
        for _, _, rows, columns in self._window.taps(out):
            y += padded[:, :, rows, columns]
        y /= self.kernel_size[0] * self.kernel_size[1]
        return y, x.shape

    def _backward(self, dy, shape, need_dx):
        if not need_dx:
            return None
        size = shape[2:]
        share = dy / (self.kernel_size[0] * self.kernel_size[1])
        dpadded = np.zeros((*shape[:2], *self._window.padded_size(size)), dtype=dy.dtype)
        for _, _, rows, columns in self._window.taps(dy.shape[2:]):
            dpadded[:, :, rows, columns] += share
        return crop(dpadded, self._window, size)


class GlobalAvgPool2d(Layer):
    """The mean of each channel's image: ``(N, C, H, W) -> (N, C)``.

    Backward. Every pixel has weight 1 / (H W) in its mean: dL/dx[n, c, h, w] = dy[n, c] / (H W).
    """

    def _forward(self, x, mode):
        expect_shape(self._label, x, "N", "C", "H", "W")
        if x.shape[2] * x.shape[3] == 0:
            raise ValueError(f"{self._label}: images must have at least one pixel, got shape {x.shape}")
        return x.mean(axis=(2, 3)), x.shape

    def _backward(self, dy, shape, need_dx):
        if not need_dx:
            return None
        dx = np.empty(shape, dtype=dy.dtype)
        dx[...] = (dy / (shape[2] * shape[3]))[:, :, np.newaxis, np.newaxis]
        return dx
