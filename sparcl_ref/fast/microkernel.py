"""The two inner loops of the sparse engine, built from vector instructions.

Numba's loop vectoriser keeps a running sum in memory: it loads and stores the output for every few weights. Written
out as LLVM vectors, eight consecutive vectors of the output stay in registers while all weights of a row pass by, and
the only memory read per multiplication is the input itself. Vectors are as wide as the machine's registers: 64 bytes
with AVX-512, else 32, which LLVM splits where registers are narrower still.

Nothing here checks bounds: offsets come from `sparcl_ref.fast.shifted_sums`, which derives them from the layouts.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _widest_vector() -> int:
    """Bytes of the machine's vector registers, as far as they matter here."""
    try:
        return 64 if binding.get_host_cpu_features().get("avx512f", False) else 32
    except RuntimeError:  # LLVM cannot tell on every machine
        return 32


VECTOR_BYTES = _widest_vector()
#: Vectors per tile of the widest kernel.
WIDE = 8
#: Rows of one tile of a dot product: two need 16 registers for dL/dy alone.
DOT_ROWS = 2 if VECTOR_BYTES == 64 else 1
#: Weights whose dot products are summed across lanes together, largest groups first.
GROUPS = (8, 4, 1)


def _make_gather(vectors: int) -> Any:
    """A kernel that computes ``y[i] = sum over k of vals[k] * x[start + offs[k] + i]`` for one tile of i."""

    @intrinsic
    def gather(typingctx, x, start, offs, vals, first, last, y, ystart, add):
        signature = types.void(x, start, offs, vals, first, last, y, ystart, add)

        def codegen(context, builder, signature, args):
            _, start, _, _, first, last, _, ystart, add = args
            x, offs, vals, y = (_pointer(context, builder, signature, args, i) for i in (0, 2, 3, 6))
            tile = Tile(builder, x.type.pointee, vectors)
            source, target = builder.gep(x, [start]), builder.gep(y, [ystart])
            zero = ir.Constant(tile.vector, [0.0] * tile.lanes)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(vectors)]
            with builder.if_then(context.is_true(builder, signature.args[8], add)):
                for part, total in enumerate(sums):
                    builder.store(tile.load(target, part), total)
            with cgutils.for_range_slice(builder, first, last, ir.Constant(first.type, 1)) as (k, _):
                shifted = builder.gep(source, [builder.sext(builder.load(builder.gep(offs, [k])), start.type)])
                weight = tile.broadcast(builder.load(builder.gep(vals, [k])))
                for part, total in enumerate(sums):
                    product = tile.multiply_add(weight, tile.load(shifted, part), builder.load(total))
                    builder.store(product, total)
            for part, total in enumerate(sums):
                tile.store(builder.load(total), target, part)
            return context.get_dummy_value()

        return signature, codegen

    return gather


def _make_dots(vectors: int, rows: int = 1) -> Any:
    """A kernel that adds ``sum over i of dy[dystart + i] * x[start + offs[k] + i]`` to ``out[k]`` for a range of k.

    With two rows, also that of the rows ``dystep`` and ``xstep`` further on, so that half as many vectors are summed
    across lanes.
    """

    @intrinsic
    def dots(typingctx, x, start, xstep, offs, first, last, dy, dystart, dystep, out):
        signature = types.void(x, start, xstep, offs, first, last, dy, dystart, dystep, out)

        def codegen(context, builder, signature, args):
            _, start, xstep, _, first, last, _, dystart, dystep, _ = args
            x, offs, dy, out = (_pointer(context, builder, signature, args, i) for i in (0, 3, 6, 9))
            tile = Tile(builder, x.type.pointee, vectors)
            source, upstream = builder.gep(x, [start]), builder.gep(dy, [dystart])

            def along(base, step):
                """Every vector of a tile that begins at base."""
                bases = [base, builder.gep(base, [step])][:rows]
                return [tile.load(row, part) for row in bases for part in range(vectors)]

            held = along(upstream, dystep)

            def products(k):
                """Lane by lane, dy times the row that weight k sees."""
                shifted = builder.gep(source, [builder.sext(builder.load(builder.gep(offs, [k])), start.type)])
                sums = []
                for place, (one, other) in enumerate(zip(held, along(shifted, xstep), strict=True)):
                    if place < 2:
                        sums.append(builder.fmul(one, other))
                    else:
                        sums[place % 2] = tile.multiply_add(one, other, sums[place % 2])
                return sums[0] if len(sums) == 1 else builder.fadd(*sums)

            for group in (group for group in GROUPS if group <= tile.lanes):
                step = ir.Constant(first.type, group)
                end = builder.add(first, builder.mul(builder.sdiv(builder.sub(last, first), step), step))
                with cgutils.for_range_slice(builder, first, end, step) as (k, _):
                    totals = [products(builder.add(k, ir.Constant(k.type, member))) for member in range(group)]
                    place = builder.gep(out, [k])
                    tile.accumulate(tile.reduce(totals), place)
                first = end
            return context.get_dummy_value()

        return signature, codegen

    return dots


