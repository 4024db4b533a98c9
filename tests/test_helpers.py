"""The assertion helpers fail when they should, and say where."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import assert_close, assert_positive_zero, finite_difference


def test_close_counts_what_it_compared():
    assert assert_close(np.ones((2, 3)), np.ones((2, 3)), call="f()") == 6


def test_close_names_call_index_got_and_expected():
    expected = np.arange(6.0).reshape(2, 3)
    actual = expected.copy()
    actual[1, 0] = 3.5
    with pytest.raises(AssertionError, match=r"f\(x\): 1 of 6 .*index \(1, 0\): got .*3\.5.*, expected .*3\.0"):
        assert_close(actual, expected, call="f(x)")


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (np.zeros(3), np.full(3, 1e-9), {}),  # a zero never passes for a small number
        (np.full(3, 1e-300), np.zeros(3), {}),  # nor the other way round
        ([1.0, np.nan], [1.0, np.nan], {}),
        ([1.0, np.nan], [1.0, 2.0], {"rtol": 10.0}),
        ([np.inf], [1.0], {}),
        ([1.0], [np.inf], {}),
        ([np.inf], [-np.inf], {}),
        ([1.0 + 2.5e-10], [1.0], {}),
        ([np.inf, 1.001], [np.inf, 1.0], {}),
        ([1e-3], [0.0], {"atol": 1e-4}),
        (np.zeros(0), np.zeros(0), {}),
        (np.ones((3, 1)), np.ones(3), {}),
        (np.ones(3), 1.0, {}),
    ],
)
def test_close_fails(actual, expected, options):
    with pytest.raises(AssertionError, match=r"^g: "):
        assert_close(actual, expected, call="g", **options)


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        ([1.0 + 1e-11], [1.0], {}),
        ([1e-11, 1.0], [0.0, 1.0], {}),  # allowed beside an entry of size one
        ([1e-5], [0.0], {"atol": 1e-4}),
        ([np.inf, 1.0], [np.inf, 1.0], {}),
        ([3, 4], [3, 4], {}),
    ],
)
def test_close_passes(actual, expected, options):
    assert_close(actual, expected, call="g", **options)


def test_positive_zero_counts_what_it_looked_at():
    array = np.array([0.0, 1.0, 0.0])
    assert assert_positive_zero(array, call="w", where=array == 0) == 2
    assert assert_positive_zero(np.zeros((2, 2)), call="w") == 4


@pytest.mark.parametrize("bad", [-0.0, np.nan, 5e-324, -1.0, np.inf])
def test_positive_zero_fails(bad):
    with pytest.raises(AssertionError, match=r"w: 1 of 2 .*index \(1,\)"):
        assert_positive_zero(np.array([0.0, bad]), call="w")


@pytest.mark.parametrize("where", [np.ones(3, dtype=bool), np.ones(2)])
def test_positive_zero_refuses_an_unfit_selection(where):
    with pytest.raises(AssertionError, match="where must be bool"):
        assert_positive_zero(np.zeros(2), call="w", where=where)


def test_finite_difference_of_a_known_function():
    x = np.array([[0.5, -1.0], [2.0, 0.0]])
    before = x.copy()
    gradient = finite_difference(lambda: np.sum(np.sin(x) * np.array([[1.0, 2.0], [3.0, 4.0]])), x)
    assert np.array_equal(x, before)
    assert_close(gradient, np.cos(x) * np.array([[1.0, 2.0], [3.0, 4.0]]), call="finite_difference", rtol=1e-9)


def test_finite_difference_restores_when_the_function_fails():
    x = np.array([1.0])
    with pytest.raises(ZeroDivisionError):
        finite_difference(lambda: 1 // 0, x)
    assert x[0] == 1.0


def test_finite_difference_refuses_float32():
    with pytest.raises(TypeError, match="float64"):
        finite_difference(lambda: 0.0, np.zeros(2, dtype=np.float32))
