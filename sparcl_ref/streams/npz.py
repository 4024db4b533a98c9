"""Arrays from ``.npz`` files that anybody may have written: sizes are read first, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from sparcl_ref.memory import require_memory
from sparcl_ref.streams.files import require_file
from sparcl_ref.text import one_line

ARRAYS = ("train_x", "train_y", "test_x", "test_y")
KERAS_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_data_set(path: Path) -> dict[str, np.ndarray]:
    """Read the four `ARRAYS` of a data set, whether they have our names or those of Keras' ``mnist.npz``.

    Grey images (N, H, W), as Keras keeps them, become (N, 1, H, W). Raises as `read_npz`.
    """
    arrays = read_npz(path, ARRAYS, also=KERAS_ARRAYS)
    return {key: array[:, None] if key.endswith("x") and array.ndim == 3 else array for key, array in arrays.items()}


def read_npz(path: Path, keys: tuple[str, ...] | None = None, *, also: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read arrays from an ``.npz`` file, read-only; pickled ones are refused, because unpickling runs code.

    Parameters
    ----------
    path : Path
    keys : tuple of str, optional
        The arrays wanted; what else the file contains is left alone. All of them unless given.
    also : tuple of str
        Other names of the same arrays, for a file that has none of ``keys``.

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
            names = also if held.keys().isdisjoint(keys) and not held.keys().isdisjoint(also) else keys
            wanted = {key: held[name] for key, name in zip(keys, names, strict=True) if name in held}
            # A member gives no more bytes than the archive's directory says; a few megabytes may stand for terabytes.
            require_memory("reading it", sum(info.file_size for info in wanted.values()))
            arrays = {}
            for key, info in wanted.items():
                with archive.open(info) as file:
                    arrays[key] = _read_array(info.filename, file, info.file_size)
    except Exception as error:  # zipfile, zlib and NumPy's reading of headers each raise kinds of their own.
        raise ValueError(f"{path}: cannot be read as arrays of numbers ({one_line(error)})") from error
    missing = ", ".join(name for name in names if name not in held)
    if missing:
        raise ValueError(f"{path}: expected arrays named {', '.join(names)}; missing: {missing}")
    return arrays


def _read_array(name: str, file: IO[bytes], size: int) -> np.ndarray:
    """One array in NumPy's format, as a view of its bytes; none is made before header and size agree."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} is in version {version} of NumPy's format, which no plain array of numbers needs")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are not read")
    body = size - file.tell()
    if math.prod(shape) * dtype.itemsize != body:
        raise ValueError(f"{name} has a header of shape {shape} and dtype {dtype}, and {body} bytes")
    return np.frombuffer(file.read(), dtype=dtype).reshape(shape, order="F" if fortran else "C")
