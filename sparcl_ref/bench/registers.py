"""Compiled loops that do nothing but what a roof measures: multiply-adds, sums of rows, copies."""

from __future__ import annotations

from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from sparcl_ref.fast.jit import compiled
from sparcl_ref.fast.microkernel import VECTOR_BYTES, WIDE, Tile, gather_wide

#: Sums that grow side by side: more than multiply-adds in flight (latency times units), fewer than registers.
CHAINS = 12
#: Numbers per vector, of float32.
LANES = VECTOR_BYTES // 4
#: Numbers per tile of the engine's widest kernel.
TILE = WIDE * LANES


@intrinsic
def _chains(typingctx, rounds, factor, term, out, place):
    """Apply ``s = s * factor + term`` to `CHAINS` vectors ``rounds`` times, then store their sum."""
    signature = types.void(rounds, factor, term, out, place)

    def codegen(context, builder, signature, args):
        rounds, factor, term, out, place = args
        tile = Tile(builder, ir.FloatType(), 1)
        factors, terms = tile.broadcast(factor), tile.broadcast(term)
        # Different beginnings, or all chains would be one.
        starts = [ir.Constant(tile.vector, [float(chain)] * LANES) for chain in range(CHAINS)]
        sums = [cgutils.alloca_once_value(builder, start) for start in starts]
        with cgutils.for_range(builder, rounds):
            for total in sums:
                builder.store(tile.multiply_add(builder.load(total), factors, terms), total)
        whole = builder.load(sums[0])
        for total in sums[1:]:
            whole = builder.fadd(whole, builder.load(total))
        array = context.make_array(signature.args[3])(context, builder, out).data
        tile.store(whole, builder.gep(array, [place]), 0)
        return context.get_dummy_value()

    return signature, codegen


@compiled(parallel=True)
def multiply_add(rounds, factor, term, out, threads):
    """``CHAINS * LANES * rounds`` multiply-adds in each thread; ``out`` has `TILE` float32 numbers for each."""
    for thread in prange(threads):
        _chains(rounds, factor, term, out, thread * TILE)


@compiled(parallel=True)
def stream(x, each, offs, vals, y, passes, threads):
    """Each thread multiplies and adds its own ``each`` numbers of x, a tile at a time, ``passes`` times."""
    for thread in prange(threads):
        for _ in range(passes):
            gather_wide(x, thread * each, offs, vals, 0, len(offs), y, thread * TILE, True)


@compiled(parallel=True)
def short_sums(x, offs, vals, indptr, y, passes, threads):
    """Each thread writes a tile of y for each stretch of weights that ``indptr`` bounds, all from one part of x."""
    outs = len(indptr) - 1
    for thread in prange(threads):
        for _ in range(passes):
            for out in range(outs):
                place = (thread * outs + out) * TILE
                gather_wide(x, 0, offs, vals, indptr[out], indptr[out + 1], y, place, False)


@compiled(parallel=True)
def copy(source, target, each, passes, threads):
    """Each thread copies its own ``each`` numbers, ``passes`` times."""
    for thread in prange(threads):
        read, written = source[thread * each : (thread + 1) * each], target[thread * each : (thread + 1) * each]
        for _ in range(passes):
            for i in range(each):
                written[i] = read[i]
