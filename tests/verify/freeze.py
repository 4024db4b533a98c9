"""Freeze the conformance cases: `python -m tests.verify.freeze` writes them, `--check` compares instead.

Every file of ``areas`` takes part. Inputs must come out the same to the bit on every
machine; expected values within their tolerance, since the libraries behind the oracles may sum in another order.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sparcl_ref.verify import cases, difference
from sparcl_ref.verify.areas import functions
from tests.verify.assembly import described, expectation, oracles, rounded_up, specs
from tests.verify.spec import widened

VERSION = "1.0.0"
#: Members of a zip archive carry a date; this is the earliest one there is.
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Frozen:
    """The two files, as they are written: a JSON value, and arrays by name."""

    manifest: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def manifest_bytes(self) -> bytes:
        return (json.dumps(self.manifest, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()

    def archive_bytes(self) -> bytes:
        """An .npz whose bytes depend on the arrays alone: `numpy.savez` would note the time of writing."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, array in self.arrays.items():
                member = zipfile.ZipInfo(f"{name}.npy", date_time=EPOCH)
                member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
                content = io.BytesIO()
                np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
                archive.writestr(member, content.getvalue())
        return target.getvalue()

    def digest(self) -> str:
        return hashlib.sha256(self.manifest_bytes()).hexdigest()


def freeze(further: Iterable[ModuleType] = (), of: Iterable[ModuleType] | None = None) -> Frozen:
    """All cases with their expected values.

    Parameters
    ----------
    further : iterable of module
        Areas of functions beside the protocol's.
    of : iterable of module, optional
        What has the cases and oracles; `tests.verify.areas` unless given.
    """
    of = None if of is None else list(of)
    protocol, found = functions(further), oracles(of)
    arrays: dict[str, np.ndarray] = {}
    records = []

    def stored(name: str, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        arrays[name] = widened(name, value)
        return {"array": name}

    for spec in specs(protocol, of):
        function, oracle = protocol[spec.function], found[spec.function]
        expected, tolerances = expectation(spec.id, function, spec.arguments, oracle)
        records.append(
            {
                "id": spec.id,
                "function": spec.function,
                "kind": spec.kind,
                "profile": spec.profile,
                "note": spec.note,
                "arguments": {name: stored(f"{spec.id}/{name}", value) for name, value in spec.arguments.items()},
                "expected": {name: stored(f"{spec.id}/expected.{name}", value) for name, value in expected.items()},
                "tolerance": {
                    name: {
                        "terms": tolerance.terms,
                        "magnitude": rounded_up(tolerance.magnitude),
                        "reason": tolerance.reason,
                        "zeros": stored(f"{spec.id}/zeros.{name}", tolerance.zeros),
                    }
                    for name, tolerance in tolerances.items()
                },
                "oracle": (oracle.__doc__ or "").strip().splitlines()[0],
            }
            | {name: value for name in cases.LIMITS if (value := getattr(spec, name))}
        )
    used = [protocol[name] for name in dict.fromkeys(record["function"] for record in records)]
    manifest = {
        "format": cases.FORMAT,
        "version": VERSION,
        "tolerance": f"|got - expected| <= {difference.SAFETY} * (terms + 2) * eps of the dtype under test * magnitude",
        "functions": {function.name: described(function) for function in used},
        "cases": records,
        "arrays_sha256": {name: cases.array_sha256(array) for name, array in arrays.items()},
    }
    return Frozen(manifest, arrays)


# --- comparing with what is frozen ------------------------------------------------------------------------------------


def differences(frozen: list[cases.Case], made: list[cases.Case]) -> Iterator[str]:
    """What is new, gone or changed, a line each; expected values count as changed beyond their tolerance only."""
    old, new = ({case.id: case for case in side} for side in (frozen, made))
    for case_id in sorted(old.keys() ^ new.keys()):
        yield f"{case_id}: {'is new' if case_id in new else 'is gone'}"
    for case_id in sorted(old.keys() & new.keys()):
        before, after = old[case_id], new[case_id]
        for field in ("function", "kind", "profile", "note", "oracle", *cases.LIMITS):
            if getattr(before, field) != getattr(after, field):
                yield f"{case_id}: another {field}"
        if not _same(before.arguments, after.arguments):
            yield f"{case_id}: other inputs"
        # Magnitudes are made of the oracle's numbers and rounded up to three digits: a last bit may move the third.
        close = before.tolerance.keys() == after.tolerance.keys() and all(
            _same({**asdict(tolerance), "magnitude": 0}, {**asdict(after.tolerance[name]), "magnitude": 0})
            and math.isclose(tolerance.magnitude, after.tolerance[name].magnitude, rel_tol=0.011)
            for name, tolerance in before.tolerance.items()
        )
        if not close:
            yield f"{case_id}: another tolerance"
        if before.expected.keys() != after.expected.keys():
            yield f"{case_id}: other outputs"
        else:
            for name, array in after.expected.items():
                if array.shape != before.expected[name].shape or array.dtype != before.expected[name].dtype:
                    yield f"{case_id}: another shape or type of {name}"
                elif difference.compare_output(
                    name, array, before.expected[name], before.tolerance.get(name), dtype="float64"
                ):
                    yield f"{case_id}: another {name}, beyond its tolerance"


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Equal keys in equal order, equal arrays to the bit, equal JSON values."""

    def bits(value: Any) -> Any:
        return cases.array_sha256(value) if isinstance(value, np.ndarray) else value

    return [(name, bits(value)) for name, value in one.items()] == [
        (name, bits(value)) for name, value in other.items()
    ]


def stored_manifest() -> dict[str, Any]:
    """The manifest of the package as it is, unchecked."""
    return json.loads((cases.DATA / cases.MANIFEST).read_bytes())


def write(frozen: Frozen, directory: Path) -> None:
    """Write both files."""
    directory.mkdir(exist_ok=True)
    (directory / cases.MANIFEST).write_bytes(frozen.manifest_bytes())
    (directory / cases.ARRAYS).write_bytes(frozen.archive_bytes())


def as_cases(frozen: Frozen) -> list[cases.Case]:
    """What a reader of the two files gets."""
    with tempfile.TemporaryDirectory() as directory:
        write(frozen, Path(directory))
        return cases.load_cases(Path(directory), digest=frozen.digest())


def main(arguments: list[str] | None = None, *, directory: Path = cases.DATA) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.freeze", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the frozen cases differ")
    check = parser.parse_args(arguments).check
    made = freeze()
    if check:
        lines = list(differences(cases.load_cases(directory), as_cases(made)))
        print("\n".join(lines) or f"{len(made.manifest['cases'])} cases are as frozen")
        return 1 if lines else 0
    write(made, directory)
    print(f"{len(made.manifest['cases'])} cases, {len(made.arrays)} arrays in {directory}")
    print(f"DIGEST of sparcl_ref/verify/cases.py: {made.digest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
