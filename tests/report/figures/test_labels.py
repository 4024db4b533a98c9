"""Labels of points cover neither points nor each other."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.figures.canvas import LINE
from sparcl_ref.report.figures.labels import HALF, MARGIN, NEAR, Place, place_labels

SHEET = (9.0, 5.0)


def box(place: Place, wide: float) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a label."""
    ends = sorted((place.start, place.start + place.side * wide))
    return ends[0], place.level - LINE / 2, ends[1], place.level + LINE / 2


def overlap(one, other) -> bool:
    return all(max(one[i], other[i]) < min(one[i + 2], other[i + 2]) - 1e-9 for i in (0, 1))


def around(x: float, y: float) -> tuple[float, float, float, float]:
    return x - HALF, y - HALF, x + HALF, y + HALF


def test_a_lone_point_has_its_label_to_the_right_or_where_it_fits() -> None:
    assert place_labels([(2.0, 1.0)], [1.5], SHEET) == [pytest.approx((2 + NEAR, 1.0, 1))]
    assert place_labels([(8.5, 1.0)], [1.5], SHEET) == [pytest.approx((8.5 - NEAR, 1.0, -1))]


def test_no_points() -> None:
    assert place_labels([], [], SHEET) == []


def test_a_label_that_would_cover_a_point_goes_elsewhere() -> None:
    first, second = place_labels([(2.0, 1.0), (2.8, 1.0)], [1.5, 1.5], SHEET)
    assert not overlap(box(first, 1.5), around(2.8, 1.0))
    assert not overlap(box(second, 1.5), around(2.0, 1.0))


@pytest.mark.parametrize("seed", range(12))
def test_a_crowd_of_labels_covers_no_point_and_no_other_label(seed) -> None:
    draw = random.Random(seed)
    # Half of them in a column, as methods of one cost stand.
    points = [(draw.choice((5.0, draw.uniform(0.3, 8.7))), draw.uniform(1.0, 4.5)) for _ in range(20)]
    widths = [draw.uniform(0.9, 2.6) for _ in points]
    boxes = [box(*pair) for pair in zip(place_labels(points, widths, SHEET), widths, strict=True)]
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    for each, (x, y) in itertools.product(boxes, points):
        assert not overlap(each, around(x, y))
    assert all(each[0] >= 0 and each[2] <= SHEET[0] + MARGIN for each in boxes)


@given(points=st.lists(st.tuples(st.floats(0, 9), st.floats(0, 5)), max_size=8), wide=st.floats(0.1, 3))
def test_whatever_the_points_each_has_a_place_on_the_sheet(points, wide) -> None:
    found = place_labels(points, [wide] * len(points), SHEET)
    assert len(found) == len(points)
    for place in found:
        left, bottom, right, top = box(place, wide)
        assert left >= -1e-9
        assert right <= SHEET[0] + MARGIN + 1e-9
        assert bottom >= -LINE
        assert top <= SHEET[1] + LINE
