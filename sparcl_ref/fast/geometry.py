"""How a convolution's taps become shifts of contiguous runs, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparcl_ref.fast.layout import Layout, Pair


@dataclass(frozen=True)
class Kernel:
    """What of a convolution decides its geometry; a linear layer is one of kernel (1, 1) on a 1x1 image."""

    in_channels: int
    out_channels: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.out_channels, self.in_channels // self.groups, *self.kernel

    def coordinates(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Output channel, input channel, row tap and column tap of weights given by flat index."""
        out, within, i, j = np.unravel_index(flat, self.weight_shape)
        return out, within + out // (self.out_channels // self.groups) * self.weight_shape[1], i, j

    def gradient_halo(self, size: Pair, out: Pair) -> Pair:
        """Zeros needed around dL/dy so that every tap of the backward pass stays inside the buffer.

        Input position u = h + p of the padded image takes part, through tap k, in output o = (u - k d) / s if that is
        an integer; positions and taps bound o.
        """
        bounds = []
        for n, m, k, s, p, d in zip(size, out, self.kernel, self.stride, self.padding, self.dilation, strict=True):
            lowest = -((d * (k - 1) - p) // s)
            highest = (p + n - 1) // s
            bounds.append(max(0, -lowest, highest - (m - 1)))
        return bounds[0], bounds[1]


@dataclass(frozen=True)
class Rectangle:
    """Outputs whose runs are contiguous, and what of the input lies under them; all in numbers."""

    source: int  #: where the first run begins in the buffer read, first channel
    target: int  #: and in the buffer written
    source_row: int  #: distance of rows
    target_row: int
    target_plane: int  #: distance of channels
    rows: int  #: how many runs
    run: int  #: length of each


@dataclass(frozen=True)
class Window:
    """A rectangle of outputs and the weights that reach it."""

    place: Rectangle
    taken: np.ndarray  #: positions, in the list of weights given, of those that take part
    channel: np.ndarray  #: the channel that each of them writes
    read: np.ndarray  #: the channel that it reads
    shift: np.ndarray  #: distance from ``place.source`` of what it reads


def forward_window(kernel: Kernel, x: Layout, y: Layout, batch: int, flat: np.ndarray) -> Window:
    """All of the output at once: a tap reads row h s + i d, columns of one phase from j d on.

    The input x is grouped by the column stride; ``flat`` are the living weights' indices.
    """
    out, channel, i, j = kernel.coordinates(flat)
    spare = [halo - p for halo, p in zip(x.halo, kernel.padding, strict=True)]
    columns = np.array([x.column(tap * kernel.dilation[1] + spare[1]) for tap in range(kernel.kernel[1])])
    rows = i * kernel.dilation[0] + spare[0]
    shift = channel * x.plane(batch) + rows * x.row(batch) + columns[j] * batch
    written = y.run_place(batch)
    place = Rectangle(
        source=0,
        target=written["start"],
        source_row=kernel.stride[0] * x.row(batch),
        target_row=written["row"],
        target_plane=written["plane"],
        rows=y.rows,
        run=y.columns * batch,
    )
    return Window(place, taken=np.arange(len(flat)), channel=out, read=channel, shift=shift)


def backward_windows(kernel: Kernel, dx: Layout, dy: Layout, batch: int, flat: np.ndarray) -> Iterator[Window]:
    """One window per phase of the input: rows u = r + s a of the padded image, and columns alike.

    A tap k with k d = r modulo s reaches them from output row o = (u - k d) / s = a + (r - k d) / s, one contiguous
    shift for all a; the other taps never do. dx is grouped by the column stride, dy has `Kernel.gradient_halo`.
    """
    out, channel, i, j = kernel.coordinates(flat)
    (sh, sw), (ph, pw), (dh, dw) = kernel.stride, kernel.padding, kernel.dilation
    for r in range(sh):
        for q in range(sw):
            taken = np.flatnonzero(((i * dh) % sh == r % sh) & ((j * dw) % sw == q % sw))
            a, row_count = _positions(r, sh, ph, dx.rows)
            b, column_count = _positions(q, sw, pw, dx.columns)
            if row_count == 0 or column_count == 0:
                continue
            row = a + (r - i[taken] * dh) // sh + dy.halo[0]
            column = b + (q - j[taken] * dw) // sw + dy.halo[1]
            first_row = r + sh * a - ph + dx.halo[0]
            first_column = q + sw * b - pw + dx.halo[1]
            place = Rectangle(
                source=0,
                target=first_row * dx.row(batch) + dx.column(first_column) * batch,
                source_row=dy.row(batch),
                target_row=sh * dx.row(batch),
                target_plane=dx.plane(batch),
                rows=row_count,
                run=column_count * batch,
            )
            shift = out[taken] * dy.plane(batch) + row * dy.row(batch) + column * batch
            yield Window(place, taken=taken, channel=channel[taken], read=out[taken], shift=shift)


def _positions(remainder: int, stride: int, padding: int, size: int) -> Pair:
    """First a, and how many, with 0 <= remainder + stride * a - padding < size."""
    first = max(0, -((remainder - padding) // stride))
    last = (padding + size - 1 - remainder) // stride
    return first, max(0, last - first + 1)
