"""CIFAR-10 from its original files, in the binary or the Python version.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009. The binary version is a row of records,
each one label byte and 3,072 image bytes (red, green, blue; each 32 rows of 32). The Python version is a pickled dict
with the same bytes as an array (N, 3072) under ``b"data"`` and a list of labels under ``b"labels"``.

Unpickling runs whatever the file asks for. The reader here therefore admits only the few names that such a file needs,
and answers each with a stand-in of its own: no code outside this module is called on the file's behalf.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.files import find_folder, read_bytes
from sparcl_ref.text import one_line

IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3072
# The figures in common use for continual learning on CIFAR-10, of the 50,000 training images.
# Constants, so that an excerpt is normalised like the whole.
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2615)


def load_cifar10(folder: Path | None = None) -> Dataset:
    """Load CIFAR-10, or any excerpt of it: images of shape (3, 32, 32), 10 classes.

    Parameters
    ----------
    folder : Path, optional
        Folder with ``data_batch_1`` to ``data_batch_5`` and ``test_batch``, all with the ending ``.bin`` (binary
        version) or all without one (Python version). Default: ``cifar-10-batches-bin/`` or, if there is none,
        ``cifar-10-batches-py*/`` in the folder that the environment variable ``SPARCL_REF_DATA`` names.

    Raises
    ------
    ValueError
        If the folder or a file is missing, or a file is damaged.
    """
    if folder is None:
        folder = find_folder("cifar10", ("cifar-10-batches-bin", "cifar-10-batches-py*"))
    binary = any(folder.glob("*.bin"))
    read, ending = (read_binary, ".bin") if binary else (read_python, "")
    train = [read(folder / f"data_batch_{number}{ending}") for number in range(1, 6)]
    test_x, test_y = read(folder / f"test_batch{ending}")
    try:
        return Dataset(
            name="cifar10",
            train_x=np.concatenate([images for images, _ in train]),
            train_y=np.concatenate([labels for _, labels in train]),
            test_x=test_x,
            test_y=test_y,
            classes=10,
            scale=1 / 255,
            mean=CIFAR10_MEAN,
            std=CIFAR10_STD,
        )
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of the binary version.

    Returns
    -------
    images : ndarray of uint8, shape (N, 3, 32, 32)
    labels : ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If the file cannot be read or does not consist of whole records.
    """
    data = read_bytes(path)
    record = 1 + IMAGE_BYTES
    if len(data) % record:
        raise ValueError(f"{path}: {len(data)} bytes are not a whole number of records of {record}; fetch it again")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    return records[:, 1:].reshape(-1, *IMAGE_SHAPE), records[:, 0].astype(np.int64)


def read_python(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of the Python version, written by Python 2 or 3 with pickle protocol 2.

    Returns
    -------
    images : ndarray of uint8, shape (N, 3, 32, 32)
    labels : ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If the file cannot be read, asks for anything but arrays of bytes, strings, dicts and lists, or does not hold
        as many labels as images.
    """
    data = read_bytes(path)
    try:
        _check_memo(data)
        batch = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # A damaged pickle may raise anything, as pickle's documentation says.
        raise ValueError(f"{path}: cannot be read as a pickled CIFAR-10 batch ({one_line(error)})") from error
    held = batch if isinstance(batch, dict) else {}
    images, labels = held.get(b"data"), held.get(b"labels")
    if not isinstance(images, _Array) or images.values.shape[1:] != (IMAGE_BYTES,):
        raise ValueError(f"{path}: expected a dict with an array of bytes of shape (N, {IMAGE_BYTES}) under b'data'")
    count = len(images.values)
    if not isinstance(labels, list) or len(labels) != count or not all(type(y) is int and 0 <= y < 10 for y in labels):
        raise ValueError(f"{path}: expected a list of {count} labels 0..9 under b'labels'")
    return images.values.reshape(-1, *IMAGE_SHAPE), np.array(labels, dtype=np.int64)


def _check_memo(data: bytes) -> None:
    """Refuse a pickle that numbers its objects higher than it has bytes: the unpickler would make room for them all."""
    for opcode, argument, _place in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and int(argument) > len(data):
            raise pickle.UnpicklingError(f"it wants room for {argument} objects")


class _Array:
    """Stands in for numpy.ndarray: takes the state that ndarray pickles, if it is an array of unsigned bytes."""

    values = np.zeros(0, dtype=np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array is not made of bytes")
        self.values = np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for numpy.dtype; the only one is "u1", unsigned byte."""

    def __init__(self, code: str | bytes, *_flags: Any):
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"arrays must be of unsigned bytes, got dtype {code!r}")

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment mean nothing to single bytes."""


def _reconstruct(*_arguments: Any) -> _Array:
    """Stands in for NumPy's function of the same name: an empty array, which `_Array.__setstate__` fills."""
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes in protocol 2; other codecs are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes must be written as latin1, got {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    """Stands in for ``bytes``, by which Python 3 writes empty bytes in protocol 2; without arguments only."""
    return b""


_ADMITTED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
}


class _Unpickler(pickle.Unpickler):
    """Knows the names in `_ADMITTED` and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a CIFAR-10 batch has no need of")
        return _ADMITTED[module, name]
