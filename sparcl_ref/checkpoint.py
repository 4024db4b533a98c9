"""A state on disk and back, to the bit: one .npz with arrays, JSON that says where they belong, and a checksum.

Nothing else knows the format. The file is a zip archive that `numpy.load` reads: "tree" is the JSON in UTF-8, "0", "1"
and so on are the arrays; the archive's comment is the SHA-256 of all bytes before it, which `read` compares before any
of them is parsed. There is no pickle in it, so that a file from elsewhere runs no code.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref import durable

#: How many checkpoints of a run there are: should the newest be damaged, the one before it is good.
GENERATIONS = 2
#: Characters of the checksum.
DIGITS = hashlib.sha256().digest_size * 2


class DamagedError(ValueError):
    """A file is not what was written: cut off, changed, or never a checkpoint."""


def flatten(value: Any) -> tuple[Any, list[np.ndarray]]:
    """A state as a JSON value and the arrays that it refers to by their number.

    Parameters
    ----------
    value : object
        Of dict, list, tuple, ndarray, NumPy scalar, bytes, str, int, float, bool and None, however nested. Keys of a
        dict may be any of these that can be a key.

    Returns
    -------
    tree, arrays
        In the tree a str, int, bool, None and finite float stand for themselves, a list is a list, and all else is an
        object with one key that names its kind.

    Raises
    ------
    TypeError
        If something else is in it, naming the place.
    """
    arrays: list[np.ndarray] = []

    def stored(array: np.ndarray, place: str) -> int:
        if array.dtype.hasobject:
            raise TypeError(f"{place} is an array of Python objects, which no checkpoint can hold")
        arrays.append(array)
        return len(arrays) - 1

    def walk(value: Any, place: str) -> Any:
        if isinstance(value, np.ndarray):
            return {"array": stored(value, place)}
        if isinstance(value, np.generic):  # before float: np.float64 is one
            return {"scalar": stored(np.asarray(value), place)}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, bytes):
            return {"bytes": stored(np.frombuffer(value, dtype=np.uint8), place)}
        if isinstance(value, list):
            return [walk(item, f"{place}/{index}") for index, item in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": [walk(item, f"{place}/{index}") for index, item in enumerate(value)]}
        if isinstance(value, Mapping):
            return {"dict": [[walk(key, place), walk(item, f"{place}/{key}")] for key, item in value.items()]}
        raise TypeError(
            f"{place} is a {type(value).__name__}, which no checkpoint can hold; keep arrays and JSON values"
        )

    return walk(value, "state"), arrays


def unflatten(tree: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The state that `flatten` took apart."""
    if isinstance(tree, list):
        return [unflatten(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "bytes":
        return arrays[content].tobytes()
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(unflatten(item, arrays) for item in content)
    return {unflatten(key, arrays): unflatten(item, arrays) for key, item in content}


def encode(value: Any) -> memoryview:
    """A state as the bytes of a file, in memory once; raises as `flatten`."""
    tree, arrays = flatten(value)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        members = [("tree", np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8))]
        for name, array in members + [(str(number), array) for number, array in enumerate(arrays)]:
            # A member's time would make two files of one state differ.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = b"0" * DIGITS
    whole = file.getbuffer()
    whole[-DIGITS:] = hashlib.sha256(whole[:-DIGITS]).hexdigest().encode()
    return whole


def decode(data: bytes) -> Any:
    """The state in a file's bytes.

    Raises
    ------
    DamagedError
        If a single bit is not as it was written.
    """
    content, found = memoryview(data)[:-DIGITS], data[-DIGITS:]
    if hashlib.sha256(content).hexdigest().encode() != found:
        raise DamagedError("its checksum does not fit: it was cut off or changed")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = [archive[str(number)] for number in range(len(archive.files) - 1)]
            return unflatten(json.loads(archive["tree"].tobytes()), arrays)
    except Exception as error:  # whole, but written by somebody else
        raise DamagedError(f"it is not a checkpoint ({type(error).__name__})") from error


def write(path: Path, value: Any) -> None:
    """Keep a state in a file, whole or not at all; raises as `flatten`, and OSError."""
    durable.put(path, encode(value))


def read(path: Path) -> Any:
    """The state in a file; `DamagedError` as `decode`, OSError if it cannot be read."""
    return decode(path.read_bytes())
