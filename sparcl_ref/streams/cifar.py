"""CIFAR-10 from its original files, in the binary or the Python version.

The binary version is a row of records, each one label byte and 3,072 image bytes (red, green, blue; each 32 rows of
32). The Python version is a pickled dict with the same bytes as an array (N, 3072) under ``b"data"`` and a list of
labels under ``b"labels"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparcl_ref.streams.files import read_bytes, why_unreadable
from sparcl_ref.streams.known import KnownDataset
from sparcl_ref.streams.npz import ARRAYS
from sparcl_ref.streams.pickled import Array, read_pickled

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3072
CLASSES = 10


def files(folder: Path) -> list[Path]:
    """The six files of the binary version (ending ``.bin``) or of the Python version, whichever has more of them."""
    versions = [[folder / f"{name}{ending}" for name in BATCHES] for ending in (".bin", "")]
    return max(versions, key=lambda paths: sum(not why_unreadable(path) for path in paths))


def read(found: Sequence[Path]) -> dict[str, np.ndarray]:
    """The arrays of what `files` gave."""
    parts = [read_binary(path) if path.suffix == ".bin" else read_python(path) for path in found]
    train_x, train_y = (np.concatenate(arrays) for arrays in zip(*parts[:-1], strict=True))
    return dict(zip(ARRAYS, (train_x, train_y, *parts[-1]), strict=True))


def read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of the binary version: images (uint8, shape (N, 3, 32, 32)) and labels (int64, shape (N,)).

    Raises
    ------
    ValueError
        If the file cannot be read, does not consist of whole records, or has a label above 9.
    """
    data = read_bytes(path)
    record = 1 + IMAGE_BYTES
    if len(data) % record:
        raise ValueError(f"{path}: {len(data)} bytes are not a whole number of records of {record}; fetch it again")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= CLASSES:
        raise ValueError(f"{path}: record {int(labels.argmax())} has the label {labels.max()}; expected 0..9")
    return records[:, 1:].reshape(-1, *IMAGE_SHAPE), labels


def read_python(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of the Python version, written by Python 2 or 3 with any protocol; no code of it is run.

    Keys may be bytes or strings, labels a list or an array. Returns what `read_binary` does.

    Raises
    ------
    ValueError
        If the file cannot be read, asks for anything but arrays of whole numbers, strings, dicts and lists, holds no
        images, or not as many labels as images.
    """
    batch = read_pickled(path)
    held = batch if isinstance(batch, dict) else {}
    images, labels = (held.get(key.encode(), held.get(key)) for key in ("data", "labels"))
    rows = images.values if isinstance(images, Array) else np.zeros(0)
    if rows.dtype != np.uint8 or rows.shape[1:] != (IMAGE_BYTES,):
        raise ValueError(f"{path}: expected a dict with an array of bytes of shape (N, {IMAGE_BYTES}) under b'data'")
    if not len(rows):
        raise ValueError(f"{path}: it holds no images; fetch it again")
    listed = labels.values.tolist() if isinstance(labels, Array) else labels
    if (
        not isinstance(listed, list)
        or len(listed) != len(rows)
        or not all(type(y) is int and 0 <= y < CLASSES for y in listed)
    ):
        raise ValueError(f"{path}: expected {len(rows)} labels 0..9 under b'labels'")
    return rows.reshape(-1, *IMAGE_SHAPE), np.array(listed, dtype=np.int64)


CIFAR10 = KnownDataset(
    name="cifar10",
    title="CIFAR-10",
    origin='A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009',
    licence="none stated",
    train=50_000,
    test=10_000,
    input_shape=IMAGE_SHAPE,
    classes=CLASSES,
    scale=1 / 255,
    mean=(0.4914, 0.4822, 0.4465),  # the figures in common use for continual learning
    std=(0.2470, 0.2435, 0.2615),
    places=("cifar-10-batches-bin", "cifar-10-batches-py*", "cifar-10-batches-py*/cifar-10-batches-py"),
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    files=files,
    read=read,
)
