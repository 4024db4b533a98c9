"""The two inner loops of the sparse engine, built from vector instructions.

Numba's loop vectoriser keeps a running sum in memory: it loads and stores the output for every few weights. Written
out as LLVM vectors, 256 consecutive bytes of the output stay in eight registers while all weights of a row pass by,
and the only memory read per multiplication is the input itself. The vectors are 32 bytes wide whatever the machine;
LLVM splits them where registers are narrower.

Nothing here checks bounds: offsets come from `sparcl_ref.fast.sweep`, which derives them from the layouts.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

VECTOR_BYTES = 32
#: Vectors per tile of the widest kernel.
WIDE = 8


def _make_gather(vectors: int) -> Any:
    """A kernel that computes ``y[i] = sum over k of vals[k] * x[start + offs[k] + i]`` for one tile of i."""

    @intrinsic
    def gather(typingctx, x, start, offs, vals, first, last, y, ystart, add):
        signature = types.void(x, start, offs, vals, first, last, y, ystart, add)

        def codegen(context, builder, signature, args):
            _, start, _, _, first, last, _, ystart, add = args
            x, offs, vals, y = (_pointer(context, builder, signature, args, i) for i in (0, 2, 3, 6))
            tile = _Tile(builder, x.type.pointee, vectors)
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


def _make_dots(vectors: int) -> Any:
    """A kernel that adds ``sum over i of dy[dystart + i] * x[start + offs[k] + i]`` to ``out[k]`` for a range of k."""

    @intrinsic
    def dots(typingctx, x, start, offs, first, last, dy, dystart, out):
        signature = types.void(x, start, offs, first, last, dy, dystart, out)

        def codegen(context, builder, signature, args):
            _, start, _, first, last, _, dystart, _ = args
            x, offs, dy, out = (_pointer(context, builder, signature, args, i) for i in (0, 2, 5, 7))
            tile = _Tile(builder, x.type.pointee, vectors)
            source, upstream = builder.gep(x, [start]), builder.gep(dy, [dystart])
            held = [tile.load(upstream, part) for part in range(vectors)]
            with cgutils.for_range_slice(builder, first, last, ir.Constant(first.type, 1)) as (k, _):
                shifted = builder.gep(source, [builder.sext(builder.load(builder.gep(offs, [k])), start.type)])
                sums = [builder.fmul(held[part], tile.load(shifted, part)) for part in range(min(2, vectors))]
                for part in range(2, vectors):
                    sums[part % 2] = tile.multiply_add(held[part], tile.load(shifted, part), sums[part % 2])
                total = sums[0] if vectors == 1 else builder.fadd(*sums)
                place = builder.gep(out, [k])
                builder.store(builder.fadd(builder.load(place), tile.reduce(total)), place)
            return context.get_dummy_value()

        return signature, codegen

    return dots


class _Tile:
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
        instruction = self.builder.load(self._place(base, part))
        instruction.align = self.item_bytes
        return instruction

    def store(self, value, base, part: int) -> None:
        instruction = self.builder.store(value, self._place(base, part))
        instruction.align = self.item_bytes

    def multiply_add(self, a, b, c):
        """``a * b + c``, which LLVM may round once (a fused instruction) or twice."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=["contract"]), c, flags=["contract"])

    def _shuffle(self, value, lanes: list[int]):
        undefined = ir.Constant(value.type, ir.Undefined)
        order = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.builder.shuffle_vector(value, undefined, order)

    def broadcast(self, scalar):
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        return self._shuffle(first, [0] * self.lanes)

    def reduce(self, value):
        """Sum of a vector's lanes, by halves."""
        width = self.lanes
        while width > 1:
            width //= 2
            low, high = self._shuffle(value, list(range(width))), self._shuffle(value, list(range(width, 2 * width)))
            value = self.builder.fadd(low, high)
        return self.builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


def _pointer(context, builder, signature, args, position: int):
    return context.make_array(signature.args[position])(context, builder, args[position]).data


gather_wide = _make_gather(WIDE)
gather_half = _make_gather(WIDE // 2)
gather_one = _make_gather(1)
dots_wide = _make_dots(WIDE)
dots_half = _make_dots(WIDE // 2)
dots_one = _make_dots(1)
