"""Layers with so many living weights that matrix products over all of them are faster than sums over the living.

The products are BLAS's, on parts of batch-last buffers, without a copy. SciPy hands out the addresses of its functions.
An address is passed to the compiled loops as a number, so that their machine code can be cached; each thread then calls
BLAS on its own rows. BLAS itself must run single-threaded meanwhile, see `sparcl_ref.fast.threads.single_threaded`: its
threads beside ours would only be in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic
from numpy.lib.stride_tricks import as_strided

from sparcl_ref.fast.geometry import Kernel, Window
from sparcl_ref.fast.jit import compiled

NAMES = {np.dtype(np.float32): "sgemm", np.dtype(np.float64): "dgemm"}
#: The sizes of the matrices in the C signature of either.
INTEGERS = "char *, char *, int *, int *, int *,"
#: Largest distance of rows that such an integer can hold.
LARGEST = 2**31 - 1


@cache
def gemm_address(dtype: np.dtype) -> int:
    """Where the general matrix product of a dtype lies in memory.

    Raises
    ------
    RuntimeError
        If SciPy was built with a BLAS of 64-bit integers, whose arguments `_gemm` would give in the wrong width.
    """
    from scipy.linalg import cython_blas

    signature = str(cython_blas.__pyx_capi__[NAMES[dtype]])
    if INTEGERS not in signature:
        raise RuntimeError(f"SciPy's {NAMES[dtype]} does not take 32-bit integers; use the numpy engine")
    return get_cython_function_address(cython_blas.__name__, NAMES[dtype])


@dataclass(frozen=True)
class MatrixProducts:
    """A window's taps, each a matrix of weights; the dense counterpart of `sparcl_ref.fast.shifted_sums.ShiftedSums`.

    Raises
    ------
    ValueError
        If BLAS cannot count the numbers of a channel.
    """

    kernel: Kernel  #: without groups
    window: Window  #: of the taps' weights between the first channels
    backward: bool  #: whether input channels are written and output channels read, as for dL/dx
    plane: int  #: distance of channels in the buffer read

    def __post_init__(self):
        _check_countable(self.plane, self.window.place.target_plane)

    def gather(self, x: np.ndarray, value: np.ndarray, y: np.ndarray, *, add: bool) -> None:
        """Write (or add to) y the weighted sums of x's rows."""
        w, kernel = self.window.place, self.kernel
        reads, outs = kernel.in_channels, kernel.out_channels
        if self.backward:
            reads, outs = outs, reads
        if not len(self.window.taken):  # no tap reaches what this window writes
            if not add:
                strides = tuple(step * y.itemsize for step in (w.target_plane, w.target_row, 1))
                as_strided(y[w.target :], (outs, w.rows, w.run), strides)[...] = 0
            return
        taps = value.reshape(kernel.out_channels, kernel.in_channels, -1)[:, :, self.window.taken]
        weights = np.ascontiguousarray(taps.transpose(2, 0, 1))
        parts = min(outs, max(1, -(-2 * numba.get_num_threads() // w.rows)))
        gather_products(
            gemm_address(x.dtype), x, w.source, w.source_row, self.window.shift, weights, self.backward, reads,
            outs, y, w.target, w.target_row, w.target_plane, self.plane, w.rows, w.run, add, parts, x.dtype.type(1),
        )  # fmt: skip

    def dots(self, x: np.ndarray, dy: np.ndarray, *, start: int, row: int, plane: int) -> np.ndarray:
        """dL/dW of all weights, flat, in the parameter's order."""
        _check_countable(plane)
        w, kernel = self.window.place, self.kernel
        out = np.empty((len(self.window.taken), kernel.out_channels, kernel.in_channels), dtype=x.dtype)
        parts = min(kernel.out_channels, max(1, -(-2 * numba.get_num_threads() // len(self.window.taken))))
        weight_products(
            gemm_address(x.dtype), x, w.source, w.source_row, self.window.shift, kernel.in_channels,
            kernel.out_channels, dy, start, row, plane, self.plane, w.rows, w.run, parts, out, x.dtype.type(1),
        )  # fmt: skip
        return np.ascontiguousarray(out.transpose(1, 2, 0)).reshape(-1)


def _check_countable(*planes: int) -> None:
    if max(planes) > LARGEST:
        raise ValueError("activations of a channel must hold fewer than 2**31 numbers; use smaller batches")


@intrinsic
def _gemm(typingctx, address, ta, tb, m, n, k, a, astart, lda, b, bstart, ldb, beta, c, cstart, ldc):
    """C = op(A) op(B) + beta C in Fortran's order, each matrix a part of a flat array from an offset on."""
    signature = types.void(address, ta, tb, m, n, k, a, astart, lda, b, bstart, ldb, beta, c, cstart, ldc)

    def codegen(context, builder, signature, args):
        address, ta, tb, m, n, k, _, astart, lda, _, bstart, ldb, beta, _, cstart, ldc = args
        a, b, c = (
            builder.gep(context.make_array(signature.args[i])(context, builder, args[i]).data, [start])
            for i, start in ((6, astart), (9, bstart), (13, cstart))
        )
        element, integer, letter = a.type.pointee, ir.IntType(32), ir.IntType(8)

        def by_reference(value):
            return cgutils.alloca_once_value(builder, value)

        def whole(value):
            return by_reference(builder.trunc(value, integer))

        def character(transposed):
            flag = context.is_true(builder, types.boolean, transposed)
            return by_reference(builder.select(flag, ir.Constant(letter, ord("T")), ir.Constant(letter, ord("N"))))

        one = by_reference(ir.Constant(element, 1.0))
        arguments = [
            character(ta), character(tb), whole(m), whole(n), whole(k), one, a, whole(lda), b, whole(ldb),
            by_reference(beta), c, whole(ldc),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)
        return context.get_dummy_value()

    return signature, codegen


@compiled(parallel=True)
def gather_products(gemm, x, source, source_row, shifts, w, transposed, reads, outs, y, target, target_row, yplane,
                    xplane, rows, run, add, parts, one):  # fmt: skip
    """Every channel written, by rows: the sum over taps of a matrix of weights times the rows that the tap sees.

    Parameters
    ----------
    gemm : int
        Address of the matrix product.
    source, source_row, xplane, target, target_row, yplane : int
        First row of the first channel, and distances of rows and channels, of what is read and written.
    w : ndarray, shape (taps, written, read), or (taps, read, written) if ``transposed``
    reads, outs, rows, run : int
        Channels read and written, rows, numbers per row.
    parts : int
        Into how many ranges the channels written are split.
    one : floating
        1 of the arrays' dtype.
    """
    taps = len(shifts)
    weights = w.reshape(-1)
    for task in prange(rows * parts):
        row, part = task // parts, task % parts
        low, high = part * outs // parts, (part + 1) * outs // parts
        for tap in range(taps):
            first = tap * reads * outs + (low if transposed else low * reads)
            _gemm(
                gemm, False, transposed, run, high - low, reads,
                x, source + row * source_row + shifts[tap], xplane,
                weights, first, outs if transposed else reads,
                one if add or tap > 0 else one - one, y, target + row * target_row + low * yplane, yplane,
            )  # fmt: skip


@compiled(parallel=True)
def weight_products(gemm, x, source, source_row, shifts, reads, outs, dy, start, row, yplane, xplane, rows, run, parts,
                    out, one):  # fmt: skip
    """For every tap, the products of dy's rows with the rows that the tap sees, summed over rows: (taps, outs, reads).

    ``out`` is overwritten; all else is as for `gather_products`, dy beginning at ``start`` with distances ``row`` and
    ``yplane``.
    """
    flat = out.reshape(-1)
    for task in prange(len(shifts) * parts):
        tap, part = task // parts, task % parts
        low, high = part * outs // parts, (part + 1) * outs // parts
        for h in range(rows):
            _gemm(
                gemm, True, False, reads, high - low, run,
                x, source + h * source_row + shifts[tap], xplane,
                dy, start + h * row + low * yplane, yplane,
                one if h > 0 else one - one, flat, (tap * outs + low) * reads, reads,
            )  # fmt: skip
