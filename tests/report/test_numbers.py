"""How numbers are written."""

from __future__ import annotations

import statistics
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report import numbers

FRACTIONS = st.floats(-1, 1)
POSITIVE = st.floats(1e-6, 1e20)


@given(values=st.lists(st.none() | FRACTIONS, max_size=8))
def test_spread_is_mean_and_sample_deviation_of_what_is_defined(values):
    known = [value for value in values if value is not None]
    result = numbers.spread(values)
    assert result.mean == (pytest.approx(statistics.mean(known), rel=1e-12, abs=1e-15) if known else None)
    # statistics computes with exact fractions; ours subtracts a rounded mean, an error of some 1e-16.
    assert result.std == (pytest.approx(statistics.stdev(known), rel=1e-9, abs=1e-15) if len(known) > 1 else None)


def test_spread_of_huge_counts():
    assert numbers.spread([10**16, 10**16 + 4]) == (float(10**16 + 2), pytest.approx(8**0.5))


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(None, "-"), (0.934, "93.4"), (1.0, "100.0"), (0.0, "0.0"), (-0.0, "0.0"), (-0.0001, "0.0"), (-0.056, "-5.6")],
)
def test_percent(fraction, text):
    assert numbers.percent(fraction) == text


@given(fraction=FRACTIONS)
def test_percent_is_off_by_half_a_unit_at_most_and_never_minus_zero(fraction):
    text = numbers.percent(fraction)
    assert abs(Decimal(text) - Decimal(fraction) * 100) <= Decimal("0.05000001")
    assert text != "-0.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (139.4, "139"), (27.84, "27.8"), (6.951, "6.95"), (9.996, "10.0"), (0.0123456, "0.0123"),
     (1234.4, "1234"), (999.6, "1000"), (-4.567, "-4.57")],
)  # fmt: skip
def test_significant(value, text):
    assert numbers.significant(value) == text


@given(value=POSITIVE, digits=st.integers(1, 5))
def test_significant_keeps_that_many_digits(value, digits):
    text = numbers.significant(value, digits)
    assert "e" not in text
    # Half a unit of the last digit asked for, and what decimal to binary loses.
    assert abs(float(text) - value) <= value * (0.5 * 10.0 ** (1 - digits) + 1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (1.0, "")), ([None], (1.0, "")), ([0], (1.0, "")), ([999.4], (1.0, "")), ([999.6], (1e3, "k")),
     ([5, 4.79e11, None], (1e9, "G")), ([1e18], (1e18, "E")), ([1e30], (1e18, "E"))],
)  # fmt: skip
def test_prefix_for(values, expected):
    assert numbers.prefix_for(iter(values)) == expected


@given(value=st.floats(1, 9e20))
def test_the_prefix_leaves_one_to_three_digits_before_the_point(value):
    divisor, _ = numbers.prefix_for([value])
    assert 1 <= float(numbers.significant(value / divisor)) < 1000


def test_quantity():
    assert numbers.quantity(4.79e11, "FLOPs") == "479 GFLOPs"
    assert numbers.quantity(5e10, "FLOPs", digits=1) == "50 GFLOPs"
    assert numbers.quantity(None, "FLOPs") == "unknown"


def test_a_cost_in_the_unit_of_its_column():
    assert numbers.scaled(4.79e11, 1e9) == "479"
    assert numbers.scaled(None, 1e9) == "unknown"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (5.04, "5.0"), (11.68, "11.7"), (99.94, "99.9"), (99.96, "100"), (250.4, "250"), (0.84, "0.8"),
     (0.034, "0.03"), (0.0, "0.0")],
)  # fmt: skip
def test_ratio(value, text):
    assert numbers.ratio(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (5.24, "5.2"), (99.94, "99.9"), (123.4, "123")])
def test_seconds(value, text):
    assert numbers.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.9, "0.90"), (0.75, "0.75"), (0.999, "0.999"), (0.0, "0.00")]
)
def test_sparsity(value, text):
    assert numbers.sparsity(value) == text


def test_listed():
    assert [numbers.listed(list("abc"[:n])) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
