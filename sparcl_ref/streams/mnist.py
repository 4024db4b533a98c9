"""MNIST: its four original files in IDX format, or the one file in which Keras keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparcl_ref.streams.idx import idx_files, read_idx_files
from sparcl_ref.streams.known import KnownDataset
from sparcl_ref.streams.npz import read_data_set


def files(place: Path) -> list[Path]:
    """Keras' file itself, or the four in a folder."""
    return [place] if place.suffix == ".npz" else idx_files(place)


def read(found: Sequence[Path]) -> dict[str, np.ndarray]:
    """The arrays of what `files` gave."""
    if len(found) > 1:
        return read_idx_files(found)
    arrays = read_data_set(found[0])
    return {key: array.astype(np.int64) if key.endswith("y") else array for key, array in arrays.items()}


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
    files=files,
    read=read,
)
load_mnist = MNIST.load
