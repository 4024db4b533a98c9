"""CIFAR-10 from its original files, in the binary or the Python version.

The binary version is a row of records, each of the labels, one byte each, and 3,072 image bytes (red, green, blue; each
32 rows of 32). The Python version is a pickled dict with the same bytes as an array (N, 3072) under ``b"data"`` and
lists of labels. CIFAR-100 has the same two with other names and one label more, see `sparcl_ref.streams.cifar100`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparcl_ref.streams.download import Remote
from sparcl_ref.streams.files import read_bytes, why_unreadable
from sparcl_ref.streams.known import KnownDataset
from sparcl_ref.streams.npz import ARRAYS
from sparcl_ref.streams.pickled import Array, read_pickled

IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3072


@dataclass(frozen=True)
class Format:
    """What the files are called, and which label is read.

    Attributes
    ----------
    names : tuple of str
        Files of the Python version, the last one for testing; those of the binary version end in ``.bin``.
    key : str
        Of the labels, in the Python version.
    label_bytes, label_byte : int
        How many labels stand before each image in the binary version, and which of them is read.
    classes : int
    """

    names: tuple[str, ...]
    key: str
    label_bytes: int
    label_byte: int
    classes: int

    def files(self, folder: Path) -> list[Path]:
        """The files of the binary or of the Python version, whichever has more of them."""
        versions = [[folder / f"{name}{ending}" for name in self.names] for ending in (".bin", "")]
        return max(versions, key=lambda paths: sum(not why_unreadable(path) for path in paths))

    def read(self, found: Sequence[Path]) -> dict[str, np.ndarray]:
        """The arrays of what `files` gave."""
        parts = [self.read_binary(path) if path.suffix == ".bin" else self.read_python(path) for path in found]
        train_x, train_y = (np.concatenate(arrays) for arrays in zip(*parts[:-1], strict=True))
        return dict(zip(ARRAYS, (train_x, train_y, *parts[-1]), strict=True))

    def read_binary(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Read one file of the binary version: images (uint8, shape (N, 3, 32, 32)) and labels (int64, shape (N,)).

        Raises
        ------
        ValueError
            If the file cannot be read, does not consist of whole records, or has a label that is too high.
        """
        data = read_bytes(path)
        record = self.label_bytes + IMAGE_BYTES
        if len(data) % record:
            raise ValueError(f"{path}: {len(data)} bytes are not a whole number of records of {record}; fetch it again")
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        labels = records[:, self.label_byte].astype(np.int64)
        if labels.max() >= self.classes:
            wrong = f"record {int(labels.argmax())} has the label {labels.max()}"
            raise ValueError(f"{path}: {wrong}; expected 0..{self.classes - 1}")
        return records[:, self.label_bytes :].reshape(-1, *IMAGE_SHAPE), labels

    def read_python(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Read one file of the Python version, written by Python 2 or 3 with any protocol; no code of it is run.

        Keys may be bytes or strings, labels a list or an array. Returns what `read_binary` does.

        Raises
        ------
        ValueError
            If the file cannot be read, asks for anything but arrays of whole numbers, strings, dicts and lists, holds
            no images, or not as many labels as images.
        """
        batch = read_pickled(path)
        held = batch if isinstance(batch, dict) else {}
        images, labels = (held.get(key.encode(), held.get(key)) for key in ("data", self.key))
        rows = images.values if isinstance(images, Array) else np.zeros(0)
        if rows.dtype != np.uint8 or rows.shape[1:] != (IMAGE_BYTES,):
            raise ValueError(f"{path}: expected a dict with an array of bytes, shape (N, {IMAGE_BYTES}), under b'data'")
        if not len(rows):
            raise ValueError(f"{path}: it holds no images; fetch it again")
        listed = labels.values.tolist() if isinstance(labels, Array) else labels
        if (
            not isinstance(listed, list)
            or len(listed) != len(rows)
            or not all(type(y) is int and 0 <= y < self.classes for y in listed)
        ):
            raise ValueError(f"{path}: expected {len(rows)} labels 0..{self.classes - 1} under b'{self.key}'")
        return rows.reshape(-1, *IMAGE_SHAPE), np.array(listed, dtype=np.int64)


FORMAT = Format(
    names=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
    key="labels",
    label_bytes=1,
    label_byte=0,
    classes=10,
)

CIFAR10 = KnownDataset(
    name="cifar10",
    title="CIFAR-10",
    origin='A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009',
    licence="none stated",
    train=50_000,
    test=10_000,
    input_shape=IMAGE_SHAPE,
    classes=FORMAT.classes,
    scale=1 / 255,
    mean=(0.4914, 0.4822, 0.4465),  # the figures in common use for continual learning
    std=(0.2470, 0.2435, 0.2615),
    places=("cifar-10-batches-bin", "cifar-10-batches-py*", "cifar-10-batches-py*/cifar-10-batches-py"),
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    remotes=(Remote("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),),
    files=FORMAT.files,
    read=FORMAT.read,
)

#: Its name in version 0.1.
load_cifar10 = CIFAR10
