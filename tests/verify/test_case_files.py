"""The two files of the conformance cases: small, read without pickle, and no change of either goes unnoticed."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from sparcl_ref.verify import cases
from tests.verify import freeze

MEGABYTE = 10**6


def test_the_files_are_small():
    sizes = [(cases.DATA / name).stat().st_size for name in (cases.MANIFEST, cases.ARRAYS)]
    assert sum(sizes) < 5 * MEGABYTE


def test_nothing_is_unpickled(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert len(cases.load_cases()) == len(freeze.stored_manifest()["cases"])


def test_every_array_is_held_to_its_own_digest():
    listed = freeze.stored_manifest()["arrays_sha256"]
    with np.load(cases.DATA / cases.ARRAYS, allow_pickle=False) as stored:
        assert {name: cases.array_sha256(stored[name]) for name in stored.files} == listed


SMALL = {"floats": np.array([[0.0, 1.5], [-2.0, np.nan]]), "counts": np.arange(3), "flag": np.array(True)}


def tampered(name):
    """An array changed in one respect: in the lowest or highest bit of one of its bytes, in shape, or in dtype."""
    array = SMALL[name]
    for place in range(array.nbytes):
        for bit in (0, 7):  # among them the last digit of every number, and the sign of a zero
            content = bytearray(array.tobytes())
            content[place] ^= 1 << bit
            yield np.frombuffer(bytes(content), array.dtype).reshape(array.shape)
    yield array.reshape(1, *array.shape)
    yield array.view({"f": np.int64, "i": np.float64, "b": np.int8}[array.dtype.kind])  # the very same bytes


def write(directory, arrays, digests, **further):
    """Both files, with the cases left out; returns the manifest's digest."""
    made = freeze.Frozen({"format": cases.FORMAT, "cases": [], "arrays_sha256": digests, **further}, arrays)
    freeze.write(made, directory)
    return made.digest()


def digests_of(arrays):
    return {name: cases.array_sha256(array) for name, array in arrays.items()}


@pytest.mark.parametrize("name", SMALL)
def test_any_change_of_an_array_is_detected(name, tmp_path):
    assert cases.load_cases(tmp_path, digest=write(tmp_path, SMALL, digests_of(SMALL))) == []
    for changed in tampered(name):
        digest = write(tmp_path, SMALL | {name: changed}, digests_of(SMALL))
        with pytest.raises(cases.CasesError, match=f"'{name}' was changed"):
            cases.load_cases(tmp_path, digest=digest)


def test_missing_and_additional_arrays_are_detected(tmp_path):
    fewer = {name: array for name, array in SMALL.items() if name != "flag"}
    for arrays, listed in [(fewer, SMALL), (SMALL, fewer)]:
        digest = write(tmp_path, arrays, digests_of(listed))
        with pytest.raises(cases.CasesError, match="'flag'"):
            cases.load_cases(tmp_path, digest=digest)


def test_any_change_of_the_manifest_is_detected(tmp_path):
    original = (cases.DATA / cases.MANIFEST).read_bytes()
    (tmp_path / cases.ARRAYS).write_bytes((cases.DATA / cases.ARRAYS).read_bytes())
    for changed in (original + b" ", original.replace(b'"terms": 1', b'"terms": 9', 1), b""):
        assert changed != original
        (tmp_path / cases.MANIFEST).write_bytes(changed)
        with pytest.raises(cases.CasesError, match="manifest was changed"):
            cases.load_cases(tmp_path)


def test_broken_and_missing_files_are_named(tmp_path):
    digest = write(tmp_path, SMALL, digests_of(SMALL))
    archive = (tmp_path / cases.ARRAYS).read_bytes()
    (tmp_path / cases.ARRAYS).write_bytes(archive[: len(archive) // 2])
    with pytest.raises(cases.CasesError, match=cases.ARRAYS):
        cases.load_cases(tmp_path, digest=digest)
    (tmp_path / cases.ARRAYS).unlink()
    with pytest.raises(cases.CasesError, match=cases.ARRAYS):
        cases.load_cases(tmp_path, digest=digest)
    (tmp_path / cases.MANIFEST).unlink()
    with pytest.raises(cases.CasesError, match=cases.MANIFEST):
        cases.load_cases(tmp_path, digest=digest)


def test_files_of_another_format_are_refused(tmp_path):
    digest = write(tmp_path, {}, {}, format=cases.FORMAT + 1)
    with pytest.raises(cases.CasesError, match="format must be 1, got 2"):
        cases.load_cases(tmp_path, digest=digest)


def test_objects_are_refused_even_if_the_manifest_lists_them(tmp_path):
    digest = write(tmp_path, {}, {"thing": "0" * 64})
    np.savez(tmp_path / cases.ARRAYS, thing=np.array([{}], dtype=object))
    with pytest.raises(cases.CasesError, match="cannot be read"):
        cases.load_cases(tmp_path, digest=digest)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])
def test_the_same_arrays_in_another_compression_are_the_same_cases(tmp_path, compression):
    """What is held to the digests is what was read, so an archive may be packed anew."""
    shutil.copy(cases.DATA / cases.MANIFEST, tmp_path)
    with (
        zipfile.ZipFile(cases.DATA / cases.ARRAYS) as stored,
        zipfile.ZipFile(tmp_path / cases.ARRAYS, "w", compression) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    assert [case.id for case in cases.load_cases(tmp_path)] == [case.id for case in cases.load_cases()]
    changed = io.BytesIO()
    np.save(changed, np.zeros(3))
    with zipfile.ZipFile(tmp_path / cases.ARRAYS, "a") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr(name, changed.getvalue())
    with pytest.raises(cases.CasesError, match="was changed"):
        cases.load_cases(tmp_path)
