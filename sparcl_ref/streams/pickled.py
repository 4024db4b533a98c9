"""Arrays of whole numbers from pickles that anybody may have written.

Unpickling runs whatever the file asks for. The reader here therefore admits only the few names that lists, dicts and
arrays need, and answers each with a stand-in of its own: no code outside this module is called on the file's behalf,
and none of what is called here can be changed by it.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.streams.files import read_bytes
from sparcl_ref.text import one_line

#: More than any dict of arrays has. Python hashes a tuple within tuples without looking how deep they go.
MOST_TUPLES = 1000
#: NumPy's letters for whole numbers of one to eight bytes.
CODES = tuple(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))


def read_pickled(path: Path) -> Any:
    """Read a pickle of dicts, lists, strings, numbers and arrays of whole numbers, of any protocol and NumPy.

    Strings of Python 2 come as bytes, and arrays as `Array`.

    Raises
    ------
    ValueError
        If the file cannot be read, is damaged, or asks for anything else.
    """
    data = read_bytes(path)
    try:
        _check_opcodes(data)
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # A damaged pickle may raise anything, as pickle's documentation says.
        raise ValueError(f"{path}: cannot be read as a pickle of arrays ({one_line(error)})") from error


def _check_opcodes(data: bytes) -> None:
    """Refuse a pickle that numbers its objects higher than it has bytes, or nests tuples to no end.

    The unpickler would make room for all the objects, and comparing the tuples would overflow the stack.
    """
    tuples = 0
    for opcode, argument, _place in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and isinstance(argument, int) and argument > len(data):
            raise pickle.UnpicklingError(f"it wants room for {argument} objects")
        tuples += opcode.name.startswith("TUPLE")
    if tuples > MOST_TUPLES:
        raise pickle.UnpicklingError(f"it has {tuples} tuples")


class Array:
    """Stands in for numpy.ndarray: takes the state that ndarray pickles; its numbers are in ``values``."""

    values = np.zeros(0, dtype=np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes | bytearray):
            raise pickle.UnpicklingError("an array is not made of bytes")
        self.values = np.frombuffer(raw, dtype=dtype.dtype).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for numpy.dtype; whole numbers of one to eight bytes, no others."""

    def __init__(self, code: str | bytes, *_flags: Any):
        self._code = _text(code)
        if self._code not in CODES:
            raise pickle.UnpicklingError(f"arrays must be of whole numbers, got dtype {self._code!r}")
        self.dtype = np.dtype(self._code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = _text(state[1])
        if order in ("<", ">"):
            self.dtype = np.dtype(order + self._code)


class _Function:
    """Stands in for a function; a file may call it, and not change it."""

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it wants to change a function")


def _text(text: str | bytes) -> str:
    return text.decode("latin1") if isinstance(text, bytes) else text


def _from_buffer(raw: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str | bytes) -> Array:
    """What NumPy calls from protocol 5 on."""
    if _text(order) not in ("C", "F"):
        raise pickle.UnpicklingError(f"an array has its axes in the order {order!r}")
    array = Array()
    array.__setstate__((1, shape, dtype, _text(order) == "F", raw))
    return array


def _encode(text: str, encoding: str) -> bytes:
    """By which Python 3 writes bytes up to protocol 2; other codecs are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes must be written as latin1, got {encoding!r}")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows a few names and no others."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "numpy.ndarray": Array,
            "numpy.dtype": _Dtype,
            "numpy.core.multiarray._reconstruct": _Function(lambda *_: Array()),  # empty; its state fills it
            "numpy.core.numeric._frombuffer": _Function(_from_buffer),
            "_codecs.encode": _Function(_encode),
            "__builtin__.bytes": _Function(lambda: b""),  # empty ones up to protocol 2; never with arguments
        }
        # NumPy 2 writes numpy._core, Python 3 builtins where it need not think of Python 2.
        wanted = f"{module.replace('numpy._core.', 'numpy.core.').replace('builtins', '__builtin__')}.{name}"
        if wanted not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a pickle of arrays has no need of")
        return known[wanted]
