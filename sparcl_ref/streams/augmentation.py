"""Random changes to training images that leave their meaning alone; made before normalisation, on images as stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparcl_ref.registry import Registry

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

PADDING = 4


def none(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave the images as they are and draw nothing."""
    return images


def crop_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift each image by up to 4 pixels in both directions, and mirror every other one on average.

    The usual augmentation for CIFAR: pad by 4 pixels of 0 on all sides, crop at a uniformly random place, flip left
    to right with probability 1/2. The images, shape (N, C, H, W), are as stored, before normalisation, so that the
    padding is black; all crops are drawn, then all flips.
    """
    offsets = rng.integers(0, 2 * PADDING + 1, size=(len(images), 2))
    flips = rng.integers(0, 2, size=len(images)).astype(bool)
    return crop_flip_at(images, offsets, flips)


def crop_flip_at(images: np.ndarray, offsets: np.ndarray, flips: np.ndarray, *, padding: int = PADDING) -> np.ndarray:
    """Crop padded images at given places and mirror some, in a new array: `crop_flip` once the dice are cast.

    With ``P`` the images padded by ``padding`` zeros on all sides and ``(a, b) = offsets[n]``::

        out[n, c, h, w] = P[n, c, a + h, b + w]               if not flips[n]
        out[n, c, h, w] = P[n, c, a + h, b + (W - 1 - w)]     if flips[n]

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
    offsets : ndarray of int, shape (N, 2)
        Row and column of the crop's upper left corner, each 0 .. 2 * padding; ``padding`` itself is no shift.
    flips : ndarray of bool, shape (N,)
    padding : int

    Raises
    ------
    TypeError
        If ``flips`` is not boolean, or ``offsets`` are not integers.
    ValueError
        If shapes do not fit, or an offset is out of range.
    """
    if images.ndim != 4:
        raise ValueError(f"crop_flip: expected images of shape (N, C, H, W), got {images.shape}")
    n, c, h, w = images.shape
    if offsets.shape != (n, 2) or flips.shape != (n,):
        got = f"{offsets.shape} and {flips.shape}"
        raise ValueError(f"crop_flip: offsets and flips must have shapes ({n}, 2) and ({n},), got {got}")
    if flips.dtype != np.bool_:
        raise TypeError(f"crop_flip: flips must be an array of bool, got dtype {flips.dtype}")
    if offsets.dtype.kind not in "iu":
        raise TypeError(f"crop_flip: offsets must be an array of integers, got dtype {offsets.dtype}")
    if ((offsets < 0) | (offsets > 2 * padding)).any():
        raise ValueError(f"crop_flip: offsets must be in 0..{2 * padding}, got {offsets.min()}..{offsets.max()}")
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    sample, channel, row, column = np.ogrid[:n, :c, :h, :w]
    across = np.where(flips[sample], w - 1 - column, column)
    return padded[sample, channel, offsets[sample, 0] + row, offsets[sample, 1] + across]


#: By name; ``AUGMENTATIONS.register(name, function)`` adds one.
AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation", {"none": none, "crop_flip": crop_flip})
