"""Permuted pixels: every task has all images, their pixels in an order of its own (Kirkpatrick et al., PNAS 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.scenario import Plan, Scenario, domain_incremental
from sparcl_ref.streams.tasks import Stream


@dataclass(frozen=True, eq=False)
class PixelOrder:
    """``out[n, c, i] = images[n, c, order[i]]``, pixels counted row by row: the colours of a pixel stay together."""

    order: np.ndarray

    def __call__(self, images: np.ndarray) -> np.ndarray:
        n, c, *_ = images.shape
        return np.take(images.reshape(n, c, -1), self.order, axis=2).reshape(images.shape)


def make(dataset: Dataset, plan: Plan) -> Stream:
    """As many tasks as there are domains, each with a uniformly random order of pixels, the first one too."""
    _, height, width = dataset.input_shape
    return domain_incremental(dataset, [PixelOrder(plan.rng.permutation(height * width)) for _ in range(plan.domains)])


PERMUTED = Scenario("permuted pixels", class_incremental=False, make=make)
