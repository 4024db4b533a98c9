"""Writing IDX files, by struct."""

from __future__ import annotations

import gzip
import struct

import numpy as np

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def idx(array, *, kind=8, shape=None):
    shape = array.shape if shape is None else shape
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)
    return gzip.compress(header + array.tobytes(), 1, mtime=0)  # the same bytes in every process: they name tests


def write_mnist(folder, train=25, test=13, name=str, pack=lambda data: data):
    """A little MNIST of random images, and what it should be read as."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True, parents=True)
    written = []
    for count in (train, test):
        written += [rng.integers(0, 256, (count, 28, 28)).astype(np.uint8), (np.arange(count) % 10).astype(np.uint8)]
    for file, array in zip(FILES, written, strict=True):
        (folder / name(file)).write_bytes(pack(idx(array)))
    return written
