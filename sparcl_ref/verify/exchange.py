"""For programs in other languages: write the inputs of cases as files, and judge the files a program wrote back.

A folder that `export` made holds::

    manifest.json                         everything below, with dtypes, shapes and what each case is for
    cases.txt                             "function/case", one a line
    inputs/<function>/<case>/<argument>.npy     arrays, numbers, flags and lists of numbers
    inputs/<function>/<case>/<argument>.txt     words, and decimals that are to be read exactly
    outputs/<function>/<case>/            empty; <output>.npy goes here, or a line why not in outside_range.txt

An argument that is None has no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.text import one_line
from sparcl_ref.verify.adapter import Returned, full_arguments
from sparcl_ref.verify.cases import FORMAT, Case
from sparcl_ref.verify.check import Pairs
from sparcl_ref.verify.function import Function
from sparcl_ref.verify.loading import shown
from sparcl_ref.verify.outcome import Outcome
from sparcl_ref.verify.runner import in_dtype, judge

#: A program's own words on a case that it is not made for.
OUTSIDE = "outside_range.txt"


def export(directory: Path, pairs: Pairs, *, dtype: str = "float64") -> int:
    """Write the inputs of cases to a folder, floating arrays in the dtype; returns the number of cases.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    """
    records = [_export_case(directory, case, function, dtype) for case, function in pairs]
    manifest = {"format": FORMAT, "dtype": dtype, "cases": records}
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    (directory / "cases.txt").write_text("".join(f"{case.id}\n" for case, _ in pairs))
    return len(records)


def _export_case(directory: Path, case: Case, function: Function, dtype: str) -> dict[str, Any]:
    for kind in ("inputs", "outputs"):
        (directory / kind / case.id).mkdir(parents=True, exist_ok=True)
    arguments = in_dtype(full_arguments(case, function), dtype)
    return {
        "id": case.id,
        "function": function.name,
        "note": case.note,
        "sentence": function.sentence,
        "source": function.source,
        "arguments": {
            name: _export_value(directory, f"inputs/{case.id}/{name}", value) for name, value in arguments.items()
        },
        "outputs": {
            output.name: {
                "file": f"outputs/{case.id}/{output.name}.npy",
                "shape": list(case.expected[output.name].shape),
                "exact": output.name not in case.tolerance,
            }
            for output in function.outputs
            if output.name in case.expected
        },
    }


def _export_value(directory: Path, place: str, value: Any) -> dict[str, Any]:
    """Write one argument; returns its entry in the manifest."""
    if value is None:
        return {"value": None}
    if isinstance(value, str):
        (directory / f"{place}.txt").write_text(value)
        return {"value": value, "file": f"{place}.txt"}
    record = {} if isinstance(value, np.ndarray) else {"value": value}
    try:
        array = np.asarray(value)
    except ValueError:  # a list of lists of several lengths, such as weight shapes
        return record
    if array.size == 0 and array.dtype.kind == "f" and not isinstance(value, np.ndarray):
        array = array.astype(np.int64)
    np.save(directory / f"{place}.npy", np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return record | {"file": f"{place}.npy", "dtype": array.dtype.name, "shape": list(array.shape)}


def outcomes_of(directory: Path, pairs: Pairs, *, dtype: str = "float64") -> Iterator[Outcome]:
    """Judge what a program wrote: ``<function>/<case>/<output>.npy``, or all outputs in ``<function>/<case>.npz``.

    A case without files is not provided; one with a file that cannot be read, or with some outputs only, has failed;
    one with `OUTSIDE` is outside the program's range.
    """
    for case, function in pairs:
        if (reason := _outside_range(directory / case.id / OUTSIDE)) is not None:
            yield Outcome(case, function, "outside range", line=reason)
            continue
        wanted = [output.name for output in function.outputs if output.name in case.expected]
        try:
            found = _read_case(directory, case.id, wanted)
        except ValueError as error:
            yield Outcome(case, function, "failed", line=str(error))
            continue
        if not found:
            yield Outcome(case, function, "not provided", line=f"no file for {case.id}")
        elif missing := [name for name in wanted if name not in found]:
            yield Outcome(case, function, "failed", line=f"{missing[0]} is missing; there is {', '.join(found)}")
        else:
            returned = {name: Returned(array, array.shape, array.dtype.name) for name, array in found.items()}
            yield judge(case, function, returned, dtype=dtype)


def _outside_range(path: Path) -> str | None:
    """Why a program left a case out, if it says so."""
    if not path.is_file():
        return None
    return shown(path.read_text(encoding="utf-8", errors="replace")) or "the program gives no reason"


def strays(directory: Path, known: Sequence[Case]) -> tuple[str, ...]:
    """Remarks on files that belong to no case there is, such as a misspelt one: nothing is held against them."""
    names = {f"{case.id}.npz" for case in known}
    names |= {f"{case.id}/{name}.npy" for case in known for name in case.expected}
    files = sorted((*directory.rglob("*.npy"), *directory.rglob("*.npz")))
    found = [place for path in files if (place := path.relative_to(directory).as_posix()) not in names]
    if not found:
        return ()
    others = f" and {len(found) - 1:,} more files" if found[1:] else ""
    where = "outputs go to <function>/<case>/<output>.npy in the folder that is given"
    return (f"{found[0]}{others}: no output of any case, and not looked at; {where}",)


def _read_case(directory: Path, case: str, wanted: list[str]) -> dict[str, np.ndarray]:
    archive, folder = directory / f"{case}.npz", directory / case
    if archive.is_file():
        try:
            with np.load(archive, allow_pickle=False) as stored:
                return {name: _numeric(stored[name]) for name in stored.files}
        except Exception as error:  # zipfile, zlib and NumPy's reading of headers each raise kinds of their own
            raise ValueError(f"{archive}: cannot be read ({one_line(error)})") from error
    found = {}
    for path in sorted(folder.glob("*.npy")):
        if path.stem not in wanted:
            found[path.stem] = np.zeros(0)  # named in the report if an output is missing
            continue
        try:
            # Mapped, so that a header that claims terabytes fails before memory does.
            found[path.stem] = _numeric(np.array(np.load(path, allow_pickle=False, mmap_mode="r")))
        except Exception as error:
            raise ValueError(f"{path}: cannot be read ({one_line(error)})") from error
    return found


def _numeric(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"expected numbers, got dtype {array.dtype}")
    return array
