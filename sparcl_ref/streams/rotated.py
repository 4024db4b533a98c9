"""Rotated images: each task has all images turned by an angle of its own (Lopez-Paz and Ranzato, NeurIPS 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.scenario import Plan, Scenario, domain_incremental
from sparcl_ref.streams.tasks import Stream


@dataclass(frozen=True, eq=False)
class Rotation:
    """Turns images by an angle in degrees: each pixel is a weighted sum of those it comes from.

    ``matrix`` is sparse, of shape (H * W, H * W). Sums are rounded to the nearest whole number for uint8.
    """

    degrees: float
    matrix: Any

    def __call__(self, images: np.ndarray) -> np.ndarray:
        n, c, height, width = images.shape
        values = images.reshape(n * c, height * width)
        whole = images.dtype == np.uint8
        turned = (self.matrix @ (values.astype(np.float64) if whole else values).T).T.reshape(images.shape)
        return (np.rint(turned) if whole else turned).astype(images.dtype)


def rotation(degrees: float, height: int, width: int) -> Rotation:
    """Turn about the middle, counter-clockwise; the size stays.

    The pixel at ``(r, c)`` from the middle, rows downwards, takes the value at
    ``(r cos a + c sin a, c cos a - r sin a)``, interpolated linearly between the four pixels around that place; beyond
    the edge everything is 0.
    """
    from scipy import sparse

    angle, size = np.deg2rad(degrees), np.array([[height], [width]])
    middle = (size - 1) / 2
    row, column = np.indices((height, width)).reshape(2, -1) - middle
    place = np.stack([row * np.cos(angle) + column * np.sin(angle), column * np.cos(angle) - row * np.sin(angle)])
    place = np.round(place + middle, 9)  # else a quarter turn would mix in neighbours by 1e-16
    corner = np.floor(place).astype(np.int64)
    beyond = place - corner
    matrix = sparse.csr_array((height * width, height * width))
    for down, right in np.ndindex(2, 2):
        step = np.array([[down], [right]])
        source, weight = corner + step, np.where(step, beyond, 1 - beyond).prod(axis=0)
        inside = ((source >= 0) & (source < size)).all(axis=0)
        target = np.flatnonzero(inside)
        entries = (weight[inside], (target, np.ravel_multi_index(tuple(source[:, inside]), (height, width))))
        matrix = matrix + sparse.csr_array(entries, shape=matrix.shape)
    return Rotation(degrees, matrix)


def make(dataset: Dataset, plan: Plan) -> Stream:
    """As many tasks as there are domains, each turned by an angle uniformly random in [0, 180), the first one too."""
    _, height, width = dataset.input_shape
    angles = plan.rng.uniform(0, 180, plan.domains)
    return domain_incremental(dataset, [rotation(float(angle), height, width) for angle in angles])


ROTATED = Scenario("rotated images", class_incremental=False, make=make)
