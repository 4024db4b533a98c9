"""A data set: labelled images for training and testing, and the numbers that normalise them."""

from __future__ import annotations

import mmap
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Images looked at together: what is computed of all of them takes no more memory than that of so many.
BLOCK = 1000


@dataclass(frozen=True, eq=False, init=False)
class Dataset:
    """Labelled images, checked once when they come in so that nothing downstream has to.

    Four arrays make one: ``Dataset(train_x, train_y, test_x, test_y)``.

    Attributes
    ----------
    train_x, test_x : ndarray of uint8, float32 or float64, shape (N, C, H, W)
        Images as stored, before normalisation. Kept as read-only copies, or as views of what nobody can change,
        such as an array that is mapped from a file to be read.
    train_y, test_y : ndarray of int64, shape (N,)
        Labels 0 .. classes-1, each of them present in both; of any integer dtype when given.
    name : str
    classes : int
        The highest training label and one unless given.
    scale : float
        Multiplies the stored images before anything else; 1/255 for uint8 and 1 for others unless given.
    mean, std : tuple of float, one per channel
        Of the scaled training images; computed from them unless given.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or mean or std are no sequences of numbers.
    ValueError
        If shapes do not fit, a label is out of range, a class is absent, an image has a NaN or an infinity, the
        normalisation is not finite or divides by 0, or a channel is constant that would have to be normalised.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(40) % 4
    >>> images = (rng.random((40, 1, 8, 8)) * 100 + 40 * labels[:, None, None, None]).astype(np.uint8)
    >>> mine = Dataset(images[:32], labels[:32], images[32:], labels[32:], name="mine")
    >>> mine.input_shape, mine.classes, round(mine.mean[0], 2)
    ((1, 8, 8), 4, 0.43)
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    name: str
    classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self,
        train_x: np.ndarray,
        train_y: np.ndarray,
        test_x: np.ndarray,
        test_y: np.ndarray,
        *,
        name: str = "arrays",
        classes: int | None = None,
        scale: float | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ):
        if classes is not None and not isinstance(classes, numbers.Integral):
            raise TypeError(f"classes must be a whole number, got {classes!r}")
        if scale is not None and not isinstance(scale, numbers.Real):
            raise TypeError(f"scale must be a number, got {scale!r}")
        for key, images in (("train_x", train_x), ("test_x", test_x)):
            _check_images(key, images)
        for key, labels in (("train_y", train_y), ("test_y", test_y)):
            if _dtype(key, labels).kind not in "iu":
                raise TypeError(f"{key} must be an array of integers, got dtype {labels.dtype}")
        renumber = classes is None
        classes = max(int(train_y.max(initial=0)), 0) + 1 if classes is None else classes
        # Before they become int64, into which not every unsigned label fits.
        _check_labels("train_y", train_y, len(train_x), classes, renumber=renumber)
        _check_labels("test_y", test_y, len(test_x), classes)
        if train_x.shape[1:] != test_x.shape[1:]:
            shapes = f"{train_x.shape[1:]} and {test_x.shape[1:]}"
            raise ValueError(f"train_x and test_x must have images of one shape (C, H, W), got {shapes}")
        if train_x.dtype != test_x.dtype:
            dtypes = f"{train_x.dtype} and {test_x.dtype}"
            raise TypeError(f"train_x and test_x must have one dtype, as one scale serves both; got {dtypes}")
        if (mean is None) != (std is None):
            raise ValueError("mean and std go together; give both or neither")
        if scale is None:
            scale = 1 / 255 if train_x.dtype == np.uint8 else 1.0
        if mean is None or std is None:
            mean, std = mean_and_std(train_x, scale=scale)
        fields = {"name": name, "classes": classes, "scale": scale, "mean": _numbers("mean", mean)}
        fields |= {"std": _numbers("std", std), "train_x": _kept(train_x), "test_x": _kept(test_x)}
        fields |= {"train_y": _kept(train_y, np.int64), "test_y": _kept(test_y, np.int64)}
        for field, value in fields.items():
            object.__setattr__(self, field, value)
        channels, got = self.input_shape[0], f"mean {self.mean}, std {self.std}"
        if not len(self.mean) == len(self.std) == channels:
            raise ValueError(f"mean and std must have one value for each of {channels} channels, got {got}")
        if not np.isfinite([self.scale, *self.mean, *self.std]).all() or self.scale <= 0 or min(self.std) <= 0:
            raise ValueError(f"scale and std must be positive, and all finite; got scale {self.scale}, {got}")

    @classmethod
    def from_arrays(cls, name: str, **arrays: np.ndarray) -> Dataset:
        """The same with the name first, as earlier versions had it."""
        return cls(*(arrays[key] for key in ("train_x", "train_y", "test_x", "test_y")), name=name)

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
            float32 or float64: of the result, shape (N, C, H, W), and of the arithmetic.

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
        return normalised(images, scale=self.scale, mean=self.mean, std=self.std, dtype=dtype)


def normalised(
    images: np.ndarray, *, scale: float, mean: Sequence[float], std: Sequence[float], dtype: np.dtype
) -> np.ndarray:
    """``(images * scale - mean) / std`` per channel, in the arithmetic of ``dtype``, float32 or float64."""
    means, stds = (np.array(values, dtype=dtype).reshape(1, -1, 1, 1) for values in (mean, std))
    values = images.astype(dtype)
    values *= dtype.type(scale)
    values -= means
    values /= stds
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
        blocks = [images[start : start + BLOCK, c] for start in range(0, len(images), BLOCK)]
        least = min(block.min() for block in blocks)
        if least == max(block.max() for block in blocks):
            raise ValueError(f"channel {c} of train_x is {least} everywhere; remove it: it carries no information")
        n = images[:, c].size
        if images.dtype == np.uint8:
            each = (np.bincount(block.ravel(), minlength=256) for block in blocks)
            counts = sum(each, np.zeros(256, np.int64)).tolist()
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value**2 * count for value, count in enumerate(counts))
            mean, variance = total / n, (n * squares - total**2) / n**2
        else:
            # An overflow ends as inf, which Dataset refuses with a message of its own.
            with np.errstate(all="ignore"):
                mean = sum(block.sum(dtype=np.float64) for block in blocks) / n
                variance = sum(np.square(block - mean).sum(dtype=np.float64) for block in blocks) / n
        means.append(float(mean * scale))
        stds.append(float(variance**0.5 * scale))
    return tuple(means), tuple(stds)


def _dtype(key: str, array: np.ndarray) -> np.dtype:
    """The dtype of what must be an array; a masked one is none, as its mask would be forgotten."""
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{key} must be a NumPy array, got {type(array).__name__}")
    return array.dtype


def _check_images(key: str, images: np.ndarray) -> None:
    """Refuse what are no images of shape (N, C, H, W), finite, of uint8, float32 or float64."""
    if _dtype(key, images) not in (np.uint8, np.float32, np.float64):
        raise TypeError(f"{key} must be an array of uint8, float32 or float64, got dtype {images.dtype}")
    if images.ndim != 4 or 0 in images.shape:
        remedies = {2: "; give rows of pixels their shape: images.reshape(-1, C, H, W)", 3: "; add C: images[:, None]"}
        remedy = remedies.get(images.ndim, "")
        raise ValueError(f"{key} must have shape (N, C, H, W) with at least one of each, got {images.shape}{remedy}")
    _, h, w, c = images.shape
    # Colours last: nobody has eight channels or more of pictures with three or four columns. One column is possible
    # (a row of measurements), so there only squares tell.
    if min(h, w) >= 8 and (c in (3, 4) or (c == 1 and h == w)):
        raise ValueError(
            f"{key} has shape {images.shape}, which reads as (N, H, W, C); (N, C, H, W) is expected: "
            "images.transpose(0, 3, 1, 2)"
        )
    if images.dtype == np.uint8:
        return
    for start in range(0, len(images), BLOCK):
        finite = np.isfinite(images[start : start + BLOCK])
        if not finite.all():
            place, *rest = (int(i) for i in np.unravel_index(np.argmin(finite), finite.shape))
            index = (start + place, *rest)
            raise ValueError(
                f"{key} has the value {images[index]} at index {index}; replace or remove what is not finite"
            )


def _check_labels(key: str, labels: np.ndarray, count: int, classes: int, *, renumber: bool = False) -> None:
    """Refuse what are not labels of ``count`` images, of any integer dtype, with each of the classes among them."""
    if labels.shape != (count,):
        remedy = "; take labels[:, 0]" if labels.shape == (count, 1) else ""
        raise ValueError(f"{key} must have shape ({count},), one label for each image, got {labels.shape}{remedy}")
    span = f"0..{classes - 1}"
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        index = int(np.argmax(outside))
        raise ValueError(f"{key} must be in {span}, the training labels; got {labels[index]} at index {index}")
    present = np.unique(labels).tolist()
    if len(present) != classes:
        absent = next((label for label, found in enumerate(present) if label != found), len(present))
        remedy = f"; renumber the {len(present)} classes: numpy.unique(labels, return_inverse=True)" if renumber else ""
        raise ValueError(f"{key} must contain each of the classes {span}; class {absent} is absent{remedy}")


def _numbers(key: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{key} must be numbers, one for each channel, such as (0.5,); got {values!r}") from error


def is_mapped(images: Any) -> bool:
    """Whether an array lies in a file, of which the system holds as much as is used."""
    return isinstance(_memory_of(images), mmap.mmap)


def _memory_of(array: Any) -> Any:
    """What the memory of a read-only array belongs to."""
    base = array
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base
    return base


def _kept(array: np.ndarray, dtype: Any = None) -> np.ndarray:
    """The array read-only, as it is or in a dtype: itself if its memory can be changed by nobody, else a copy."""
    array = array if dtype is None else array.astype(dtype, copy=False)
    base = _memory_of(array)
    # Bytes, or a file mapped to be read; an array that owns its memory could be made writable again.
    fixed = isinstance(base, bytes | mmap.mmap) and memoryview(base).readonly
    own = np.asarray(array).view() if fixed else np.array(array)
    own.flags.writeable = False
    return own
