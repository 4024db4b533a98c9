"""Data sets of noise, of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.streams import Dataset


def noise(sizes: Sequence[int], side: int = 8) -> Dataset:
    """Two classes a task, as many training images for each task as asked for, and a test image for each class."""
    labels = np.concatenate([2 * task + np.arange(size) % 2 for task, size in enumerate(sizes)])
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 1, side, side), dtype=np.uint8)
    test = np.arange(2 * len(sizes))
    return Dataset.from_arrays("noise", train_x=images, train_y=labels, test_x=images[: len(test)], test_y=test)
