"""Structured kinds of the published code: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from tests.verify import draws
from tests.verify.areas.released.weights import published, signed
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _keep_kernels_per_filter()
    yield from _kernels_to_grow()
    yield from _grow_column_blocks()
    yield from _silent_filters()


def _keep_kernels_per_filter() -> Iterator[CaseSpec]:
    case = partial(published, "keep_kernels_per_filter")
    conv = signed("balanced", (3, 8, 3, 3))
    rising = np.broadcast_to(np.arange(1.0, 17.0).reshape(1, 16, 1, 1), (1, 16, 3, 3))
    yield case("conv", "regular", "each channel loses 3.5, cut off to 3", weight=conv, sparsity="0.75")
    yield case("half", "adversarial", "a count of -2: all but the 2 greatest go", weight=rising, sparsity="0.5")
    yield case("low", "adversarial", "a count of -9.2, cut off towards 0: 9 stay", weight=rising, sparsity="0.3")
    yield case("near-five-ninths", "edge", "a count of -0.2 is 0: all stay", weight=rising, sparsity="0.55")
    yield case("three-rows", "adversarial", "3x1 kernels are counted as 3x3", weight=rising[..., :1], sparsity="0.8")
    yield case("three-rows-low", "adversarial", "3x1: negative too", weight=rising[..., :1], sparsity="0.5")
    yield case("three-columns", "edge", "1x3 kernels are not", weight=rising[:, :, :1], sparsity="0.5")
    pointwise = signed("balanced pointwise", (4, 10, 1, 1))
    yield case("pointwise", "regular", "other kernels lose s of them", weight=pointwise, sparsity="0.75")
    holed = conv.copy()
    holed[:, :, 1, 1] = 0.0
    yield case("holed", "edge", "a 0 in a kernel that stays is dead", weight=holed, sparsity="0.75")


def _kernels_to_grow() -> Iterator[CaseSpec]:
    case = partial(published, "kernels_to_grow")

    def kernels(label: str, shape: tuple[int, ...], empty: list[int]) -> np.ndarray:
        """In channel i the first empty[i] kernels are 0."""
        sizes = draws.distinct(label, shape)
        for channel, count in zip(sizes, empty, strict=True):
            channel[:count] = 0.0
        return sizes

    half = kernels("grow half", (3, 8, 3, 3), [5, 4, 6])
    yield case("conv", "regular", "5, 4 and 6 are empty, 3.5 may stay so", weight=half, sparsity="0.75")
    full = kernels("grow full", (2, 4, 3, 3), [0, 0])
    yield case("none-empty", "edge", "no kernel is empty: none joins, and none is missed", weight=full, sparsity="0.9")
    cancelled = half.copy()
    cancelled[0, 6:] = cancelled[2, 7] = 0.0
    cancelled[0, 6:, 0, 0] = cancelled[2, 7, 2, 2] = 1.0
    cancelled[0, 6:, 1, 1] = cancelled[2, 7, 0, 1] = -1.0
    yield case("cancelled", "adversarial", "+1 and -1 are empty as well", weight=cancelled, sparsity="0.75")
    flat = kernels("grow pointwise", (2, 10, 1, 1), [8, 7])
    yield case("pointwise", "regular", "7 may stay empty", weight=flat, sparsity="0.7")
    tall = kernels("grow tall", (2, 8, 3, 1), [4, 6])
    yield case("three-rows", "adversarial", "3x1 kernels are counted as 3x3", weight=tall, sparsity="0.75")


def _grow_column_blocks() -> Iterator[CaseSpec]:
    case = partial(published, "grow_column_blocks")
    weight = draws.distinct("blocks", (8, 5, 1, 1))
    weight[:4, [1, 2, 4]] = weight[4:, [0, 3]] = 0.0
    places = {"joining": np.array([8, 1])}
    yield case("conv", "regular", "int(5 - 2.5) of five empty blocks join", weight=weight, sparsity="0.25", **places)
    cancelled = weight.copy()
    cancelled[0, 1], cancelled[3, 1] = 1.0, -1.0
    yield case("cancelled", "adversarial", "+1 and -1 are empty: the block joins whole", weight=cancelled,
        sparsity="0.25", joining=np.array([1, 5]))  # fmt: skip
    yield case("left-as-it-is", "adversarial", "an empty block that was not drawn keeps its +1 and -1",
        weight=cancelled, sparsity="0.25", joining=np.array([2, 8]))  # fmt: skip
    yield case("none", "edge", "0.5 is cut off", weight=weight, sparsity="0.45", joining=np.zeros(0, np.int64))
    kernels = np.zeros((4, 2, 1, 2))
    yield case("kernels", "edge", "blocks are counted along rows", weight=kernels, sparsity="0.5",
        joining=np.array([3, 1]))  # fmt: skip


def _silent_filters() -> Iterator[CaseSpec]:
    case = partial(published, "silent_filters")
    weight = signed("silent", (5, 2, 3, 3))
    weight[[1, 4]] = 0.0
    yield case("conv", "regular", "dead filters", weight=weight)
    cancelled = weight.copy()
    cancelled[4, 0, 1, 1], cancelled[4, 1, 0, 2] = 2.0, -2.0
    yield case("cancelled", "adversarial", "a filter that sums to 0, though it lives", weight=cancelled)
    yield case("none", "edge", "all filters live", weight=signed("silent all", (3, 2, 1, 1)))


# --- oracle -----------------------------------------------------------------------------------------------------------


def share(weight: np.ndarray, sparsity: str) -> Fraction:
    """Of the kernels those to die, by the rows of a kernel alone."""
    alive = 1 - Fraction(sparsity)
    return 1 - alive * 9 / 4 if weight.shape[2] == 3 else 1 - alive


def truncated(number: Fraction) -> int:
    """int(number); refuses a number that rounding could carry over an integer."""
    if number.denominator > 1 and abs(number - round(number)) < Fraction(1, 10**6):
        raise ValueError(f"choose sizes with another count than {number}")
    return int(number)


def keep_kernels_per_filter(a: Arguments) -> Result:
    """Sums of squares in exact fractions, sorted and sliced channel by channel."""
    weight = a["weight"]
    count = truncated(share(weight, a["sparsity"]) * weight.shape[1])
    mask = weight != 0
    for channel, row in zip(mask, weight, strict=True):
        energies = [sum(Fraction(w) ** 2 for w in kernel.reshape(-1).tolist()) for kernel in row]
        channel[sorted(range(len(row)), key=energies.__getitem__)[:count]] = False
    return {"mask": mask}, {}


def kernels_to_grow(a: Arguments) -> Result:
    """Sums in exact fractions, kernel by kernel."""
    weight = a["weight"]
    empty = [[sum(map(Fraction, kernel.reshape(-1).tolist())) == 0 for kernel in row] for row in weight]
    if not any(map(any, empty)):
        return {"empty": np.array(empty), "joining": np.zeros(len(weight), np.int64)}, {}
    stay = share(weight, a["sparsity"]) * weight.shape[1]
    joining = [truncated(sum(row) - stay) for row in empty]
    if any(not 0 <= count <= sum(row) for count, row in zip(joining, empty, strict=True)):
        raise ValueError(f"choose kernels of which so many can join, not {joining}")
    return {"empty": np.array(empty), "joining": np.array(joining, np.int64)}, {}


def grow_column_blocks(a: Arguments) -> Result:
    """Weight by weight: a weight lives if it is not 0, or its block is drawn."""
    weight, drawn = a["weight"], set(a["joining"].tolist())
    columns = weight[0].size
    flat = weight.reshape(-1).tolist()
    blocks = [place // columns // 4 * columns + place % columns for place in range(len(flat))]
    sums: dict[int, Fraction] = {}
    for block, w in zip(blocks, flat, strict=True):
        sums[block] = sums.get(block, Fraction(0)) + Fraction(w)
    empty = {block for block, total in sums.items() if total == 0}
    if not drawn <= empty or len(drawn) != truncated(len(empty) - Fraction(a["sparsity"]) * len(sums)):
        raise ValueError(f"{sorted(drawn)} is no draw from {sorted(empty)}")
    alive = [w != 0 or block in drawn for w, block in zip(flat, blocks, strict=True)]
    return {"mask": np.array(alive).reshape(weight.shape)}, {}


def silent_filters(a: Arguments) -> Result:
    """Sums in exact fractions, channel by channel."""
    return {"silent": np.array([sum(map(Fraction, row.reshape(-1).tolist())) == 0 for row in a["weight"]])}, {}


_ORACLES = (keep_kernels_per_filter, kernels_to_grow, grow_column_blocks, silent_filters)
ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in _ORACLES}


# --- wrong implementations --------------------------------------------------------------------------------------------


def balanced(weight, sparsity, *, fault):
    rows = weight.shape[2] == 3 and (weight.shape[3] == 3 or fault != "3x3 alone")
    s = float(sparsity)
    part = 1 - (1 - s) * 9 / 4 if rows and fault != "no patterns" else s
    count = int(weight.shape[1] * part)
    if count < 0:
        count = {"no negative count": 0, "as many go": -count}.get(fault, count)
    mask = weight != 0
    for channel, row in zip(mask, weight, strict=True):
        channel[np.argsort((row**2).sum(axis=(1, 2)), kind="stable")[:count]] = False
    return mask


def growing(weight, sparsity, *, fault):
    kernels = weight.reshape(*weight.shape[:2], -1)
    empty = ~kernels.any(axis=2) if fault == "all 0" else kernels.sum(axis=2) == 0
    s = float(sparsity)
    part = 1 - (1 - s) * 9 / 4 if weight.shape[2] == 3 and fault != "no patterns" else s
    counts = [max(0, int(row.sum() - part * len(row))) for row in empty]
    return empty, counts if fault != "rounded" else [max(0, round(row.sum() - part * len(row))) for row in empty]


def blocks(weight, sparsity, joining, *, fault):
    mask = (weight != 0).reshape(len(weight) // 4, 4, -1)
    if fault == "alone":
        mask[...] = False
    for place in joining.tolist():
        row, column = divmod(place, mask.shape[2])
        if fault == "by column":
            column, row = divmod(place, mask.shape[0])
        mask[row, :, column] = True
    if fault == "empty die":
        sums = weight.reshape(mask.shape).sum(axis=1)
        drawn = np.isin(np.arange(sums.size), joining).reshape(sums.shape)
        mask &= ((sums != 0) | drawn)[:, None]
    return mask.reshape(weight.shape)


WRONG = (
    Wrong("balanced-none", "keep_kernels_per_filter", "a negative count removes nothing", balanced,
        fault="no negative count",
        likely="no kernel removed where the count is negative"),
    Wrong("balanced-other-end", "keep_kernels_per_filter", "a negative count removes as many", balanced,
        fault="as many go"),
    Wrong("balanced-squares", "keep_kernels_per_filter", "3x1 kernels are as others", balanced, fault="3x3 alone",
        likely="the share of patterns for 3x3 kernels alone, not for 3x1"),
    Wrong("balanced-plain", "keep_kernels_per_filter", "s of the kernels die", balanced, fault="no patterns",
        likely="s of the kernels removed, whatever patterns take"),
    Wrong("growing-all-zero", "kernels_to_grow", "empty is what has no weight", growing, fault="all 0",
        likely="a kernel empty only if all of its weights are 0"),
    Wrong("growing-plain", "kernels_to_grow", "s of the kernels stay empty", growing, fault="no patterns"),
    Wrong("growing-nearest", "kernels_to_grow", "rounded to the nearest", growing, fault="rounded"),
    Wrong("blocks-alone", "grow_column_blocks", "only the drawn blocks live", blocks, fault="alone",
        likely="the blocks that join alone"),
    Wrong("blocks-by-column", "grow_column_blocks", "blocks are counted down columns", blocks, fault="by column"),
    Wrong("blocks-empty-die", "grow_column_blocks", "what sums to 0 and is not drawn dies", blocks, fault="empty die"),
    Wrong("silent-all-zero", "silent_filters", "silent is what has no weight",
        lambda weight: ~weight.any(axis=(1, 2, 3)), likely="only channels whose weights are all 0"),
    Wrong("silent-inputs", "silent_filters", "input channels instead of output channels",
        lambda weight: weight.sum(axis=(0, 2, 3)) == 0),
)  # fmt: skip
