"""How a window slides over an image: the geometry that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparcl_ref.layers.checks import Pair
from sparcl_ref.layers.costs import Load, Shape


@dataclass(frozen=True)
class Window:
    """A window that slides over the rows and columns of an image; each field is a pair (rows, columns).

    Output position ``o`` sees, through tap ``k`` of the window, the padded input at ``o * stride + k * dilation``.
    """

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def output_size(self, label: str, size: Pair) -> Pair:
        """Number of positions at which the window lies inside the padded image, along rows and columns.

        Raises
        ------
        ValueError
            If the window is larger than the padded image; the message calls the layer ``label``.
        """
        axes = zip(size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        rows, columns = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
        if rows < 1 or columns < 1:
            raise ValueError(
                f"{label}: the window does not fit into an image of {size[0]}x{size[1]} "
                f"with padding {self.padding}, kernel {self.kernel} and dilation {self.dilation}"
            )
        return rows, columns

    def taps(self, out: Pair) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield each tap ``(i, j)`` in row-major order with the rows and columns of the padded image it sees.

        The two slices select exactly ``out`` rows and columns, the `output_size`.
        """
        rows, columns = (
            [slice(tap * d, tap * d + s * (n - 1) + 1, s) for tap in range(k)]
            for k, s, d, n in zip(self.kernel, self.stride, self.dilation, out, strict=True)
        )
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                yield i, j, row, column

    def inside(self, size: Pair) -> tuple[slice, slice]:
        """Rows and columns of the padded image that hold the image itself."""
        return slice(self.padding[0], self.padding[0] + size[0]), slice(self.padding[1], self.padding[1] + size[1])

    def padded_size(self, size: Pair) -> Pair:
        """Rows and columns of the padded image."""
        return size[0] + 2 * self.padding[0], size[1] + 2 * self.padding[1]


def padding_bytes(shape: Shape, window: Window, load: Load) -> int:
    """Bytes of the copy that `pad` makes of images (C, H, W)."""
    channels, rows, columns = shape
    return 0 if window.padding == (0, 0) else load.size((channels, *window.padded_size((rows, columns))))


def pad(x: np.ndarray, window: Window, value: float) -> np.ndarray:
    """Frame images ``(N, C, H, W)`` with ``value``; without padding this is ``x`` itself, not a copy."""
    if window.padding == (0, 0):
        return x
    size = x.shape[2], x.shape[3]
    padded = np.full((*x.shape[:2], *window.padded_size(size)), value, dtype=x.dtype)
    rows, columns = window.inside(size)
    padded[:, :, rows, columns] = x
    return padded


def crop(padded: np.ndarray, window: Window, size: Pair) -> np.ndarray:
    """Undo `pad`: the images ``(N, C, H, W)`` inside the frame, contiguous."""
    rows, columns = window.inside(size)
    return np.ascontiguousarray(padded[:, :, rows, columns])
