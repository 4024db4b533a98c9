"""Where labels go and which range an axis shows."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from sparcl_ref.report.layout import Box, is_near_best, padded_range, place_labels, spread_labels

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


def test_boxes():
    box = Box(0, 0, 4, 2)
    assert box.area() == 8
    assert box.overlap(Box(3, 1, 9, 9)) == 1
    assert box.overlap(Box(5, 0, 6, 1)) == 0
    assert box.nearest(7, 6) == (4, 2)
    assert box.distance(7, 6) == 5
    assert box.distance(1, 1) == 0


BOUNDS = Box(0, 0, 100, 60)


def test_a_lone_label_stands_to_the_right():
    (box,) = place_labels([(50.0, 30.0)], [(20.0, 4.0)], BOUNDS, radius=1)
    assert box.left > 51
    assert (box.bottom + box.top) / 2 == 30


def test_a_label_stays_inside():
    (box,) = place_labels([(95.0, 30.0)], [(20.0, 4.0)], BOUNDS, radius=1)
    assert box.overlap(BOUNDS) == pytest.approx(box.area())


def test_a_label_stays_off_what_is_to_be_kept_clear():
    line = Box(50, 29, 100, 31)
    (box,) = place_labels([(50.0, 30.0)], [(20.0, 4.0)], BOUNDS, radius=1, keep_clear=[line])
    assert box.overlap(line) == 0


@given(seed=st.integers(0, 10_000))
def test_scattered_labels_cover_neither_each_other_nor_points(seed):
    # Nine points on a loose grid: there is room for all, so there must be no overlap.
    rng = np.random.default_rng(seed)
    points = [
        (float(x + rng.uniform(-4, 4)), float(y + rng.uniform(-4, 4))) for x in (40, 150, 260) for y in (20, 50, 80)
    ]
    boxes = place_labels(points, [(40.0, 5.0)] * 9, Box(0, 0, 320, 100), radius=2)
    assert len(boxes) == 9
    for one, other in itertools.combinations(boxes, 2):
        assert one.overlap(other) == 0
    for index, box in enumerate(boxes):
        assert (box.right - box.left, box.top - box.bottom) == pytest.approx((40, 5))
        distances = [box.distance(*point) for point in points]
        assert distances[index] == min(distances)
        assert min(distances) >= 2 * 0.99


def test_in_a_crowd_labels_are_still_clear_and_unambiguous():
    bounds = Box(0, 0, 200, 100)
    for seed in range(25):
        draw = random.Random(seed)
        points = [(draw.uniform(20, 180), draw.uniform(10, 90)) for _ in range(8)]
        boxes = place_labels(points, [(40.0, 6.0)] * 8, bounds, radius=2)
        for index, box in enumerate(boxes):
            distances = [box.distance(*point) for point in points]
            assert distances[index] == min(distances), f"seed {seed}: label {index} belongs to another point"
        assert sum(one.overlap(other) for one, other in itertools.combinations(boxes, 2)) == 0, f"seed {seed}"
