"""Inputs as files, outputs as files: what a program in another language gets and how its answers are judged."""

from __future__ import annotations

import io
import json
import re
import shutil

import numpy as np
import pytest

from sparcl_ref.verify import Report
from sparcl_ref.verify.exchange import export, outcomes_of
from sparcl_ref.verify.function import Argument, Output
from tests.verify.world import NUMBERS, X, case, function, protocol

SETTINGS = (
    X,
    Argument("mask", "bool"),
    Argument("labels", "int"),
    Argument("bias", "float or None", None),
    Argument("stride", "int", 1),
    Argument("scale", "float", 0.5),
    Argument("flag", "bool", False),
    Argument("shapes", "list", [[3, 2], [4]]),
    Argument("classes", "list", [2, 0]),
    Argument("none", "list", []),
    Argument("sparsity", "str", "0.75"),
)
ONE = function("scaled", arguments=SETTINGS, outputs=(Output("y", ""), Output("exact", "", exact=True)))
GIVEN = {"x": NUMBERS.reshape(1, 3), "mask": np.array([True, False]), "labels": np.array([[3, 4]])}
EXPECTED = {"y": 2 * NUMBERS.reshape(1, 3), "exact": [1, 0]}


@pytest.fixture
def pairs():
    return [(case(ONE, name, arguments=GIVEN, expected=EXPECTED), ONE) for name in ("first", "second")]


def write(folder, name="first", **arrays):
    for key, array in arrays.items():
        np.save(folder / "scaled" / name / f"{key}.npy", array)


def outcome(folder, pairs, *, dtype="float64"):
    found = list(outcomes_of(folder, pairs, dtype=dtype))
    assert [one.case.id for one in found] == ["scaled/first", "scaled/second"]
    assert (found[1].status, found[1].line) == ("not provided", "no file for scaled/second")
    return found[0]


@pytest.fixture
def folder(tmp_path, pairs):
    assert export(tmp_path / "cases", pairs) == 2
    return tmp_path / "cases" / "outputs"


def test_every_argument_has_a_file_a_simple_program_can_read(folder):
    inputs = folder.parent / "inputs" / "scaled" / "first"
    read = {path.stem: np.load(path, allow_pickle=False) for path in inputs.glob("*.npy")}
    expected = GIVEN | {"stride": np.int64(1), "scale": 0.5, "flag": False, "classes": [2, 0], "none": []}
    assert read.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype.kind == np.asarray(value).dtype.kind or name == "none"
        assert read[name].flags.c_contiguous
    assert (inputs / "sparsity.txt").read_text() == "0.75"
    assert not (inputs / "bias.npy").exists()
    assert (folder.parent / "cases.txt").read_text() == "scaled/first\nscaled/second\n"


def test_the_manifest_says_all_of_it(folder):
    manifest = json.loads((folder.parent / "manifest.json").read_text())
    assert (manifest["format"], manifest["dtype"]) == (1, "float64")
    first = manifest["cases"][0]
    assert [record["id"] for record in manifest["cases"]] == ["scaled/first", "scaled/second"]
    assert (first["sentence"], first["source"]) == (ONE.sentence, ONE.source)
    assert first["arguments"]["x"] == {
        "file": "inputs/scaled/first/x.npy", "dtype": "float64", "shape": [1, 3]
    }  # fmt: skip
    assert first["arguments"]["bias"] == {"value": None}
    assert first["arguments"]["shapes"] == {"value": [[3, 2], [4]]}
    assert first["arguments"]["sparsity"] == {"value": "0.75", "file": "inputs/scaled/first/sparsity.txt"}
    assert first["arguments"]["stride"]["value"] == 1
    assert first["outputs"] == {
        "y": {"file": "outputs/scaled/first/y.npy", "shape": [1, 3], "exact": False},
        "exact": {"file": "outputs/scaled/first/exact.npy", "shape": [2], "exact": True},
    }
    for record in first["arguments"].values():
        assert "file" not in record or (folder.parent / record["file"]).is_file()
    assert str(2 * NUMBERS[0]) not in json.dumps(first["outputs"]), "expected values stay here"


