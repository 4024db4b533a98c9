"""What makes the cases: numbers from a hash, cases that are checked when they are written down, reproducible files."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.verify import cases
from sparcl_ref.verify.function import Argument, Function, Output
from tests.verify import assembly, draws, freeze
from tests.verify.spec import CaseSpec, Tolerance

# --- numbers ----------------------------------------------------------------------------------------------------------


def test_numbers_never_change():
    """These values are what makes a frozen case reproducible anywhere; changing them changes every case."""
    assert draws.integers("a label", 6, low=0, high=100).tolist() == [77, 97, 79, 30, 16, 29]
    assert draws.permutation("an order", 7).tolist() == [6, 1, 4, 5, 0, 3, 2]
    assert draws.floats("a label", 2).tolist() == [1.9973368644714355, 1.3502784967422485]


@given(st.text(max_size=8), st.lists(st.integers(0, 5), max_size=3))
def test_floats_fill_their_range_with_numbers_of_float32(label, shape):
    numbers = draws.floats(label, shape, low=-1.0, high=3.0)
    assert numbers.shape == tuple(shape)
    assert numbers.dtype == np.float64
    assert np.array_equal(numbers, numbers.astype(np.float32))
    assert np.all((numbers >= -1) & (numbers <= 3))


def test_floats_have_full_mantissas_and_are_spread_evenly():
    numbers = draws.floats("many", 4000)
    # In [1, 2) neighbours of float32 are 2^-23 apart: half of the numbers have an odd last digit.
    within = numbers[(numbers >= 1) & (numbers < 2)]
    assert 0.4 < np.mean(within * 2**23 % 2) < 0.6
    assert abs(np.mean(numbers)) < 0.1
    assert 1.2 < np.var(numbers) < 1.47  # of an even spread over 4: 16 / 12


@given(st.text(max_size=8), st.integers(0, 30), st.data())
def test_permutations_truths_and_distinct_numbers(label, n, data):
    count = data.draw(st.integers(0, n))
    assert sorted(draws.permutation(label, n)) == list(range(n))
    assert draws.truths(label, n, count=count).sum() == count
    assert sorted(draws.distinct(label, n) * 64) == list(range(1, n + 1))


def test_labels_matter():
    assert not np.array_equal(draws.floats("one", 9), draws.floats("other", 9))


# --- cases as they are written down -----------------------------------------------------------------------------------


def spec(**changed):
    fields = {"function": "f", "name": "a-case", "kind": "edge", "note": "why", "arguments": {}}
    return CaseSpec(**{**fields, **changed})


def test_arrays_are_widened_and_read_only():
    given = np.array([1, 2], dtype=np.int32)
    taken = spec(arguments={"counts": given, "mask": np.array([True]), "x": np.float32([[0.5]])}).arguments
    assert [taken[name].dtype.name for name in ("counts", "mask", "x")] == ["int64", "bool", "float64"]
    given[0] = 9
    assert taken["counts"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        taken["counts"][0] = 5


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"name": "A case"}, ValueError, "small letters"),
        ({"kind": "usual"}, ValueError, "kind must be in"),
        ({"profile": "mine"}, ValueError, "profile in"),
        ({"note": ""}, ValueError, "needs a note"),
        ({"arguments": {"x": np.array([0.1])}}, ValueError, "f/a-case, x: floating entries must be numbers of float32"),
        ({"arguments": {"x": np.array([1e300])}}, ValueError, "numbers of float32"),
        ({"arguments": {"x": np.array(["a"])}}, TypeError, "arrays hold floats, integers or truth values"),
        ({"arguments": {"lr": np.float64(0.5)}}, TypeError, "Python numbers"),
        ({"arguments": {"stride": (1, 2)}}, TypeError, "must be an array or a JSON value"),
        ({"dtype": "float16"}, ValueError, "dtype must be float64 or float32, or left out, got 'float16'"),
        ({"arguments": {"n": np.array([2**63], np.uint64)}}, OverflowError, "int64 does not hold"),
    ],
)
def test_unfit_cases_are_refused(changed, error, message):
    with pytest.raises(error, match=message):
        spec(**changed)


def test_a_case_for_float64_alone_may_hold_any_number_of_it():
    assert spec(arguments={"x": np.array([0.1])}, dtype="float64").arguments["x"][0] == 0.1


@pytest.mark.parametrize(("terms", "magnitude", "reason"), [(-1, 1.0, "sum"), (1, float("inf"), "sum"), (1, 1.0, "")])
def test_unfit_tolerances_are_refused(terms, magnitude, reason):
    with pytest.raises(ValueError, match=r"terms and magnitude|reason"):
        Tolerance(terms, magnitude, reason)


# --- putting together -------------------------------------------------------------------------------------------------

FUNCTION = Function(
    "f",
    "layers",
    (Argument("x", "float"), Argument("stride", "int", default=1)),
    (Output("y", "float"), Output("mask", "bool", exact=True)),
    "what it does",
    "a source",
)
X = np.array([1.0, 2.0])
SUM = Tolerance(2, 3.0, "a sum")


def test_defaults_are_filled_in():
    assert assembly.completed(spec(arguments={"x": X}), FUNCTION).arguments["stride"] == 1
    with pytest.raises(ValueError, match="'x' has no default and must be given"):
        assembly.completed(spec(), FUNCTION)
    with pytest.raises(ValueError, match="f takes no 'y', only x, stride"):
        assembly.completed(spec(arguments={"x": X, "y": X}), FUNCTION)


@pytest.mark.parametrize(
    ("outputs", "tolerances", "message"),
    [
        ({}, {}, "expected some of"),
        ({"z": X}, {"z": SUM}, r"the oracle gave \['z'\]"),
        ({"y": X}, {}, "floating outputs have a tolerance"),
        ({"mask": X > 1}, {"mask": SUM}, "exact ones none"),
        ({"y": X}, {"y": dataclasses.replace(SUM, zeros=np.array([True]))}, "zeros of y have shape"),
    ],
)
def test_unfit_answers_of_oracles_are_refused(outputs, tolerances, message):
    with pytest.raises(ValueError, match=message):
        assembly.expectation("f/a-case", FUNCTION, {}, lambda arguments: (outputs, tolerances))


def test_an_oracle_may_leave_outputs_out():
    outputs, _ = assembly.expectation("f/a-case", FUNCTION, {}, lambda arguments: ({"mask": X > 1}, {}))
    assert list(outputs) == ["mask"]


@given(st.floats(1e-30, 1e30))
def test_magnitudes_are_rounded_up_to_three_digits(magnitude):
    rounded = assembly.rounded_up(magnitude)
    assert magnitude * (1 - 1e-12) <= rounded <= magnitude * 1.0101
    assert rounded == float(f"{rounded:.3g}")


def test_a_magnitude_of_zero_stays_zero():
    assert assembly.rounded_up(0.0) == 0.0


# --- files and their comparison ---------------------------------------------------------------------------------------


def test_the_same_cases_give_the_same_bytes():
    one, other = freeze.Frozen({"a": 1}, {"x/y": X}), freeze.Frozen({"a": 1}, {"x/y": X.copy()})
    assert one.archive_bytes() == other.archive_bytes()
    assert one.manifest_bytes() == other.manifest_bytes()
    with zipfile.ZipFile(io.BytesIO(one.archive_bytes())) as archive:
        assert [member.date_time for member in archive.infolist()] == [(1980, 1, 1, 0, 0, 0)]
    with np.load(io.BytesIO(one.archive_bytes()), allow_pickle=False) as stored:
        assert np.array_equal(stored["x/y"], X)


def case(**changed):
    fields = {
        "id": "f/a-case",
        "function": "f",
        "kind": "edge",
        "profile": "both",
        "note": "why",
        "arguments": {"x": X},
        "expected": {"y": X},
        "tolerance": {"y": cases.Tolerance(2, 3.0, "a sum")},
        "oracle": "by hand",
    }
    return cases.Case(**{**fields, **changed})


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"id": "f/b-case"}, "is new"),
        ({"note": "another"}, "another note"),
        ({"kind": "regular"}, "another kind"),
        ({"oracle": "by machine"}, "another oracle"),
        ({"dtype": "float64"}, "another dtype"),
        ({"optional": "a reason"}, "another optional"),
        ({"arguments": {"x": np.nextafter(X, 3)}}, "other inputs"),
        ({"arguments": {"x": X, "p": 1}}, "other inputs"),
        ({"expected": {"z": X}}, "other outputs"),
        ({"expected": {"y": X[:1]}}, "another shape or type of y"),
        ({"expected": {"y": X.astype(np.float32)}}, "another shape or type of y"),
        ({"expected": {"y": X + 1e-12}}, "another y, beyond its tolerance"),
        ({"tolerance": {"y": cases.Tolerance(3, 3.0, "a sum")}}, "another tolerance"),
        ({"tolerance": {"y": cases.Tolerance(2, 3.1, "a sum")}}, "another tolerance"),
        ({"tolerance": {"y": cases.Tolerance(2, 3.0, "a sum", X > 1)}}, "another tolerance"),
        ({"tolerance": {}}, "another tolerance"),
    ],
)
def test_each_difference_is_named(changed, line):
    assert any(line in found for found in freeze.differences([case()], [case(**changed)]))


def test_rounding_of_expected_values_is_no_difference():
    nearly = {"expected": {"y": np.nextafter(X, 3)}, "tolerance": {"y": cases.Tolerance(2, 3.01, "a sum")}}
    assert list(freeze.differences([case()], [case(**nearly)])) == []


def test_the_command_writes_what_it_then_finds_unchanged(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(freeze, "freeze", lambda: made)
    monkeypatch.setattr(cases, "DIGEST", made.digest())
    assert freeze.main([], directory=tmp_path) == 0
    assert made.digest() in capsys.readouterr().out
    assert freeze.main(["--check"], directory=tmp_path) == 0
    assert "cases are as frozen" in capsys.readouterr().out
    fewer = freeze.Frozen(made.manifest | {"cases": made.manifest["cases"][1:]}, made.arrays)
    monkeypatch.setattr(freeze, "freeze", lambda: fewer)
    assert freeze.main(["--check"], directory=tmp_path) == 1
    assert "is gone" in capsys.readouterr().out
