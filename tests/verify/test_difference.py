"""The tolerance lets rounding pass and nothing else; the first bad entry is named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Tolerance
from sparcl_ref.verify.difference import allowed, compare_case, compare_output, shown
from tests import strategies
from tests.verify.world import NUMBERS, case


def returned(value, *, typed: bool = True) -> Returned:
    array = np.asarray(value)
    return Returned(array, array.shape, array.dtype.name if typed else "")


def test_the_rule_is_four_times_the_bound_of_a_sum():
    for dtype, eps in (("float64", 2.0**-52), ("float32", 2.0**-23)):
        assert allowed(Tolerance(10, 3.0, "a sum"), dtype) == 4 * 12 * eps * 3


@given(strategies.generators(), st.integers(1, 3000), st.sampled_from(["float64", "float32"]))
def test_any_order_of_summation_passes(rng, terms, dtype):
    factors = rng.standard_normal((2, terms)).astype(np.float32)
    exact = math.fsum(float(a) * float(b) for a, b in factors.T)
    tolerance = Tolerance(terms, float(np.abs(factors[0].astype(np.float64) * factors[1]).sum()), "products")
    products = factors[0].astype(dtype) * factors[1].astype(dtype)
    for order in (products, products[::-1], np.sort(products), rng.permutation(products)):
        one_by_one = order.dtype.type(0)
        for product in order:
            one_by_one += product
        assert compare_output("y", np.array([one_by_one]), np.array([exact]), tolerance, dtype=dtype) is None


@given(strategies.generators(), st.integers(64, 3000))
def test_a_float32_sum_fails_at_float64(rng, terms):
    products = rng.random(terms)
    tolerance = Tolerance(terms, float(products.sum()), "a sum")
    narrow = np.float64(products.astype(np.float32).sum())
    exact = math.fsum(products)
    # Unless float32 happens to be right to 40 bits, which needs luck that long sums do not have.
    if abs(narrow - exact) > 4 * (terms + 2) * 2.0**-52 * exact:
        found = compare_output("y", np.array(narrow), np.array(exact), tolerance, dtype="float64")
        assert found is not None
        assert found.error > found.allowed
    assert compare_output("y", np.array(narrow), np.array(exact), tolerance, dtype="float32") is None


@given(strategies.generators(), st.sampled_from([(7,), (2, 3), (2, 2, 2), ()]), st.data())
def test_the_first_bad_entry_in_c_order_is_named(rng, shape, data):
    expected = rng.standard_normal(shape)
    bad = data.draw(st.lists(st.integers(0, expected.size - 1), min_size=1, unique=True))
    got = expected.copy()
    got.reshape(-1)[bad] += 1.0
    found = compare_output("y", got, expected, Tolerance(1, 4.0, "one term"), dtype="float64")
    index = tuple(int(i) for i in np.unravel_index(min(bad), shape))
    assert (found.index, found.bad, found.size) == (index, len(bad), expected.size)
    assert (shown(found.got), shown(found.expected)) == (repr(float(got[index])), repr(float(expected[index])))
    assert found.error == pytest.approx(1.0)
    assert found.ulp == pytest.approx(abs(got[index] - expected[index]) / np.spacing(abs(expected[index])))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_near(bad):
    tolerance = Tolerance(1, 1e300, "a tolerance that would allow anything")
    found = compare_output("y", np.array([1.0, bad]), np.array([1.0, 1.0]), tolerance, dtype="float64")
    assert found.problem == "is not finite"
    assert found.index == (1,)
    assert compare_output("y", np.array([1.0]), np.array([bad]), tolerance, dtype="float64") is not None
    assert compare_output("y", np.array([bad]), np.array([bad]), tolerance, dtype="float64") is None


def test_exact_outputs_compare_by_value_and_zeros_by_sign():
    def exact(got, expected, dtype="float64"):
        return compare_output("y", np.asarray(got), np.asarray(expected), None, dtype=dtype)

    assert exact([1, 0], [True, False]) is None
    assert exact(np.array([3.0]), np.array([3])) is None
    assert exact(np.array([3.5]), np.array([3])).index == (0,)
    assert exact([0.0, -0.0], [0.0, -0.0]) is None
    assert exact([0.0, -0.0], [0.0, 0.0]).problem == "has zeros of the wrong sign"
    assert exact([np.nan], [np.nan]) is None
    assert exact(2.0**-30 + 1, 1.0).error is None


def test_expected_values_are_rounded_to_float32_for_exact_float32_outputs():
    assert compare_output("y", np.float32([0.1]), np.array([0.1]), None, dtype="float32") is None
    assert compare_output("y", np.float32([0.1]), np.array([0.1]), None, dtype="float64") is not None


def test_entries_that_must_be_zero_must_be_plus_zero():
    tolerance = Tolerance(5, 100.0, "a sum", zeros=np.array([True, False]))
    expected = np.array([0.0, 1.0])
    for wrong in (1e-300, -0.0):
        found = compare_output("dweight", np.array([wrong, 1.0]), expected, tolerance, dtype="float64")
        assert found.problem == "is not exactly +0.0 where it must be"
        assert (found.index, found.allowed) == ((0,), 0.0)
    assert compare_output("dweight", np.array([0.0, 1.0 + 1e-15]), expected, tolerance, dtype="float64") is None


@pytest.mark.parametrize(
    ("value", "typed", "dtype", "problem"),
    [
        (2 * NUMBERS, True, "float64", None),
        (2 * NUMBERS, True, "float32", "has dtype float64, expected float32, the dtype of the inputs"),
        (2 * NUMBERS, False, "float32", None),
        (np.int64(2 * NUMBERS), True, "float64", "has dtype int64, expected float64, the dtype of the inputs"),
        (2 * NUMBERS[:, None], True, "float64", "has shape (3, 1), expected (3,)"),
        (2.0, True, "float64", "has shape (), expected (3,)"),
    ],
)
def test_shape_and_dtype_come_first(value, typed, dtype, problem):
    compared, differences = compare_case(case("f"), {"y": returned(value, typed=typed)}, dtype=dtype)
    assert [difference.problem for difference in differences] == ([] if problem is None else [problem])
    assert compared == (3 if problem is None else 0)


def test_single_numbers_may_be_pythons_and_none_stands_for_nan():
    of_nan = case("f", expected={"y": np.nan})
    assert compare_case(of_nan, {"y": Returned(None)})[1] == []
    assert compare_case(of_nan, {"y": returned(np.nan)})[1] == []
    assert compare_case(of_nan, {"y": returned(0.0)})[1][0].index == ()
    of_half = case("f", expected={"y": 0.5})
    assert compare_case(of_half, {"y": returned(np.float32(0.5))}, dtype="float64")[1] == []
    assert compare_case(of_half, {"y": returned(0.5)}, dtype="float32")[1] == []
    assert compare_case(of_half, {"y": Returned(None)})[1][0].problem == "is None"


def test_no_floating_input_no_dtype_to_keep():
    of_counts = case("f", arguments={"n": 3}, expected={"y": [0.5, 0.25]})
    for got in (np.float32([0.5, 0.25]), np.float64([0.5, 0.25])):
        assert compare_case(of_counts, {"y": returned(got)}, dtype="float32") == (2, [])


def test_one_difference_per_output_and_all_values_counted():
    of_pair = case("f", expected={"y": [1.0, 2.0], "exact": [1, 2, 3]})
    compared, differences = compare_case(of_pair, {"y": returned([1.0, 9.0]), "exact": returned([0, 2, 0])})
    assert compared == 5
    assert [(d.name, d.index, d.bad) for d in differences] == [("y", (1,), 1), ("exact", (0,), 2)]


@given(st.integers(-(2**62), 2**62))
def test_a_whole_number_in_floating_point_is_right_only_if_nothing_was_rounded(number):
    """NumPy would round a large whole number to compare it, and so find a count in floats right that is not."""
    for dtype in (np.float64, np.float32):
        narrowed = np.array([number]).astype(dtype)
        found = compare_output("count", narrowed, np.array([number]), None, dtype="float64")
        assert (found is None) == (int(narrowed[0]) == number)


def test_numbers_that_no_whole_number_is_are_none():
    for number in (np.nan, np.inf, -np.inf, 2.0**63, -(2.0**64), 0.5):
        assert compare_output("count", np.array(number), np.array(2**62), None, dtype="float64") is not None
