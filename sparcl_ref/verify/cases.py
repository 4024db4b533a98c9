"""The frozen conformance cases: read from the package's data without pickle, and checked before anything is believed.

The chain is code, manifest, arrays: `DIGEST` below is the SHA-256 of manifest.json, which lists one for every array.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.text import one_line

DATA = Path(__file__).with_name("data")
MANIFEST = "manifest.json"
ARRAYS = "cases.npz"
#: SHA-256 of manifest.json; `python -m tests.verify.freeze` prints the new one when cases change.
DIGEST = "44345c2706b08d1cfa39b776f8a9059797a4e2236ad13ef7d5b387792dd9ce1d"
FORMAT = 1
#: Fields that a record has only where they say something.
LIMITS = ("dtype", "optional")


class CasesError(ValueError):
    """The cases are missing, damaged or not those this version of the code belongs to."""


@dataclass(frozen=True, eq=False)
class Tolerance:
    """How far an entry of a floating output may lie from the expected one; the rule is `difference.allowed`."""

    terms: int  #: length of the longest sum behind an entry
    magnitude: float  #: the largest sum of absolute terms over the entries
    reason: str  #: what is summed, in a few words
    zeros: np.ndarray | None = None  #: bool; where set, the output must be exactly +0.0


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs of one call and what it must return."""

    id: str  #: "function/name"
    function: str
    kind: str  #: "regular", "edge" or "adversarial"
    profile: str  #: "paper", "released" or "both"
    note: str  #: what the case catches
    arguments: dict[str, Any]  #: name to ndarray (read-only) or JSON value
    expected: dict[str, np.ndarray]  #: by output, read-only
    tolerance: dict[str, Tolerance]  #: of floating outputs; the others are exact
    oracle: str  #: how the expected values were found
    dtype: str = ""  #: the one type in which it is asked; both if empty
    optional: str = ""  #: why a sound implementation may fail it; empty if none may


def array_sha256(array: np.ndarray) -> str:
    """SHA-256, in hexadecimal, over dtype, shape and the entries in C order, little-endian, as on every machine."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    head = f"{little.dtype.str} {array.shape}\n".encode()  # not little.shape: contiguity gives a scalar an axis
    return hashlib.sha256(head + little.tobytes()).hexdigest()


def load_cases(directory: Path = DATA, *, digest: str | None = None) -> list[Case]:
    """Read all cases after checking the manifest against the code and every array against the manifest.

    Parameters
    ----------
    directory : Path
        Where manifest.json and cases.npz are.
    digest : str, optional
        SHA-256 of the manifest; `DIGEST` unless given.

    Raises
    ------
    CasesError
        If a file is missing or cannot be read, a digest differs, or an array is missing or left over.
    """
    path, digest = directory / MANIFEST, DIGEST if digest is None else digest
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CasesError(f"{path}: cannot be read ({error.strerror}); reinstall sparcl_ref") from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        changed = f"its SHA-256 begins with {found[:12]} instead of {digest[:12]}"
        raise CasesError(f"{path}: the manifest was changed, {changed}; reinstall sparcl_ref")
    manifest = json.loads(content)
    if manifest.get("format") != FORMAT:
        raise CasesError(f"{path}: format must be {FORMAT}, got {manifest.get('format')!r}")
    arrays = _load_arrays(directory / ARRAYS, manifest["arrays_sha256"])
    return [_case(record, arrays) for record in manifest["cases"]]


def _load_arrays(path: Path, digests: dict[str, str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:  # zipfile, zlib and NumPy's reading of headers each raise kinds of their own.
        raise CasesError(f"{path}: cannot be read ({one_line(error)}); reinstall sparcl_ref") from error
    odd = sorted(arrays.keys() ^ digests.keys())
    if odd:
        raise CasesError(f"{path}: arrays and manifest do not belong together, see {odd[0]!r}; reinstall sparcl_ref")
    for name, array in arrays.items():
        if array_sha256(array) != digests[name]:
            raise CasesError(f"{path}: the array {name!r} was changed; reinstall sparcl_ref")
        array.flags.writeable = False
    return arrays


def _case(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> Case:
    def resolved(value: Any) -> Any:
        return arrays[value["array"]] if isinstance(value, dict) else value

    def tolerance(entry: dict[str, Any]) -> Tolerance:
        return Tolerance(**{key: resolved(value) for key, value in entry.items()})

    return Case(
        **{key: record[key] for key in ("id", "function", "kind", "profile", "note", "oracle")},
        **{key: record[key] for key in LIMITS if key in record},
        arguments={name: resolved(value) for name, value in record["arguments"].items()},
        expected={name: np.asarray(resolved(value)) for name, value in record["expected"].items()},
        tolerance={name: tolerance(entry) for name, entry in record["tolerance"].items()},
    )
