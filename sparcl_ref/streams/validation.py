"""Measuring on training images that were set aside, so that tuning does not see the test images."""

from __future__ import annotations

import numpy as np

from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.lazy import Chosen, with_images
from sparcl_ref.streams.stratified import set_aside


def for_validation(dataset: Dataset, fraction: float, rng: np.random.Generator) -> Dataset:
    """A data set whose test part is a stratified fraction of the training part, which is left with the rest.

    The test images do not occur in it. Its normalisation is that of the whole training part. ``rng`` is the stream
    named "validation".

    Raises
    ------
    ValueError
        If a class has a single training image.
    """
    try:
        held = set_aside(dataset.train_y, fraction, rng)
    except ValueError as error:
        raise ValueError(f"{dataset.name}: {error}, or leave out --validation") from error
    kept = np.setdiff1d(np.arange(len(dataset.train_y)), held)
    return with_images(
        dataset,
        train_x=Chosen(dataset.train_x, kept),
        train_y=dataset.train_y[kept],
        test_x=Chosen(dataset.train_x, held),
        test_y=dataset.train_y[held],
    )
