"""Where labels go and which range an axis shows: pure functions of positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

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


def spread_labels(positions: Sequence[float], gap: float) -> list[float]:
    """Positions at least ``gap`` apart, in the same order, as near as possible to the given ones (least squares).

    Subtracting ``gap`` times the rank turns "at least gap apart" into "not decreasing", which is isotonic regression:
    neighbours out of order are pooled into a block at their mean.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, count = positions[index] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    levels = [mean for mean, count in blocks for _ in range(count)]
    result = [0.0] * len(positions)
    for rank, (index, level) in enumerate(zip(order, levels, strict=True)):
        result[index] = level + rank * gap
    return result


class Box(NamedTuple):
    """An upright rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """Area that two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def distance(self, x: float, y: float) -> float:
        """From a point to the nearest point of the box."""
        across, up = self.nearest(x, y)
        return math.hypot(across - x, up - y)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the box that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def area(self) -> float:
        return (self.right - self.left) * (self.top - self.bottom)


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    *,
    radius: float,
    keep_clear: Sequence[Box] = (),
) -> list[Box]:
    """A place for each point's label beside it, clear of all else and nearer to its own point than to any other.

    Parameters
    ----------
    points : sequence of (x, y)
    sizes : sequence of (width, height), one per point
    bounds : Box
        Labels stay inside where they can.
    radius : float
        Of the point markers; labels keep that distance.
    keep_clear : sequence of Box
        Further places to stay off.

    Returns
    -------
    list of Box
        One per point: the best of some places around it, right and near first, given where the other labels are. Where
        no place is good, the one that does least harm.
    """
    fixed = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in points] + list(keep_clear)
    placed: list[Box | None] = [None] * len(points)
    # The first round knows only the labels before; two more let each make room for those after.
    for _ in range(3):
        for index, ((x, y), size) in enumerate(zip(points, sizes, strict=True)):
            others = points[:index] + points[index + 1 :]
            taken = fixed + [box for other, box in enumerate(placed) if box is not None and other != index]
            candidates = [box for reach in (1.4, 2.4, 3.6) for box in _around(x, y, *size, radius * reach)]
            placed[index] = min(candidates, key=lambda box: _harm(box, (x, y), others, taken, bounds))
    return placed


def _harm(box: Box, own: tuple[float, float], others, taken: Sequence[Box], bounds: Box) -> float:
    """How bad a place for a label is: area covered, three times the area out of bounds, more if ambiguous."""
    covered = sum(map(box.overlap, taken))
    outside = box.area() - box.overlap(bounds)
    near = box.distance(*own)
    ambiguous = any(box.distance(*other) <= 1.3 * near for other in others)
    return covered + 3 * outside + 1.5 * box.area() * ambiguous


def _around(x: float, y: float, width: float, height: float, away: float) -> list[Box]:
    """Boxes of one size around a point, in order of preference."""
    middle = y - height / 2
    corners = [
        (x + away, middle),
        (x - away - width, middle),
        (x - width / 2, y + away),
        (x - width / 2, y - away - height),
        (x + away * 0.6, y + away * 0.7),
        (x + away * 0.6, y - away * 0.7 - height),
        (x - away * 0.6 - width, y + away * 0.7),
        (x - away * 0.6 - width, y - away * 0.7 - height),
    ]
    return [Box(left, bottom, left + width, bottom + height) for left, bottom in corners]
