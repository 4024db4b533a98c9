"""The IDX format of MNIST and those that took its place: four files, packed or not, under several names.

An IDX file begins with two zero bytes, a byte for the type (8: unsigned byte) and a byte for the number of axes; then
follow the lengths of the axes as big-endian 32-bit numbers, and the values in C order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparcl_ref.memory import require_memory
from sparcl_ref.streams.files import inflated, why_unreadable
from sparcl_ref.streams.npz import ARRAYS

UNSIGNED_BYTE = 8
#: In the order of `ARRAYS`.
NAMES = ("train-images{}idx3-ubyte", "train-labels{}idx1-ubyte", "t10k-images{}idx3-ubyte", "t10k-labels{}idx1-ubyte")


def idx_files(folder: Path) -> list[Path]:
    """The four files in a folder: as published (``train-images-idx3-ubyte.gz``), unpacked, or as 7-Zip names them.

    For each the first that has contents; as published where there is none.
    """
    chosen = []
    for name in NAMES:
        known = [folder / f"{name.format(mark)}{ending}" for mark in "-." for ending in (".gz", "")]
        chosen.append(next((path for path in known if not why_unreadable(path)), known[0]))
    return chosen


def read_idx_files(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """Read what `idx_files` found: images as (N, 1, H, W), labels as int64.

    Raises
    ------
    ValueError
        As `read_idx`.
    """
    arrays = {}
    for key, path in zip(ARRAYS, files, strict=True):
        if key.endswith("x"):
            arrays[key] = read_idx(path, ndim=3)[:, None]
        else:
            arrays[key] = read_idx(path, ndim=1).astype(np.int64)
    return arrays


def read_idx(path: Path, *, ndim: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, compressed with gzip or not.

    Parameters
    ----------
    path : Path
    ndim : int
        Number of axes it must have: 3 for images, 1 for labels.

    Returns
    -------
    ndarray of uint8, shape as the file's header says, read-only

    Raises
    ------
    ValueError
        If the file cannot be read, is no such IDX file, has more or fewer values than its header says, or has more
        than fit into memory.
    """
    with inflated(path) as (file, most):
        head = file.read(4 + 4 * ndim)
        if head[:4] != bytes((0, 0, UNSIGNED_BYTE, ndim)) or len(head) < 4 + 4 * ndim:
            raise ValueError(f"{path}: not an IDX file of unsigned bytes with {ndim} axes; it begins with {head[:4]!r}")
        shape = tuple(int(length) for length in np.frombuffer(head[4:], dtype=">u4"))
        expected = math.prod(shape)
        says = f"{path}: its header says shape {shape}, {expected} values"
        if expected > most:
            raise ValueError(f"{says}, but it has fewer; fetch it again")
        require_memory(says + "; reading it", expected)
        # One byte more, which must not be there: only at the end is a gzip file's checksum looked at.
        data = file.read(expected + 1)
    if len(data) != expected:
        raise ValueError(f"{says}, but it has {'fewer' if len(data) < expected else 'more'}; fetch it again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
