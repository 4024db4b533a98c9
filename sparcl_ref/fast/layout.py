"""Where the entries of an activation lie in memory, batch last."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import DTypeLike

Pair = tuple[int, int]
ALIGNMENT = 64
#: Numbers in a cache line, of float32.
LINE = 16
#: Batch sizes whose buffers are kept for reuse: the current batch's and the replayed one's.
KEPT_BATCH_SIZES = 2


@dataclass(frozen=True)
class Layout:
    """Images ``(C, H, W, N)`` inside a frame of zeros, the columns of each row possibly grouped by phase.

    With the batch as last axis, what a kernel tap sees of one image row is one contiguous run of ``W * N`` numbers:
    the padded row, shifted by a multiple of N. A convolution of column stride s sees every s-th column; grouping the
    padded columns by their remainder modulo s makes those contiguous too.
    """

    channels: int
    rows: int
    columns: int
    halo: Pair = (0, 0)  #: rows and columns of zeros on each side
    phases: int = 1  #: the column stride s

    @property
    def shape(self) -> tuple[int, int, int]:
        """Without the frame."""
        return self.channels, self.rows, self.columns

    @cached_property
    def padded(self) -> Pair:
        """Rows and columns with the frame."""
        return self.rows + 2 * self.halo[0], self.columns + 2 * self.halo[1]

    def size(self, batch: int) -> int:
        """Numbers in a buffer."""
        return self.channels * self.plane(batch)

    def plane(self, batch: int) -> int:
        """Distance between channels, in numbers: an odd number of `LINE`s.

        A power of two would put the same pixel of all channels into one set of the caches, which then hold only a
        handful of channels; odd multiples of a line spread them over all sets.
        """
        used = self.padded[0] * self.padded[1] * batch
        return used if self.padded == (1, 1) else (-(-used // LINE) | 1) * LINE

    def row(self, batch: int) -> int:
        """Distance between rows, in numbers."""
        return self.padded[1] * batch

    def column(self, padded_column: int) -> int:
        """Position within a row of a column of the padded image."""
        phase, index = padded_column % self.phases, padded_column // self.phases
        before = sum(-(-(self.padded[1] - p) // self.phases) for p in range(phase))
        return before + index

    def run_place(self, batch: int) -> dict[str, int]:
        """Where the first row of the image begins, and the distances of rows and channels, in numbers."""
        start = self.halo[0] * self.row(batch) + self.column(self.halo[1]) * batch
        return {"start": start, "row": self.row(batch), "plane": self.plane(batch)}

    def images(self, buffer: np.ndarray, batch: int) -> np.ndarray:
        """The images ``(C, H, W, N)`` in a buffer: a view, unless columns are grouped."""
        view, place = self._place(buffer, batch)
        return view[place]

    def write(self, buffer: np.ndarray, batch: int, images: np.ndarray, *, add: bool = False) -> None:
        """Put (or add) images ``(C, H, W, N)`` into a buffer; the frame is left alone."""
        view, place = self._place(buffer, batch)
        if add:
            view[place] += images
        else:
            view[place] = images

    def _place(self, buffer: np.ndarray, batch: int) -> tuple[np.ndarray, tuple]:
        planes = buffer.reshape(self.channels, self.plane(batch))
        rows, width = self.padded
        view = planes[:, : rows * width * batch].reshape(self.channels, rows, width, batch)
        top, left = self.halo
        columns: slice | list[int] = slice(left, left + self.columns)
        if self.phases > 1:
            columns = [self.column(left + column) for column in range(self.columns)]
        return view, (slice(None), slice(top, top + self.rows), columns)

    def starts(self, batch: int, *, by_column: bool) -> np.ndarray:
        """Where in a channel the runs of the image begin, in row-major order: int64, shape (H,) or (H * W,).

        A run is a row (W * N numbers), or one pixel (N numbers), which is needed as soon as columns are grouped.
        """
        return _starts(self, batch, by_column)


@lru_cache(maxsize=1024)
def _starts(layout: Layout, batch: int, by_column: bool) -> np.ndarray:
    top, left = layout.halo
    rows = (np.arange(layout.rows) + top) * layout.row(batch)
    count = layout.columns if by_column else 1
    columns = np.array([layout.column(left + column) for column in range(count)]) * batch
    return (rows[:, None] + columns).reshape(-1).astype(np.int64)


class Pool:
    """Buffers for reuse, each kept for one layout: frames are zeroed once and never written again."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self._free: dict[tuple[int, Layout], list[np.ndarray]] = {}
        self._batches: list[int] = []

    def take(self, layout: Layout, batch: int) -> np.ndarray:
        """A flat buffer whose frame is zero; the rest is arbitrary."""
        if batch not in self._batches[-1:]:
            others = [other for other in self._batches if other != batch]
            self._batches = [*others[1 - KEPT_BATCH_SIZES :], batch]
            self._free = {key: buffers for key, buffers in self._free.items() if key[0] in self._batches}
        free = self._free.get((batch, layout))
        return free.pop() if free else aligned_zeros(layout.size(batch), self.dtype)

    def give(self, buffer: np.ndarray, layout: Layout, batch: int) -> None:
        """Hand back what `take` gave."""
        if batch in self._batches:
            self._free.setdefault((batch, layout), []).append(buffer)


def aligned_zeros(size: int, dtype: DTypeLike) -> np.ndarray:
    """Zeros that begin at a cache line, so that no vector straddles two."""
    kind = np.dtype(dtype)
    raw = np.zeros(size * kind.itemsize + ALIGNMENT, dtype=np.uint8)
    skip = -raw.ctypes.data % ALIGNMENT
    return raw[skip : skip + size * kind.itemsize].view(kind)
