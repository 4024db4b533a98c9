"""Images that are made when they are asked for: they stand in a data set where an array stands."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparcl_ref.streams.dataset import Dataset

Transform = Callable[[np.ndarray], np.ndarray]


class LazyImages(ABC):
    """Has the shape, the dtype and the indexing along the first axis of an array of images (N, C, H, W).

    What indexing with integers, a mask or a slice gives is a new array of these images.
    """

    def __init__(self, images: Any, count: int):
        self.images = images
        self.shape: tuple[int, ...] = (count, *images.shape[1:])
        self.dtype: np.dtype = images.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        places = np.asarray(index)
        if isinstance(index, slice) or places.dtype.kind not in "iu" or (places < 0).any():
            places = np.arange(len(self))[index]
        if places.size and places.max() >= len(self):
            raise IndexError(f"index {places.max()} is out of bounds for {len(self)} images")
        taken = self._take(places.ravel())
        return taken.reshape(places.shape + self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of them, for `numpy.asarray`."""
        return self[:] if dtype is None else self[:].astype(dtype)

    @abstractmethod
    def _take(self, places: np.ndarray) -> np.ndarray:
        """Images at places 0 .. N-1, shape (n,)."""


class Chosen(LazyImages):
    """Some of the images, in the order of an index."""

    def __init__(self, images: Any, index: np.ndarray):
        super().__init__(images, len(index))
        self.index = index

    def _take(self, places: np.ndarray) -> np.ndarray:
        return np.asarray(self.images[self.index[places]])


class Transformed(LazyImages):
    """All the images under one transform after the other: those under the t-th stand at t * N .. (t + 1) * N - 1."""

    def __init__(self, images: Any, transforms: Sequence[Transform]):
        super().__init__(images, len(images) * len(transforms))
        self.transforms = tuple(transforms)

    def _take(self, places: np.ndarray) -> np.ndarray:
        which, place = np.divmod(places, len(self.images))
        taken = np.array(self.images[place])
        for number in np.unique(which):
            rows = which == number
            taken[rows] = self.transforms[number](taken[rows])
        return taken


def with_images(dataset: Dataset, **parts: Any) -> Dataset:
    """The data set with other images and labels (train_x, train_y, test_x, test_y), its normalisation unchanged.

    They are not checked again: they come from those that were.
    """
    changed = copy.copy(dataset)
    for key, value in parts.items():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        object.__setattr__(changed, key, value)
    return changed
