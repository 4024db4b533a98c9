"""Where labels go and which range an axis shows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from sparcl_ref.report.figures.axis_layout import is_near_best, padded_range, spread_labels

POSITIONS = st.lists(st.floats(0, 1), min_size=1, max_size=9)


def test_outliers_are_those_far_below_the_best():
    assert is_near_best([0.2, 0.9, 0.95]) == [False, True, True]
    assert is_near_best([0.7, 0.9, 0.95]) == [True, True, True]


def test_the_best_alone_is_no_reason_for_a_second_axis():
    assert is_near_best([0.2, 0.3, 0.95]) == [True, True, True]
    assert is_near_best([0.5]) == [True]


@given(values=POSITIONS)
def test_a_padded_range_holds_all_values_with_room(values):
    low, high = padded_range(values)
    assert low < min(values) or low == -0.02
    assert high > max(values) or high == 1.02
    assert high - low >= 0.0199
    assert low >= -0.02
    assert high <= 1.02


@given(positions=POSITIONS, gap=st.floats(0, 0.3))
def test_labels_keep_their_order_and_distance(positions, gap):
    placed = spread_labels(positions, gap)
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    for lower, upper in itertools.pairwise(order):
        assert placed[upper] - placed[lower] >= gap - 1e-9
    # Moving labels apart does not move them as a whole.
    assert np.mean(placed) == pytest.approx(np.mean(positions), abs=1e-9)


def test_labels_with_room_stay_where_they_are():
    assert spread_labels([0.1, 0.9, 0.5], 0.2) == pytest.approx([0.1, 0.9, 0.5])
    assert spread_labels([], 0.1) == []


@pytest.mark.parametrize("positions", [[0.5, 0.5, 0.5], [0.1, 0.12, 0.5, 0.9, 0.91], [0.9, 0.2, 0.25, 0.21]])
def test_labels_are_as_near_as_a_general_optimiser_gets_them(positions):
    gap = 0.1
    start = np.sort(positions)
    limits = [{"type": "ineq", "fun": lambda x, i=i: x[i + 1] - x[i] - gap} for i in range(len(positions) - 1)]
    best = minimize(lambda x: np.sum((x - start) ** 2), start, constraints=limits, tol=1e-14).x
    np.testing.assert_allclose(sorted(spread_labels(positions, gap)), best, rtol=0, atol=1e-6)


@given(positions=POSITIONS, gap=st.floats(0.01, 0.1))
def test_labels_stay_within_bounds_and_are_the_nearest_that_do(positions, gap):
    placed = spread_labels(positions, gap, 0.0, 1.0)
    assert min(placed) >= 0
    assert max(placed) <= 1 + 1e-9
    start, found = np.sort(positions), np.sort(placed)
    assert all(np.diff(found) >= gap - 1e-9)
    limits = [{"type": "ineq", "fun": lambda x, i=i: x[i + 1] - x[i] - gap} for i in range(len(start) - 1)]
    best = minimize(lambda x: np.sum((x - start) ** 2), found, bounds=[(0, 1)] * len(start), constraints=limits)
    # The general optimiser starts from our answer and must not find anything better.
    assert np.sum((found - start) ** 2) <= best.fun + 1e-6


def test_labels_without_room_begin_at_the_bottom():
    assert spread_labels([0.5, 0.5, 0.5], 0.5, 0.0, 0.8) == pytest.approx([0.0, 0.5, 1.0])
