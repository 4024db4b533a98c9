"""Arrays from ``.npz`` files that anybody may have written: sizes are read first, and nothing is unpickled."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

import numpy as np

from sparcl_ref.memory import require_memory
from sparcl_ref.streams.files import require_file
from sparcl_ref.text import one_line

ARRAYS = ("train_x", "train_y", "test_x", "test_y")
KERAS_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MEDMNIST_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
#: Arrays of so many bytes or more are not read but mapped, where they are stored as they are.
MAPPED_BYTES = 2**26
#: Read at a time to form a checksum.
PIECE = 2**20


def read_data_set(path: Path) -> dict[str, np.ndarray]:
    """Read the four `ARRAYS` of a data set, by our names or those that Keras' ``mnist.npz`` or MedMNIST's files have.

    Grey images (N, H, W) become (N, 1, H, W); under the others' names colours may come last, (N, H, W, 3), and labels
    in a column. Raises as `read_npz`.
    """
    arrays = read_npz(path, ARRAYS, also=(KERAS_ARRAYS, MEDMNIST_ARRAYS))
    ours = arrays.keys() == set(ARRAYS)
    return {
        key: array if ours and array.ndim == 4 else as_images(array) if key.endswith("x") else as_labels(array)
        for key, array in zip(ARRAYS, arrays.values(), strict=True)
    }


def as_images(array: np.ndarray) -> np.ndarray:
    """Images as (N, C, H, W) that may lack C or have it last."""
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        return array.transpose(0, 3, 1, 2)
    return array


def as_labels(array: np.ndarray) -> np.ndarray:
    """Labels as (N,) that may be a column."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def read_npz(
    path: Path, keys: tuple[str, ...] | None = None, *, also: Sequence[tuple[str, ...]] = ()
) -> dict[str, np.ndarray]:
    """Read arrays from an ``.npz`` file, read-only; pickled ones are refused, because unpickling runs code.

    Large ones that are stored without compression, as `numpy.savez` does, are mapped: the system reads what is used,
    and they may be larger than memory. The file must stay as it is then.

    Parameters
    ----------
    path : Path
    keys : tuple of str, optional
        The arrays wanted; what else the file contains is left alone. All of them unless given.
    also : sequence of tuple of str
        Other names of the same arrays, for a file that has none of ``keys``: the first of which it has any.

    Returns
    -------
    dict of str to ndarray
        By the names that the file has, in the order of ``keys``.

    Raises
    ------
    ValueError
        If the file cannot be read, is not an .npz file, is damaged, lacks a key, holds a pickled array, or needs more
        memory than there is.
    """
    require_file(path)
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:  # the directory of an archive stands at its end
            cut = file.read(4) == b"PK\x03\x04"
        what = "its end is missing; fetch or write it again" if cut else "write it with numpy.savez_compressed"
        raise ValueError(f"{path}: not {'a whole' if cut else 'an'} .npz file; {what}")
    try:
        with zipfile.ZipFile(path) as archive:
            held = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            keys = tuple(held) if keys is None else keys
            names = next((known for known in (keys, *also) if not held.keys().isdisjoint(known)), keys)
            wanted = {name: held[name] for name in names if name in held}
            # A member gives no more bytes than the archive's directory says; a few megabytes may stand for terabytes.
            require_memory("reading it", sum(info.file_size for info in wanted.values() if not _is_mapped(info)))
            arrays = {}
            for name, info in wanted.items():
                with archive.open(info) as file:
                    arrays[name] = _read_array(path, info, file)
    except Exception as error:  # zipfile, zlib and NumPy's reading of headers each raise kinds of their own.
        raise ValueError(f"{path}: cannot be read as arrays of numbers ({one_line(error)})") from error
    missing = ", ".join(name for name in names if name not in held)
    if missing:
        raise ValueError(f"{path}: expected arrays named {', '.join(names)}; missing: {missing}")
    return arrays


def _is_mapped(info: zipfile.ZipInfo) -> bool:
    return info.compress_type == zipfile.ZIP_STORED and info.file_size >= MAPPED_BYTES


def _read_array(path: Path, info: zipfile.ZipInfo, file: IO[bytes]) -> np.ndarray:
    """One array in NumPy's format, as a view of its bytes; none is made before header and size agree."""
    name = info.filename
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} is in version {version} of NumPy's format, which no plain array of numbers needs")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are not read")
    header = file.tell()
    body = info.file_size - header
    order: Literal["F", "C"] = "F" if fortran else "C"
    if math.prod(shape) * dtype.itemsize != body:
        raise ValueError(f"{name} has a header of shape {shape} and dtype {dtype}, and {body} bytes")
    if not _is_mapped(info):
        return np.frombuffer(file.read(), dtype=dtype).reshape(shape, order=order)
    while file.read(PIECE):  # to the end, where the checksum is looked at
        pass
    return np.memmap(path, dtype=dtype, mode="r", offset=_contents(path, info) + header, shape=shape, order=order)


def _contents(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind a local header of 30 bytes, its name and its extra field."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        return info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
