"""What of a run goes onto the page, where there is more than a screen or a megabyte can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from sparcl_ref.report.mask_history import even_sample

Item = TypeVar("Item")

#: Layers, pixels of a layer's picture to a side, pixels of a sample to a side.
MOST_LAYERS, MOST_SIDE, MOST_PIXELS = 3, 96, 16
#: Bytes of training images beyond those that were in the buffer.
IMAGE_BYTES = 200_000


def layers_shown(layers: Sequence[Item]) -> list[Item]:
    """At most `MOST_LAYERS`, at even distances, the first and the last among them."""
    return [layers[index] for index in even_sample(np.arange(len(layers)), MOST_LAYERS)]


def weights_shown(shape: Sequence[int]) -> np.ndarray:
    """Flat indices of a layer's weights as they lie in its picture, shape (rows, columns).

    Output channels go down, input channels across, and a kernel's weights lie as in the kernel: shape (O, I, h, w)
    gives O h rows and I w columns, cut to whole kernels where that would be more than `MOST_SIDE`.
    """
    outputs, inputs, *kernel = shape
    height, width = (kernel[0], math.prod(kernel[1:])) if kernel else (1, 1)
    indices = np.arange(math.prod(shape)).reshape(outputs, inputs, height, width)
    cut = indices[: max(1, MOST_SIDE // height), : max(1, MOST_SIDE // width)]
    return cut.transpose(0, 2, 1, 3).reshape(cut.shape[0] * height, cut.shape[1] * width)


def samples_shown(members: Sequence[np.ndarray], remembered: np.ndarray, *, image_bytes: int) -> np.ndarray:
    """Training indices whose images are kept, ascending: all that were remembered, and of each task an even sample."""
    most = IMAGE_BYTES // image_bytes // max(1, len(members))
    chosen = [even_sample(np.asarray(indices), most) for indices in members]
    return np.unique(np.concatenate([*chosen, remembered]).astype(np.int64))


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Images as small whole numbers, (N, C, H, W) of uint8: at most `MOST_PIXELS` to a side, 0 .. 255 overall.

    Larger images shrink by a whole factor, each pixel the mean of a square; rows and columns that do not fill one are
    left out.
    """
    _, _, height, width = images.shape
    factor = -(-max(height, width) // MOST_PIXELS)
    h, w = max(1, height // factor), max(1, width // factor)
    cut = images[:, :, : h * factor, : w * factor].astype(np.float64)
    small = cut.reshape(*cut.shape[:2], h, cut.shape[2] // h, w, cut.shape[3] // w).mean(axis=(3, 5))
    low, high = float(images.min()), float(images.max())
    return np.rint((small - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)
