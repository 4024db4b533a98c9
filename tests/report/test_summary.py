"""summary.json: strict, readable, and read back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.summary import load_summary, plain, to_json
from tests.report import example

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def strict(text: str):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


@given(value=VALUES)
def test_json_gives_back_what_went_in(value):
    text = to_json({"value": value})
    assert strict(text) == {"value": value}
    assert text.endswith("}\n")


def test_keys_keep_their_order_and_lists_of_numbers_their_line():
    text = to_json({"b": 1, "a": {"m": [[0.5, 1], [2, 3]], "e": [], "o": {}}})
    assert text == (
        '{\n  "b": 1,\n  "a": {\n    "m": [\n      [0.5, 1],\n      [2, 3]\n    ],\n    "e": [],\n    "o": {}\n  }\n}\n'
    )


def test_numpy_becomes_plain():
    value = {"a": np.arange(4).reshape(2, 2), "b": np.float32(0.5), "c": np.bool_(True), "d": (np.int64(3), None)}
    assert plain(value) == {"a": [[0, 1], [2, 3]], "b": 0.5, "c": True, "d": [3, None]}
    assert type(plain(value)["c"]) is bool


@pytest.mark.parametrize("bad", [math.nan, math.inf, np.float32("nan"), np.array([1.0, -np.inf])])
def test_what_is_not_finite_is_refused_by_its_place(bad):
    with pytest.raises(ValueError, match=r"summary\.methods\[1\]\.x(\[1\])? is -?(nan|inf), which JSON cannot hold"):
        to_json({"methods": [{}, {"x": bad}]})


def test_what_json_has_no_place_for_is_refused():
    with pytest.raises(TypeError, match=r"summary\.a has the key 1; keys must be strings"):
        to_json({"a": {1: 2}})
    with pytest.raises(TypeError, match=r"summary\.a is a set, which JSON cannot hold"):
        to_json({"a": {1}})


@pytest.fixture
def written(tmp_path):
    """Write any text or bytes as a summary.json and give its path."""

    def write(content):
        path = tmp_path / "summary.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_summary_is_read_back(written):
    summary = example.run(seeds=2, joint=True)[0]
    path = written(to_json(summary))
    assert load_summary(path) == summary
    assert load_summary(str(path)) == summary


GOOD = {"schema_version": 1, "command": "", "config": {}, "methods": []}


def changed(**changes):
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON, line 1 column 1"),
        ('{\n  "a": 1,\n  "b"', "not valid JSON, line 3 column 6"),
        (b'{"a": "\xff"}', r"not a text file in UTF-8 \(invalid start byte at byte 7\)"),
        ('{"a": NaN}', "not valid JSON: NaN is not a JSON number"),
        ('{"a": -Infinity}', "not valid JSON: -Infinity is not a JSON number"),
        ("[" * 200_000, "not valid JSON"),
        ("[1]", "not a summary of a run: expected an object, got a list"),
        ("null", "not a summary of a run: expected an object, got null"),
        (changed(schema_version=...), "'schema_version' is missing"),
        (changed(schema_version="1"), "'schema_version' must be a whole number, got a string"),
        (changed(schema_version=True), "'schema_version' must be a whole number, got a boolean"),
        (changed(schema_version=2), "schema_version is 2, and this version reads 1"),
        (changed(config=[]), "'config' must be an object, got a list"),
        (changed(methods=1.5), "'methods' must be a list, got a number"),
        (changed(command=None), "'command' must be a string, got null"),
        (changed(methods=[3]), r"methods\[0\] must be an object, got a whole number"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(written, content, message):
    path = written(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_summary(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_record_that_lacks_something_is_named(written):
    record = example.record(example.ENTRIES[0], 0)
    del record["seed"], record["steps"]
    with pytest.raises(ValueError, match=r"methods\[1\] lacks 'seed', 'steps'$"):
        load_summary(written(changed(methods=[example.joint_record(), record])))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.json: cannot be read \(No such file or directory\)"):
        load_summary(tmp_path / "absent.json")
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\)"):
        load_summary(tmp_path)
