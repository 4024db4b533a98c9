"""For programs in other languages: write the inputs of cases as files, and judge the files a program wrote back.

A folder that `export` made holds::

    manifest.json                         everything below, with dtypes, shapes and what each case is for
    cases.txt                             "function/case", one a line
    inputs/<function>/<case>/<argument>.npy     arrays, numbers, flags and lists of numbers
    inputs/<function>/<case>/<argument>.txt     words, and decimals that are to be read exactly
    outputs/<function>/<case>/            empty; <output>.npy goes here

An argument that is None has no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.text import one_line
from sparcl_ref.verify.adapter import Returned, full_arguments
from sparcl_ref.verify.cases import FORMAT, Case
from sparcl_ref.verify.check import Pairs
from sparcl_ref.verify.function import Function
from sparcl_ref.verify.outcome import Outcome
from sparcl_ref.verify.runner import in_dtype, judge


def export(directory: Path, pairs: Pairs, *, dtype: str = "float64") -> int:
    """Write the inputs of cases.

    Parameters
    ----------
    directory : Path
        Made if it does not exist.
    pairs : list of (Case, Function)
    dtype : {"float64", "float32"}
        Of floating arrays.

    Returns
    -------
    int
        Number of cases.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    records = [_export_case(directory, case, function, dtype) for case, function in pairs]
    manifest = {"format": FORMAT, "dtype": dtype, "cases": records}
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    (directory / "cases.txt").write_text("".join(f"{case.id}\n" for case, _ in pairs))
    return len(records)


def _export_case(directory: Path, case: Case, function: Function, dtype: str) -> dict[str, Any]:
    inputs, outputs = (directory / kind / case.id for kind in ("inputs", "outputs"))
    inputs.mkdir(parents=True, exist_ok=True)
    outputs.mkdir(parents=True, exist_ok=True)
    arguments = {}
    for name, value in in_dtype(full_arguments(case, function), dtype).items():
        arguments[name] = _export_value(inputs / name, value)
    return {
        "id": case.id,
        "function": function.name,
        "note": case.note,
        "sentence": function.sentence,
        "source": function.source,
        "arguments": {
            name: record | ({"file": f"inputs/{case.id}/{record['file']}"} if "file" in record else {})
            for name, record in arguments.items()
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


def _export_value(path: Path, value: Any) -> dict[str, Any]:
    """Write one argument; returns its entry in the manifest."""
    if value is None:
        return {"value": None}
    if isinstance(value, str):
        path.with_suffix(".txt").write_text(value)
        return {"value": value, "file": f"{path.name}.txt"}
    record = {} if isinstance(value, np.ndarray) else {"value": value}
    try:
        array = np.asarray(value)
    except ValueError:  # a list of lists of several lengths, such as weight shapes
        return record
    if array.size == 0 and array.dtype.kind == "f" and not isinstance(value, np.ndarray):
        array = array.astype(np.int64)
    np.save(path.with_suffix(".npy"), np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return record | {"file": f"{path.name}.npy", "dtype": array.dtype.name, "shape": list(array.shape)}


def outcomes_of(directory: Path, pairs: Pairs, *, dtype: str = "float64") -> Iterator[Outcome]:
    """Judge what a program wrote: ``<function>/<case>/<output>.npy``, or all outputs in ``<function>/<case>.npz``.

    A case without files is not provided; one with a file that cannot be read, or with some outputs only, has failed.

    Parameters
    ----------
    directory : Path
    pairs : list of (Case, Function)
    dtype : {"float64", "float32"}
    """
    for case, function in pairs:
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


def strays(directory: Path, known: Iterable[Case]) -> tuple[str, ...]:
    """Remarks on files that belong to no case, such as those of a misspelt one: nothing is held against them.

    Parameters
    ----------
    directory : Path
    known : iterable of Case
        All there are, also those that were not asked for.
    """
    names = {case.id: case.expected.keys() for case in known}
    found = []
    for path in sorted((*directory.rglob("*.npy"), *directory.rglob("*.npz"))):
        place = path.relative_to(directory)
        if path.suffix == ".npz" and place.with_suffix("").as_posix() in names:
            continue
        if path.suffix == ".npy" and path.stem in names.get(place.parent.as_posix(), ()):
            continue
        found.append(place.as_posix())
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
    files = sorted(folder.glob("*.npy")) if folder.is_dir() else []
    found = {}
    for path in files:
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
