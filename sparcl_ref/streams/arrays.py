"""What arrays must be to be images and labels, and how they are kept from changing.

Every check names the array by its ``key``, what was wrong and, where it is known, the remedy: TypeError for a dtype,
ValueError for anything else.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

IMAGE_DTYPES = (np.uint8, np.float32, np.float64)


def dtype_of(key: str, array: np.ndarray) -> np.dtype:
    """The dtype of what must be an array; a masked one is none, as its mask would be forgotten."""
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{key} must be a NumPy array, got {type(array).__name__}")
    return array.dtype


def kept(array: np.ndarray) -> np.ndarray:
    """The array read-only: itself if its memory can be changed by nobody, else a copy."""
    base: Any = array
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base
    # Bytes, or a file mapped to be read; an array that owns its memory could be made writable again.
    fixed = isinstance(base, bytes | mmap.mmap) and memoryview(base).readonly
    own = np.asarray(array).view() if fixed else np.array(array)
    own.flags.writeable = False
    return own


def check_images(key: str, images: np.ndarray) -> None:
    """Refuse what are no images of shape (N, C, H, W), finite, of uint8, float32 or float64."""
    if dtype_of(key, images) not in IMAGE_DTYPES:
        raise TypeError(f"{key} must be an array of uint8, float32 or float64, got dtype {images.dtype}")
    if images.ndim != 4 or 0 in images.shape:
        advice = {2: "; give rows of pixels their shape: images.reshape(-1, C, H, W)", 3: "; add C: images[:, None]"}
        raise ValueError(
            f"{key} must have shape (N, C, H, W) with at least one of each, got {images.shape}"
            f"{advice.get(images.ndim, '')}"
        )
    _, h, w, c = images.shape
    # Colours last: nobody has eight channels or more of pictures with three or four columns. One column is possible
    # (a row of measurements), so there only squares tell.
    if min(h, w) >= 8 and (c in (3, 4) or (c == 1 and h == w)):
        raise ValueError(
            f"{key} has shape {images.shape}, which reads as (N, H, W, C); (N, C, H, W) is expected: "
            "images.transpose(0, 3, 1, 2)"
        )
    if images.dtype != np.uint8 and not (finite := np.isfinite(images)).all():
        index = tuple(int(i) for i in np.unravel_index(np.argmin(finite), images.shape))
        raise ValueError(f"{key} has the value {images[index]} at index {index}; replace or remove what is not finite")


def check_one_each(key: str, labels: np.ndarray, count: int) -> None:
    """Refuse labels of another shape than (count,)."""
    if labels.shape != (count,):
        advice = {(count, 1): "; take labels[:, 0]"}.get(labels.shape, "")
        raise ValueError(f"{key} must have shape ({count},), one label for each image, got {labels.shape}{advice}")


def count_classes(labels: np.ndarray) -> int:
    """How many classes training labels have; they must be counted from 0 without a gap."""
    present = np.unique(labels).tolist()
    highest = present[-1]
    check_range("train_y", labels, max(highest, 0) + 1)
    if highest != len(present) - 1:
        absent = next(label for label, found in enumerate(present) if label != found)
        raise ValueError(
            f"train_y must contain each of the labels from 0 to its highest, {highest}; class {absent} is absent; "
            f"renumber the {len(present)} classes: numpy.unique(labels, return_inverse=True)"
        )
    return highest + 1


def check_range(key: str, labels: np.ndarray, classes: int) -> None:
    """Refuse labels outside 0 .. classes-1, of any integer dtype."""
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        index = int(np.argmax(outside))
        raise ValueError(
            f"{key} must be in 0..{classes - 1}, the training labels; got {labels[index]} at index {index}"
        )


def check_labels(key: str, labels: np.ndarray, count: int, classes: int) -> None:
    """Refuse what are not int64 labels of ``count`` images with each of the classes among them."""
    if dtype_of(key, labels) != np.int64:
        raise TypeError(f"{key} must be an array of int64, got dtype {labels.dtype}")
    check_one_each(key, labels, count)
    check_range(key, labels, classes)
    present = set(np.unique(labels).tolist())
    if len(present) != classes:
        absent = next(label for label in range(classes) if label not in present)
        raise ValueError(f"{key} must contain each of the classes 0..{classes - 1}; class {absent} is absent")
