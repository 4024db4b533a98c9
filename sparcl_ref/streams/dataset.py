"""A data set: labelled images for training and testing, and the numbers that normalise them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.streams.arrays import (
    check_images,
    check_labels,
    check_one_each,
    check_range,
    count_classes,
    dtype_of,
    kept,
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, checked once when they come in so that nothing downstream has to.

    Attributes
    ----------
    name : str
    train_x, test_x : ndarray of uint8, float32 or float64, shape (N, C, H, W)
        Images as stored, before normalisation. Kept as read-only copies, or as views of what nobody can change,
        such as an array that is mapped from a file to be read.
    train_y, test_y : ndarray of int64, shape (N,)
        Labels 0 .. classes-1, each of them present in both. Kept in the same manner.
    classes : int
    scale : float
        Multiplies the stored images before anything else, such as 1/255.
    mean, std : tuple of float, one per channel
        Of the scaled training images.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or mean or std are no sequences of numbers.
    ValueError
        If shapes do not fit, a label is out of range, a class is absent, an image has a NaN or an infinity, or the
        normalisation is not finite or divides by 0.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_x"), getattr(self, f"{part}_y")
            check_images(f"{part}_x", images)
            check_labels(f"{part}_y", labels, len(images), self.classes)
            for array, key in ((images, f"{part}_x"), (labels, f"{part}_y")):
                object.__setattr__(self, key, kept(array))
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            shapes = f"{self.train_x.shape[1:]} and {self.test_x.shape[1:]}"
            raise ValueError(f"train_x and test_x must have images of one shape (C, H, W), got {shapes}")
        if self.train_x.dtype != self.test_x.dtype:
            dtypes = f"{self.train_x.dtype} and {self.test_x.dtype}"
            raise TypeError(f"train_x and test_x must have one dtype, as one scale serves both; got {dtypes}")
        for key in ("mean", "std"):
            object.__setattr__(self, key, _numbers(key, getattr(self, key)))
        _check_normalisation(self.scale, self.mean, self.std, channels=self.input_shape[0])

    @classmethod
    def from_arrays(
        cls, name: str, *, train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray
    ) -> Dataset:
        """Make a data set of arrays alone: the classes are 0 .. the highest training label.

        Images of uint8 are scaled by 1/255, others by 1; mean and standard deviation are those of the training set.

        Parameters
        ----------
        name : str
        train_x, test_x : ndarray of uint8, float32 or float64, shape (N, C, H, W)
        train_y, test_y : ndarray of any integer dtype, shape (N,)

        Raises
        ------
        TypeError, ValueError
            As for `Dataset`; also ValueError if a channel is constant over the whole training set.
        """
        check_images("train_x", train_x)
        check_images("test_x", test_x)
        for key, images, labels in (("train_y", train_x, train_y), ("test_y", test_x, test_y)):
            if dtype_of(key, labels).kind not in "iu":
                raise TypeError(f"{key} must be an array of integers, got dtype {labels.dtype}")
            check_one_each(key, labels, len(images))
        classes = count_classes(train_y)
        # Before they become int64, into which not every unsigned label fits.
        check_range("test_y", test_y, classes)
        scale = 1 / 255 if train_x.dtype == np.uint8 else 1.0
        mean, std = mean_and_std(train_x, scale=scale)
        return cls(
            name=name,
            train_x=train_x,
            train_y=train_y.astype(np.int64),
            test_x=test_x,
            test_y=test_y.astype(np.int64),
            classes=classes,
            scale=scale,
            mean=mean,
            std=std,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        return self.train_x.shape[1:]

    def normalise(self, images: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """Bring stored images to zero mean and unit variance per channel: ``(x * scale - mean) / std``.

        Parameters
        ----------
        images : ndarray, shape (N, C, H, W)
            Images as stored, or augmented; left unchanged.
        dtype : numpy dtype
            float32 or float64: of the result and of the arithmetic.

        Returns
        -------
        ndarray, shape (N, C, H, W)

        Raises
        ------
        TypeError
            If the dtype is neither float32 nor float64.
        ValueError
            If ``images`` does not have the data set's (C, H, W).
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"{self.name}: images are normalised to float32 or float64, got {dtype}")
        if images.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise ValueError(f"{self.name}: expected images of shape (N, {expected}), got {images.shape}")
        mean, std = (np.array(values, dtype=dtype).reshape(1, -1, 1, 1) for values in (self.mean, self.std))
        values = images.astype(dtype)
        values *= dtype.type(self.scale)
        values -= mean
        values /= std
        return values


def mean_and_std(images: np.ndarray, *, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and (biased) standard deviation of ``images * scale`` per channel.

    For uint8 both come from a histogram in whole numbers, so they are exact up to the last rounding.

    Parameters
    ----------
    images : ndarray of uint8, float32 or float64, shape (N, C, H, W)
    scale : float

    Raises
    ------
    ValueError
        If a channel has the same value everywhere, so that its standard deviation is 0.
    """
    means, stds = [], []
    for c in range(images.shape[1]):
        channel = images[:, c]
        if channel.min() == channel.max():
            raise ValueError(
                f"channel {c} of train_x is {channel.min()} everywhere; remove it: it carries no information"
            )
        if images.dtype == np.uint8:
            # A thousand images at a time: counting widens each byte to eight.
            blocks = (channel[start : start + 1000] for start in range(0, len(channel), 1000))
            counts = np.add.reduce([np.bincount(block.ravel(), minlength=256) for block in blocks]).tolist()
            n = channel.size
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value**2 * count for value, count in enumerate(counts))
            mean, variance = total / n, (n * squares - total**2) / n**2
        else:
            # An overflow ends as inf, which Dataset refuses with a message of its own.
            with np.errstate(all="ignore"):
                mean, variance = channel.mean(dtype=np.float64), channel.var(dtype=np.float64)
        means.append(float(mean * scale))
        stds.append(float(variance**0.5 * scale))
    return tuple(means), tuple(stds)


def _numbers(key: str, values: Iterable[float]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{key} must be numbers, one for each channel, such as (0.5,); got {values!r}") from error


def _check_normalisation(scale: float, mean: tuple[float, ...], std: tuple[float, ...], *, channels: int) -> None:
    if not len(mean) == len(std) == channels:
        raise ValueError(f"mean and std must have one value for each of {channels} channels, got {mean} and {std}")
    if not np.isfinite([scale, *mean, *std]).all() or scale <= 0 or min(std) <= 0:
        raise ValueError(f"scale and std must be positive, and all finite; got scale {scale}, mean {mean}, std {std}")
