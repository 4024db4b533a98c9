"""Where labels go and which range an axis shows: pure functions of positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: An entry this far (in accuracy) below the best would squeeze the others into a thin band of a shared axis.
FAR = 0.25


def is_near_best(values: Sequence[float], *, far: float = FAR) -> list[bool]:
    """Which values lie within ``far`` of the best; all of them if that left one alone, or if none is farther away.

    Entries that are not near get an axis of their own.
    """
    near = [value >= max(values) - far for value in values]
    return near if sum(near) > 1 else [True] * len(values)


def padded_range(values: Sequence[float], *, pad: float = 0.06, least: float = 0.02) -> tuple[float, float]:
    """Axis limits around accuracies: room on both sides, at least ``least`` wide, and little room beyond 0 and 1."""
    low, high = min(values), max(values)
    room = max(pad * (high - low), (least - (high - low)) / 2, 0.004)
    return max(low - room, -0.02), min(high + room, 1.02)


def spread_labels(
    positions: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """Positions at least ``gap`` apart, in the same order, as near as possible to the given ones (least squares).

    They stay within ``low`` and ``high`` if there is room for all; else they begin at ``low``. Subtracting ``gap``
    times the rank turns "at least gap apart" into "not decreasing", which is isotonic regression: neighbours out of
    order are pooled into a block at their mean, and bounds only clip its solution.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, count = positions[index] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    high = max(low, high - (len(positions) - 1) * gap)
    levels = [min(max(mean, low), high) for mean, count in blocks for _ in range(count)]
    result = [0.0] * len(positions)
    for rank, (index, level) in enumerate(zip(order, levels, strict=True)):
        result[index] = level + rank * gap
    return result
