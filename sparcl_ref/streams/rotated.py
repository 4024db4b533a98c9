"""Rotated images: each task has all images turned by an angle of its own (Lopez-Paz and Ranzato, NeurIPS 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.scenario import Plan, Scenario, domain_incremental
from sparcl_ref.streams.tasks import Stream


@dataclass(frozen=True)
class Rotation:
    """Turns images about their middle, counter-clockwise, by an angle in degrees.

    Values between pixels are interpolated linearly (`scipy.ndimage.rotate` with ``order=1``), rounded to the nearest
    for uint8; the size stays, and what turns in from outside is 0.
    """

    degrees: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        from scipy import ndimage

        return ndimage.rotate(images, self.degrees, axes=(3, 2), reshape=False, order=1, mode="constant", cval=0.0)


def make(dataset: Dataset, plan: Plan) -> Stream:
    """As many tasks as there are domains, each turned by an angle uniformly random in [0, 180), the first one too."""
    return domain_incremental(dataset, [Rotation(float(angle)) for angle in plan.rng.uniform(0, 180, plan.domains)])


ROTATED = Scenario("rotated images", class_incremental=False, make=make)
