"""Pooling: one number for each window of an image, channel by channel."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from sparcl_ref.layers.base import Mode, Uncounted
from sparcl_ref.layers.checks import Pair, as_pair, expect_shape
from sparcl_ref.layers.costs import Footprint, Load, Shape
from sparcl_ref.layers.windows import Window, crop, pad, padding_bytes


class _Pool2d(Uncounted):
    """What max and average pooling share: the window's arguments and its geometry.

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

    def __init__(self, kernel_size: int | Pair, *, stride: int | Pair | None = None, padding: int | Pair = 0):
        super().__init__()
        name = type(self).__name__
        self.kernel_size = as_pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else as_pair(name, "stride", stride)
        self.padding = as_pair(name, "padding", padding, minimum=0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"{self._label}: padding must be at most half the kernel, got {self.padding}")
        self._window = Window(self.kernel_size, self.stride, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        expect_shape(self._label, shape, "C", "H", "W")
        channels, rows, columns = shape
        return channels, *self._window.output_size(self._label, (rows, columns))

    def _taps(self, y: np.ndarray) -> Iterator[tuple[slice, slice]]:
        """What each tap of the window sees of the padded input, for ``y`` of the output's shape."""
        for _, _, rows, columns in self._window.taps((y.shape[2], y.shape[3])):
            yield rows, columns

    @property
    def _label(self) -> str:
        return f"{type(self).__name__}({self.kernel_size[0]}x{self.kernel_size[1]})"


class MaxPool2d(_Pool2d):
    """The largest entry of each window; padding never wins. See `_Pool2d` for the arguments.

    Backward. A small change of the largest entry changes the output by as much; a small change of any other entry
    changes nothing. So dy goes to the entry that won, and where windows overlap an entry collects from each one it
    won. Among equals the first in row-major order of the window wins. NaN is the largest of all, and of several the
    last wins. Both are PyTorch's choices.
    """

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        padded, y = padding_bytes(shape, self._window, load), self.output_shape(shape)
        inside = math.prod(self._window.padded_size((shape[1], shape[2])))  # flags of one image, for all samples
        flags = inside + 2 * load.size(y, item_bytes=1)  # with those of open windows and of those just won
        chosen = load.size(y) + 2 * min(load.buffer_bytes, load.size(y))  # dy or 0, and NumPy's way to it
        if padded:
            chosen = max(0, chosen - load.size(shape))  # gone before dL/dx is cut out of its frame
        return Footprint(
            keeps_input=True, keeps_output=True, forward_bytes=padded, backward_bytes=2 * padded + flags + chosen
        )

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        out = self.output_shape(x.shape[1:])
        padded = pad(x, self._window, -np.inf)
        y = np.full((len(x), *out), -np.inf, dtype=x.dtype)
        for rows, columns in self._taps(y):
            np.maximum(y, padded[:, :, rows, columns], out=y)
        return y, (x, y)

    def _backward(self, dy: np.ndarray, cache: tuple[np.ndarray, np.ndarray], need_dx: bool) -> np.ndarray | None:
        if not need_dx:
            return None
        x, y = cache
        padded = pad(x, self._window, -np.inf)
        dpadded = np.zeros_like(padded)
        inside = pad(np.ones((1, 1, *x.shape[2:]), dtype=bool), self._window, False)
        open_windows = np.ones(y.shape, dtype=bool)  # those whose winner has not been met
        taps = [np.s_[:, :, rows, columns] for rows, columns in self._taps(y)]
        for seen in taps:
            won = open_windows & inside[seen] & (padded[seen] == y)
            dpadded[seen] += np.where(won, dy, 0)
            open_windows ^= won
        if open_windows.any():  # NaN equals nothing
            for seen in reversed(taps):
                won = open_windows & np.isnan(padded[seen])
                dpadded[seen] += np.where(won, dy, 0)
                open_windows ^= won
        return crop(dpadded, self._window, (x.shape[2], x.shape[3]))


class AvgPool2d(_Pool2d):
    """The mean of each window, the zeros of the padding included (PyTorch's ``count_include_pad=True``).

    See `_Pool2d` for the arguments.

    Backward. Each of the k entries of a window has weight 1/k in its mean, so it receives dy/k; where windows overlap
    an entry collects from each one it lies in.
    """

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        padded = padding_bytes(shape, self._window, load)
        return Footprint(forward_bytes=padded, backward_bytes=padded + load.size(self.output_shape(shape)))

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, Shape]:
        out = self.output_shape(x.shape[1:])
        padded = pad(x, self._window, 0.0)
        y = np.zeros((len(x), *out), dtype=x.dtype)
        for rows, columns in self._taps(y):
            y += padded[:, :, rows, columns]
        y /= self.kernel_size[0] * self.kernel_size[1]
        return y, x.shape

    def _backward(self, dy: np.ndarray, shape: Shape, need_dx: bool) -> np.ndarray | None:
        if not need_dx:
            return None
        size = shape[2], shape[3]
        share = dy / (self.kernel_size[0] * self.kernel_size[1])
        dpadded = np.zeros((*shape[:2], *self._window.padded_size(size)), dtype=dy.dtype)
        for rows, columns in self._taps(dy):
            dpadded[:, :, rows, columns] += share
        return crop(dpadded, self._window, size)


class GlobalAvgPool2d(Uncounted):
    """The mean of each channel's image: ``(N, C, H, W) -> (N, C)``.

    Backward. Every pixel has weight 1 / (H W) in its mean: dL/dx[n, c, h, w] = dy[n, c] / (H W).
    """

    def output_shape(self, shape: Shape) -> Shape:
        expect_shape(self._label, shape, "C", "H", "W")
        if shape[1] * shape[2] == 0:
            raise ValueError(f"{self._label}: images must have at least one pixel, got shape {shape}")
        return shape[:1]

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        return Footprint()

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, Shape]:
        self.output_shape(x.shape[1:])
        return x.mean(axis=(2, 3)), x.shape

    def _backward(self, dy: np.ndarray, shape: Shape, need_dx: bool) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = np.empty(shape, dtype=dy.dtype)
        dx[...] = (dy / (shape[2] * shape[3]))[:, :, np.newaxis, np.newaxis]
        return dx
