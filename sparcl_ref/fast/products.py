"""Layers with so many living weights that matrix products over all of them are faster than sums over the living."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided

from sparcl_ref.fast import blas
from sparcl_ref.fast.geometry import Kernel, Rectangle, Window


@dataclass(frozen=True)
class MatrixProducts:
    """A window's taps, each a matrix of weights; the dense counterpart of `sparcl_ref.fast.shifted_sums.ShiftedSums`.

    Attributes
    ----------
    kernel : Kernel
        Without groups.
    window : Window
        Of the taps' weights between the first channels; see `tap_indices`.
    backward : bool
        Whether input channels are written and output channels read, as for dL/dx.
    plane : int
        Distance of channels in the buffer read.
    """

    kernel: Kernel
    window: Window
    backward: bool
    plane: int

    def __post_init__(self):
        if max(self.plane, self.window.place.target_plane) > blas.LARGEST:
            raise ValueError("activations of a channel must hold fewer than 2**31 numbers; use smaller batches")

    def gather(self, x: np.ndarray, value: np.ndarray, y: np.ndarray, *, add: bool) -> None:
        """Write (or add to) y the weighted sums of x's rows."""
        w, kernel = self.window.place, self.kernel
        if not len(self.window.taken):
            _clear(w, kernel.in_channels if self.backward else kernel.out_channels, y, add)
            return
        taps = value.reshape(kernel.out_channels, kernel.in_channels, -1)[:, :, self.window.taken]
        weights = np.ascontiguousarray(taps.transpose(2, 0, 1))
        reads, outs = kernel.in_channels, kernel.out_channels
        if self.backward:
            reads, outs = outs, reads
        parts = min(outs, max(1, -(-2 * numba.get_num_threads() // w.rows)))
        blas.gather_products(
            blas.gemm_address(x.dtype), x, w.source, w.source_row, self.window.shift, weights, self.backward, reads,
            outs, y, w.target, w.target_row, w.target_plane, self.plane, w.rows, w.run, add, parts, x.dtype.type(1),
        )  # fmt: skip

    def dots(self, x: np.ndarray, dy: np.ndarray, *, start: int, row: int, plane: int) -> np.ndarray:
        """dL/dW of all weights, flat, in the parameter's order."""
        w, kernel = self.window.place, self.kernel
        out = np.empty((len(self.window.taken), kernel.out_channels, kernel.in_channels), dtype=x.dtype)
        parts = min(kernel.out_channels, max(1, -(-2 * numba.get_num_threads() // len(self.window.taken))))
        blas.weight_products(
            blas.gemm_address(x.dtype), x, w.source, w.source_row, self.window.shift, kernel.in_channels,
            kernel.out_channels, dy, start, row, plane, self.plane, w.rows, w.run, parts, out, x.dtype.type(1),
        )  # fmt: skip
        return np.ascontiguousarray(out.transpose(1, 2, 0)).reshape(-1)


def tap_indices(kernel: Kernel) -> np.ndarray:
    """Flat indices of the weights between the first channels: one per tap, in order."""
    return np.arange(kernel.kernel[0] * kernel.kernel[1])


def _clear(w: Rectangle, channels: int, y: np.ndarray, add: bool) -> None:
    """What a window writes that no tap reaches: zeros."""
    if not add:
        strides = tuple(step * y.itemsize for step in (w.target_plane, w.target_row, 1))
        as_strided(y[w.target :], (channels, w.rows, w.run), strides)[...] = 0
