"""MNIST, and Fashion-MNIST that took its place: four files in the IDX format, or the one file in which Keras has MNIST.

An IDX file begins with two zero bytes, a byte for the type (8: unsigned byte) and a byte for the number of axes; then
follow the lengths of the axes as big-endian 32-bit numbers, and the values in C order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparcl_ref.memory import require_memory
from sparcl_ref.streams.download import Remote
from sparcl_ref.streams.files import inflated, why_unreadable
from sparcl_ref.streams.known import KnownDataset
from sparcl_ref.streams.npz import ARRAYS, read_data_set

UNSIGNED_BYTE = 8
#: In the order of `ARRAYS`.
NAMES = ("train-images{}idx3-ubyte", "train-labels{}idx1-ubyte", "t10k-images{}idx3-ubyte", "t10k-labels{}idx1-ubyte")


def files(place: Path) -> list[Path]:
    """Keras' file itself, or the four in a folder: as published (ending ``.gz``), unpacked, or as 7-Zip names them.

    For each of the four the first that has contents; as published where there is none.
    """
    if place.suffix == ".npz":
        return [place]
    chosen = []
    for name in NAMES:
        known = [place / f"{name.format(mark)}{ending}" for mark in "-." for ending in (".gz", "")]
        chosen.append(next((path for path in known if not why_unreadable(path)), known[0]))
    return chosen


def read(found: Sequence[Path]) -> dict[str, np.ndarray]:
    """The arrays of what `files` gave, images as (N, 1, H, W)."""
    if len(found) == 1:
        return read_data_set(found[0])
    return {
        key: read_idx(path, ndim=3)[:, None] if key.endswith("x") else read_idx(path, ndim=1)
        for key, path in zip(ARRAYS, found, strict=True)
    }


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


def remotes(address: str, folder: str, *md5: str) -> tuple[Remote, ...]:
    """The four files as published below an address, with their checksums in the order of `NAMES`."""
    return tuple(
        Remote(f"{address}{name.format('-')}.gz", digest, folder) for name, digest in zip(NAMES, md5, strict=True)
    )


MNIST = KnownDataset(
    name="mnist",
    title="MNIST",
    origin='Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits", 1998',
    licence="CC BY-SA 3.0",
    train=60_000,
    test=10_000,
    input_shape=(1, 28, 28),
    classes=10,
    scale=1 / 255,
    mean=(0.1307,),  # the figures in common use
    std=(0.3081,),
    places=("mnist", "MNIST/raw", "mnist.npz"),  # ours, torchvision's, Keras'
    source="https://ossci-datasets.s3.amazonaws.com/mnist/",
    remotes=remotes(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "mnist",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    files=files,
    read=read,
)

#: Its name in version 0.1.
load_mnist = MNIST
