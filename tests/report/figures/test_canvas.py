"""The sheet figures are drawn on, where labels go and which range an axis shows, and what holds for every figure."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from sparcl_ref.report import style
from sparcl_ref.report.figures import canvas
from sparcl_ref.report.figures.canvas import is_near_best, padded_range, png, spread_labels
from sparcl_ref.report.figures.matrices import accuracy_matrices
from sparcl_ref.report.figures.over_tasks import accuracy_over_tasks
from tests.report.figures.reading import records

POSITIONS = st.lists(st.floats(0, 1), min_size=1, max_size=9)


@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
def test_a_png_has_the_size_and_background_it_should(theme):
    figure = accuracy_matrices([records()[0]], theme=theme)
    data = png(figure, theme=theme, dpi=50)
    pixels = matplotlib.image.imread(io.BytesIO(data), format="png")
    across, up = figure.get_size_inches()
    assert pixels.shape[:2] == (int(up * 50), int(across * 50))
    assert pixels[0, 0, :3] == pytest.approx(np.array(style.channels(theme.background)) / 255, abs=1e-6)


def test_without_its_title_a_picture_is_the_rest_of_it():
    with style.applied(style.LIGHT):
        figure = canvas.new_figure(2, width=1)
        canvas.title(figure, "a title", under="and more")
        canvas.place_axes(figure, 0, 0, 1, 2 - canvas.HEAD)
    whole, rest = (
        matplotlib.image.imread(io.BytesIO(png(figure, dpi=100, headed=headed)), format="png")
        for headed in (True, False)
    )
    cut = len(whole) - len(rest)
    assert cut == round(100 * canvas.HEAD)
    np.testing.assert_array_equal(whole[cut:], rest)
    # The title stands in what was cut off.
    assert whole[:cut, :, :3].min() < 0.5


def test_text_width_is_what_matplotlib_measures():
    with style.applied(style.LIGHT):
        figure = canvas.new_figure(2)
        text = figure.text(0, 0, "SparCL-DER++ .90", fontsize=canvas.LABEL)
        extent = text.get_window_extent(figure.canvas.get_renderer())
        assert canvas.text_width(figure, "SparCL-DER++ .90") == pytest.approx(extent.width / figure.dpi, abs=0.02)


def test_names_with_dollars_are_no_formulas():
    record = {**records()[1], "name": "a $x^{ b$ c"}
    png(accuracy_over_tasks([record]), dpi=30)
    png(accuracy_matrices([record]), dpi=30)


def test_matplotlib_comes_with_the_first_figure_and_pyplot_never():
    program = """
import sys
import sparcl_ref.report
assert not any(name.split(".")[0] == "matplotlib" for name in sys.modules)
from sparcl_ref.report.figures import canvas, matrices
from tests.report import example
import matplotlib
before = matplotlib.rcParams.copy()
canvas.png(matrices.accuracy_matrices([example.joint_record()]), dpi=20)
assert "matplotlib.pyplot" not in sys.modules
after = matplotlib.rcParams.copy()
assert all(dict.__getitem__(before, key) == dict.__getitem__(after, key) for key in before)
print("done")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


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