class Tile:
    """Emits instructions on vectors of one element type."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type, vectors: int):
        self.builder = builder
        self.element = element
        self.item_bytes = 4 if element == ir.FloatType() else 8
        self.lanes = VECTOR_BYTES // self.item_bytes
        self.vector = ir.VectorType(element, self.lanes)
        self.vectors = vectors

    def _place(self, base, part: int):
        index = ir.Constant(ir.IntType(64), part * self.lanes)
        return self.builder.bitcast(self.builder.gep(base, [index]), self.vector.as_pointer())

    def load(self, base, part: int):
        """Vector number ``part`` from ``base``, which need not be aligned."""
        return self.builder.load(self._place(base, part), align=self.item_bytes)

    def store(self, value, base, part: int) -> None:
        self.builder.store(value, self._place(base, part), align=self.item_bytes)

    def multiply_add(self, a, b, c):
        """``a * b + c``, which LLVM may round once (a fused instruction) or twice."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=["contract"]), c, flags=["contract"])

    def _shuffle(self, value, lanes: list[int], other=None):
        """The lanes named, of one vector or of two in a row."""
        order = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.builder.shuffle_vector(
            value, ir.Constant(value.type, ir.Undefined) if other is None else other, order
        )

    def broadcast(self, scalar):
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        return self._shuffle(first, [0] * self.lanes)

    def reduce(self, values: list):
        """Vector of the sums over the lanes of each vector given, as many as there are vectors (a power of two).

        Two vectors become one that holds the halved sums of both, and so on: a fraction of the work of summing each
        alone.
        """
        segment = self.lanes  # lanes that belong to one of the sums
        while segment > 1:
            segment //= 2
            paired = []
            for a, b in zip(values[::2], values[1::2], strict=True) if len(values) > 1 else [(values[0], None)]:
                width = a.type.count * (1 if b is None else 2)
                low = [lane for lane in range(width) if lane // segment % 2 == 0]
                high = [lane + segment for lane in low]
                paired.append(self.builder.fadd(self._shuffle(a, low, b), self._shuffle(a, high, b)))
            values = paired
        return values[0]

    def accumulate(self, sums, place) -> None:
        """Add a vector to consecutive numbers in memory."""
        place = self.builder.bitcast(place, sums.type.as_pointer())
        held = self.builder.load(place, align=self.item_bytes)
        self.builder.store(self.builder.fadd(held, sums), place, align=self.item_bytes)


def _pointer(context, builder, signature, args, position: int):
    return context.make_array(signature.args[position])(context, builder, args[position]).data


gather_wide = _make_gather(WIDE)
gather_half = _make_gather(WIDE // 2)
gather_one = _make_gather(1)
dots_pair = _make_dots(WIDE, 2)
dots_wide = _make_dots(WIDE)
dots_half = _make_dots(WIDE // 2)
dots_one = _make_dots(1)
