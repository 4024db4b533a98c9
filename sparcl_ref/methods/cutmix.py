"""CutMix (Yun et al., ICCV 2019): a box of each image from another one, and labels by area."""

from __future__ import annotations

import math

import numpy as np


def box(share: float, height: int, width: int, row: int, column: int) -> tuple[slice, slice]:
    """About ``share`` of an image around a pixel, of the image's proportions, cut off at its edges."""
    h, w = (int(size * math.sqrt(share)) for size in (height, width))
    top, left = row - h // 2, column - w // 2
    rows, columns = ((start, start + size) for start, size in ((top, h), (left, w)))
    return slice(max(0, rows[0]), min(height, rows[1])), slice(max(0, columns[0]), min(width, columns[1]))


def cutmix(x: np.ndarray, partner: np.ndarray, place: tuple[slice, slice]) -> tuple[np.ndarray, float]:
    """Images with a box from their partners' (Yun et al. 2019), and the share of each image that is still its own."""
    mixed = x.copy()
    mixed[:, :, place[0], place[1]] = x[partner][:, :, place[0], place[1]]
    area = (place[0].stop - place[0].start) * (place[1].stop - place[1].start)
    return mixed, 1 - area / (x.shape[2] * x.shape[3])
