"""Compressed weights of one layer, arranged for the compiled loops."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from sparcl_ref.fast.geometry import Rectangle, Window
from sparcl_ref.fast.loops import dot_rows, gather_rows, pick
from sparcl_ref.fast.microkernel import VECTOR_BYTES, WIDE

#: Bytes of input that one tile may see per block of channels: about a first-level cache.
BLOCK_BYTES = 28 * 1024
#: A block that holds fewer weights per output costs more, in loading and storing sums and in mispredicted ends of
#: loops, than it saves.
WEIGHTS_PER_BLOCK = 14


@dataclass(frozen=True)
class ShiftedSums:
    """A window's weights in the order in which a tile meets them: by block of channels read, then channel written."""

    place: Rectangle
    index: np.ndarray  #: flat index of each weight in the parameter, int32
    offs: np.ndarray  #: its shift, int32
    indptr: np.ndarray  #: where the weights of each block and channel begin, shape (blocks * channels + 1,)
    channels: int  #: how many are written
    bounds: np.ndarray  #: ranges of them that hold about equally many weights, shape (threads + 1,)

    def gather(self, x: np.ndarray, value: np.ndarray, y: np.ndarray, *, add: bool) -> None:
        """Write (or add to) y the weighted sums of x's rows; ``value`` is the parameter's, its current numbers."""
        w = self.place
        vals = np.empty(len(self.index), dtype=x.dtype)
        pick(value.reshape(-1), self.index, vals)
        tiles = w.rows * -(-w.run // (WIDE * VECTOR_BYTES // x.itemsize))
        parts = min(self.channels, max(1, -(-4 * (len(self.bounds) - 1) // tiles) if tiles < 16 else 1))
        gather_rows(
            x, w.source, w.source_row, self.offs, vals, self.indptr, self.channels, y, w.target, w.target_row,
            w.target_plane, w.rows, w.run, add, parts,
        )  # fmt: skip

    def dots(self, x: np.ndarray, dy: np.ndarray, *, start: int, row: int, plane: int) -> np.ndarray:
        """dL/dW of each weight, in the order of ``index``; dy's first row begins at ``start``."""
        w = self.place
        out = np.empty(len(self.index), dtype=x.dtype)
        dot_rows(
            x, w.source, w.source_row, self.offs, self.indptr, self.bounds, self.channels, dy, start, row, plane,
            w.rows, w.run, out,
        )  # fmt: skip
        return out


def build_shifted_sums(window: Window, flat: np.ndarray, *, channels: int, reads: int, seen_bytes: int) -> ShiftedSums:
    """Sort a window's weights.

    Parameters
    ----------
    flat : ndarray of int
        Flat indices of all living weights; the window says which of them it takes.
    channels, reads : int
        Channels written and channels read, living or not.
    seen_bytes : int
        Bytes of one channel read that a tile sees through all taps.

    Raises
    ------
    ValueError
        If a shift or an index does not fit into 32 bits.
    """
    per_channel = len(window.taken) / max(1, channels * reads)
    block = max(BLOCK_BYTES // max(1, seen_bytes), int(WEIGHTS_PER_BLOCK / max(per_channel, 1e-9)), 1)
    blocks = max(1, -(-reads // block))
    key = window.read // block * channels + window.channel
    order = np.argsort(key, kind="stable")
    counts = np.bincount(key, minlength=blocks * channels)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    shift = window.shift[order]
    if shift.size and shift.max() >= 2**31:
        raise ValueError("activations of a layer must hold fewer than 2**31 numbers; use smaller batches")
    threads = numba.get_num_threads()
    per_output = np.cumsum(counts.reshape(blocks, channels).sum(axis=0))
    inner = np.searchsorted(per_output, np.arange(1, threads) * per_output[-1] / threads)
    bounds = np.concatenate([[0], inner, [channels]]).astype(np.int64)
    index = flat[window.taken[order]]
    if index.size and index.max() >= 2**31:
        raise ValueError("a layer must hold fewer than 2**31 weights; use the numpy engine")
    return ShiftedSums(window.place, index.astype(np.int32), shift.astype(np.int32), indptr, channels, bounds)