def test_float32_is_exported_and_asked_back(tmp_path, pairs):
    export(tmp_path, pairs, dtype="float32")
    inputs = tmp_path / "inputs" / "scaled" / "first"
    assert np.load(inputs / "x.npy").dtype == np.float32
    assert np.load(inputs / "labels.npy").dtype == np.int64
    write(tmp_path / "outputs", y=np.float32(EXPECTED["y"]), exact=EXPECTED["exact"])
    assert outcome(tmp_path / "outputs", pairs, dtype="float32").status == "passed"
    assert "dtype float32, expected float64" in outcome(tmp_path / "outputs", pairs).line


def test_right_outputs_pass(folder, pairs):
    write(folder, y=EXPECTED["y"], exact=np.int32(EXPECTED["exact"]))
    found = outcome(folder, pairs)
    assert (found.status, found.compared) == ("passed", 5)
    assert Report("folder", "float64", (found,)).conforms


@pytest.mark.parametrize("layout", ["fortran", "big-endian", "npz", "extra file"])
def test_other_layouts_of_the_same_numbers_pass(folder, pairs, layout):
    arrays = {"y": EXPECTED["y"], "exact": np.array(EXPECTED["exact"])}
    if layout == "npz":
        shutil.rmtree(folder / "scaled" / "first")
        np.savez(folder / "scaled" / "first.npz", **arrays)
    else:
        change = {"fortran": np.asfortranarray, "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">"))}
        write(folder, **{key: change.get(layout, np.asarray)(array) for key, array in arrays.items()})
    if layout == "extra file":
        write(folder, notes=np.zeros(3))
    assert outcome(folder, pairs).status == "passed"


def test_no_file_is_not_provided(folder, pairs):
    found = outcome(folder, pairs)
    assert (found.status, found.line) == ("not provided", "no file for scaled/first")
    assert next(iter(outcomes_of(folder / "nowhere", pairs))).status == "not provided"


def test_a_wrong_number_is_named(folder, pairs):
    write(folder, y=EXPECTED["y"] + [[0, 0, 1]], exact=EXPECTED["exact"])
    found = outcome(folder, pairs)
    assert (found.status, found.line) == ("failed", "y is off at [0, 2]")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": EXPECTED["y"]}, "exact is missing; there is y"),
        ({"Y": EXPECTED["y"], "exact": [1, 0]}, "y is missing; there is Y, exact"),
        ({"y": EXPECTED["y"].ravel(), "exact": [1, 0]}, r"y has shape \(3,\), expected \(1, 3\)"),
        ({"y": EXPECTED["y"] * 1j, "exact": [1, 0]}, "cannot be read .expected numbers, got dtype complex128"),
        ({"y": np.array(["a"]), "exact": [1, 0]}, "cannot be read .expected numbers, got dtype <U1"),
    ],
)
def test_missing_or_odd_outputs_fail_with_a_line(folder, pairs, arrays, said):
    write(folder, **arrays)
    found = outcome(folder, pairs)
    assert found.status == "failed"
    assert re.search(said, found.line), found.line


def damaged(kind: str) -> bytes:
    whole = io.BytesIO()
    if kind == "pickle":
        np.save(whole, np.array([{"code": "run"}], dtype=object), allow_pickle=True)
        return whole.getvalue()
    np.save(whole, EXPECTED["y"])
    content = whole.getvalue()
    return {
        "empty": b"",
        "text": b"0.5 1.5\n",
        "cut": content[:-4],
        "header only": content[:40],
        "terabytes": content.replace(b"(1, 3)", b"(1" + b"0" * 12 + b", 3)").replace(b" " * 12 + b"\n", b"\n", 1),
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "header only", "terabytes", "pickle"])
@pytest.mark.parametrize("archived", [False, True])
def test_files_that_cannot_be_read_fail_with_a_line(folder, pairs, kind, archived):
    write(folder, exact=EXPECTED["exact"])
    path = folder / "scaled" / ("first.npz" if archived else "first/y.npy")
    path.write_bytes(damaged(kind))
    found = outcome(folder, pairs)
    assert found.status == "failed"
    assert found.line.startswith(f"{path}: cannot be read (")
    assert "\n" not in found.line


def test_a_protocol_that_a_case_does_not_fit_is_an_error_of_ours(tmp_path):
    odd = case(ONE, arguments=GIVEN | {"unknown": 1})
    with pytest.raises(ValueError, match="the case does not fit scaled"):
        export(tmp_path, [(odd, ONE)])
    with pytest.raises(ValueError, match="the case does not fit scaled"):
        export(tmp_path, [(case(ONE), protocol(ONE)["scaled"])])
