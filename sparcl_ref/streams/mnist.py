"""MNIST from its original files: four gzip-compressed arrays in IDX format.

Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits". An IDX file begins with two zero
bytes, a byte for the type (8: unsigned byte) and a byte for the number of axes; then follow the lengths of the axes as
big-endian 32-bit numbers, and the values in C order.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.files import find_folder, read_gzip

UNSIGNED_BYTE = 8
# The figures in common use, of the 60,000 training images. Constants, so that an excerpt is normalised like the whole.
MNIST_MEAN = (0.1307,)
MNIST_STD = (0.3081,)


def load_mnist(folder: Path | None = None) -> Dataset:
    """Load MNIST, or any excerpt of it: images of shape (1, 28, 28), 10 classes.

    Parameters
    ----------
    folder : Path, optional
        Folder with ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz`` and the two ``t10k-`` files.
        Default: ``mnist/`` in the folder that the environment variable ``SPARCL_REF_DATA`` names.

    Raises
    ------
    ValueError
        If the folder or a file is missing, or a file is damaged or does not belong to the others.
    """
    folder = find_folder("mnist", ("mnist",)) if folder is None else folder
    parts = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", ndim=3)
        parts[f"{part}_x"] = images[:, None]
        parts[f"{part}_y"] = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", ndim=1).astype(np.int64)
    try:
        return Dataset(name="mnist", **parts, classes=10, scale=1 / 255, mean=MNIST_MEAN, std=MNIST_STD)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def read_idx(path: Path, *, ndim: int) -> np.ndarray:
    """Read a gzip-compressed IDX file of unsigned bytes.

    Parameters
    ----------
    path : Path
    ndim : int
        Number of axes it must have: 3 for images, 1 for labels.

    Returns
    -------
    ndarray of uint8, shape as the file's header says

    Raises
    ------
    ValueError
        If the file cannot be read, is no such IDX file, or has more or fewer values than its header says.
    """
    data = read_gzip(path)
    start = 4 + 4 * ndim
    if data[:4] != bytes((0, 0, UNSIGNED_BYTE, ndim)) or len(data) < start:
        raise ValueError(
            f"{path}: not an IDX file of unsigned bytes with {ndim} axes; it begins with {data[:4].hex(' ')}"
        )
    shape = tuple(int(length) for length in np.frombuffer(data[4:start], dtype=">u4"))
    values = np.frombuffer(data, dtype=np.uint8, offset=start)
    expected = math.prod(shape)
    if values.size != expected:
        raise ValueError(
            f"{path}: its header says shape {shape}, {expected} values, but it has {values.size}; fetch it again"
        )
    return values.reshape(shape)
