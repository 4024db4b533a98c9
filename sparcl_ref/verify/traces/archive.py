"""Traces on disk: a zip archive of .npy members in the order of events, written and read one at a time.

This file needs nothing of the package but itself, so that an implementation that logs a trace may take it along. A
member is called::

    STEP/PASS/LAYER/TENSOR.npy          such as task1.epoch2.step3/current/conv2/output.npy

That is an .npz file: `numpy.load` opens it, and `numpy.savez` or a program in another language can write one.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FORMAT = 1
MANIFEST = "manifest.json"
#: Stands for the layer where a tensor belongs to none.
NO_LAYER = "-"
_SUFFIX = ".npy"
_LARGE = 1 << 30


class TraceError(ValueError):
    """A trace that cannot be written or read: one line that names the file and what to do."""


class Name(NamedTuple):
    """The four parts of a tensor's name; written with slashes between.

    Attributes
    ----------
    step : str
        When: "start", "task1.begin", "task1.epoch2.begin", "task1.epoch2.step3", "task1.epoch2.end" or "task1.end".
    pass_name : str
        What was being done, such as "current" or "update".
    layer : str
        Layer or parameter by its dotted name, or "-".
    tensor : str
    """

    step: str
    pass_name: str
    layer: str
    tensor: str

    def __str__(self) -> str:
        return "/".join(self)

    @classmethod
    def parse(cls, text: str) -> Name | None:
        """The name in a text, or None if it does not have four parts."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == 4 and all(parts) else None


class TraceWriter:
    """Writes a trace member by member, over any file of that path; nothing is kept but the names.

    Use it in a ``with`` statement, or call `close`: a file that was never closed lacks its end and is refused by
    `TraceReader`. Where an exception ends the ``with`` statement, what was written until then is kept, and marked.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._known: set[str] = set()
        self._closed = False
        try:
            # The lightest compression: floating point noise does not shrink, masks and headers do at once.
            self._archive = zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be written ({error.strerror})") from error

    def write(self, step: str, pass_name: str, layer: str, tensor: str, array: Any) -> None:
        """Add one tensor of numbers or booleans, of any shape, under the parts of its `Name`; an empty layer is "-".

        Raises
        ------
        TraceError
            If a part is empty or holds a slash, the name was written before, or the array is not made of numbers.
        """
        name = str(Name(step, pass_name, layer or NO_LAYER, tensor))
        if Name.parse(name) is None:
            raise TraceError(f"{self.path}: step, pass, layer and tensor must be words without a slash, got {name!r}")
        if name in self._known:
            raise TraceError(f"{self.path}: {name} was written before; each tensor is logged once per step and pass")
        values = np.asarray(array)
        if values.dtype.kind not in "biuf":
            raise TraceError(f"{self.path}: {name} must be an array of real numbers or bool, got dtype {values.dtype}")
        self._known.add(name)
        # Opened by name a member gets a fixed date, so that the same arrays give the same bytes.
        with self._archive.open(name + _SUFFIX, "w", force_zip64=values.nbytes >= _LARGE) as member:
            np.lib.format.write_array(member, np.asarray(values, order="C"), version=(1, 0), allow_pickle=False)

    def close(self, *, complete: bool = True, **manifest: Any) -> None:
        """End the file with JSON values for its manifest; a run that was interrupted is not ``complete``."""
        values = {"format": FORMAT, "complete": complete, **manifest}
        try:
            with self._archive.open(MANIFEST, "w") as member:
                member.write(json.dumps(values, separators=(",", ":"), allow_nan=False).encode())
        finally:
            # Also where there is no room for the manifest, or the archive would complain again when collected.
            self._archive.close()
            self._closed = True

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if not self._closed:
            self.close(complete=kind is None)


class TraceReader:
    """Reads a trace member by member.

    Attributes
    ----------
    names : tuple of str
        In the order of the file.
    manifest : dict
        Empty if the file has none.

    Raises
    ------
    TraceError
        If the file is missing, truncated, damaged or not a trace.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not self.path.is_file():
            raise TraceError(f"{self.path}: no such file; give the .npz file that the trace was written to")
        try:
            self._archive = zipfile.ZipFile(self.path)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read ({error.strerror})") from error
        except zipfile.BadZipFile as error:
            raise TraceError(f"{self.path}: {_what_is_wrong(self.path)}") from error
        members = self._archive.namelist()
        self.names = tuple(name.removesuffix(_SUFFIX) for name in members if name.endswith(_SUFFIX))
        self._present = frozenset(self.names)
        try:
            self.manifest = self._read_manifest() if MANIFEST in members else {}
        except BaseException:
            self._archive.close()
            raise

    def __contains__(self, name: str) -> bool:
        return name in self._present

    def __enter__(self) -> TraceReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def read(self, name: str) -> np.ndarray:
        """One tensor.

        Raises
        ------
        TraceError
            If there is no such member, or it is damaged or no array of numbers.
        """
        if name not in self:
            raise TraceError(f"{self.path}: there is no {name} in this trace")
        info = self._archive.getinfo(name + _SUFFIX)
        member: Any  # what is typed as IO[bytes] has `readinto`, too
        try:
            with self._archive.open(info) as member:
                shape, fortran, dtype = _header(member)
                if dtype.kind not in "biuf":
                    raise ValueError(f"dtype {dtype} is not one of numbers or bool")
                # Known before anything is allocated: a damaged header may ask for any amount of memory.
                if (expected := member.tell() + dtype.itemsize * math.prod(shape)) != info.file_size:
                    raise ValueError(f"{info.file_size} bytes where shape {shape} of {dtype} needs {expected}")
                data = bytearray(dtype.itemsize * math.prod(shape))
                if member.readinto(memoryview(data)) != len(data) or member.read(1):
                    raise ValueError("the member ends early")
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise TraceError(f"{self.path}: {name} cannot be read ({_said(error)}); write the trace anew") from error
        return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")

    def _read_manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads(self._archive.read(MANIFEST))
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise TraceError(f"{self.path}: {MANIFEST} cannot be read ({_said(error)})") from error
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        if not isinstance(manifest, dict) or found != FORMAT:
            raise TraceError(f"{self.path}: a trace of format {FORMAT} is expected, got {found!r}")
        return manifest


def _said(error: BaseException) -> str:
    """`sparcl_ref.text.one_line`, which this file cannot take along."""
    return " ".join(str(error).split()) or type(error).__name__


def _header(member: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(member)
    if version not in readers:
        raise ValueError(f"version {version} of the .npy format")
    return readers[version](member)


def _what_is_wrong(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(6)
    if start[:4] == b"PK\x03\x04":
        return "the file ends early: it begins like an .npz file and lacks its end; close the writer, or copy it again"
    if start == b"\x93NUMPY":
        return "a single .npy array where a trace is expected; write it with TraceWriter or numpy.savez"
    return "not an .npz file; write the trace with TraceWriter or numpy.savez"
