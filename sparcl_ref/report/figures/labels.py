"""Where labels of points go, so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparcl_ref.report.figures.canvas import LINE

#: Inches from a point to a label beside it, and half a point's width.
NEAR, HALF = 0.17, 0.08
#: Inches that a label may reach beyond the right end of its sheet.
MARGIN = 0.22


class Place(NamedTuple):
    """Where a label begins and at which height, in inches, and to which side its text goes: 1 right, -1 left."""

    start: float
    level: float
    side: int


def place_labels(
    points: Sequence[tuple[float, float]], widths: Sequence[float], sheet: tuple[float, float]
) -> list[Place]:
    """A place for each point's label on a sheet of that width and height; all in inches.

    Points that stand alone have their label beside them. Any other takes the nearest place where it covers no point, no
    label and no line between one and its point, and where its own line crosses none of them; or the place where least
    of this happens. Places are looked for one after the other, three times over, each given all others.
    """
    crowd = [sum(abs(x - a) < 1.2 and abs(y - b) < 0.5 for a, b in points) for x, y in points]
    order = sorted(range(len(points)), key=lambda index: (crowd[index], -points[index][1]))
    dots = np.array([(x - HALF, y - HALF, x + HALF, y + HALF) for x, y in points]).reshape(-1, 4)
    found: dict[int, Place] = {}
    labels: dict[int, np.ndarray] = {}
    lines: dict[int, np.ndarray] = {}
    for index in order * 3:
        (x, y), wide = points[index], widths[index]
        start, level, side = _choices(x, y, sheet[1])
        ends = np.sort([start, start + side * wide], axis=0)
        boxes = np.stack([ends[0], level - LINE / 2, ends[1], level + LINE / 2], axis=1)
        ties = _ties(x, y, start - side * 0.05, level)
        others = [other for other in found if other != index]
        written = np.concatenate([np.zeros((0, 4)), *(labels[other] for other in others)])
        drawn = np.concatenate([np.zeros((0, 4)), *(lines[other] for other in others)])
        harm = (
            1000 * ((ends[0] < 0) | (ends[1] > sheet[0] + MARGIN))
            + 100 * _covered(boxes, written)
            + 20 * _covered(boxes, dots)
            + 2 * (_covered(boxes, drawn) > 0)
            + 2 * _crossed(ties, written)
            + _crossed(ties, np.delete(dots, index, axis=0))
            + 1.5 * np.hypot(level - y, start - side * NEAR - x)
            + 0.01 * (side < 0)
        )
        best = int(np.argmin(harm))
        found[index] = Place(float(start[best]), float(level[best]), int(side[best]))
        labels[index], lines[index] = boxes[best : best + 1], ties[best]
    return [found[index] for index in range(len(points))]


def _choices(x: float, y: float, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, level and side of every place that is looked at: a grid around the point, all the way up and down."""
    steps = np.arange(-np.floor((y - 0.1) / 0.1), np.floor((height - y) / 0.1) + 1) * 0.1
    side, away, level = np.meshgrid((1, -1), NEAR + 0.12 * np.arange(14), y + steps, indexing="ij")
    return (x + side * away).ravel(), level.ravel(), side.ravel()


def _ties(x: float, y: float, start: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Lines from a point to each start, as boxes without extent along them: (lines, boxes, 4)."""
    share = np.linspace(0.1, 1, 12)
    along = np.stack([x + share * (start - x)[:, None], y + share * (level - y)[:, None]], axis=2)
    return np.concatenate([along, along], axis=2)


def _covered(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How many of the others each box covers a part of."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.count_nonzero((low < high + 1e-9).all(axis=2), axis=1)


def _crossed(ties: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether each line goes through any of the others."""
    crossed: np.ndarray = _covered(ties.reshape(-1, 4), others).reshape(ties.shape[:2]).sum(axis=1) > 0
    return crossed
