"""The sheet figures are drawn on, and what holds for every figure."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from sparcl_ref.report import style
from sparcl_ref.report.figures import canvas
from sparcl_ref.report.figures.canvas import png
from sparcl_ref.report.figures.matrices import accuracy_matrices
from sparcl_ref.report.figures.over_tasks import accuracy_over_tasks
from tests.report.figures.reading import records


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
