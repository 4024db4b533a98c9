"""The figure of the mask shows its history."""

from __future__ import annotations

import numpy as np

from sparcl_ref.report.figures.mask import SHOWN, mask_over_time
from sparcl_ref.report.mask_history import final_origins, initial_survival, turnover
from sparcl_ref.report.style import NARROW
from tests.report import example


def test_the_mask_figure_shows_an_even_sample_survival_and_turnover():
    mask = example.mask(0.9)
    figure = mask_over_time(mask, name="SparCL-DER++ .90")
    raster, survival, flow = figure.axes
    (image,) = raster.images
    codes = np.asarray(image.get_array())
    assert codes.shape == (SHOWN, 51)
    assert set(np.unique(codes)) == {0, 1, 2, 3, 4, 5, 6}
    # An even sample keeps shares: what is alive in it, against what is alive of all that ever lived.
    alive = mask["alive"]
    everyone = alive[:, alive.any(axis=0)]
    np.testing.assert_allclose((codes > 0).mean(axis=0), everyone.mean(axis=1), rtol=0, atol=0.03)
    np.testing.assert_allclose(survival.lines[0].get_ydata(), initial_survival(alive))
    joined, left = turnover(alive)
    heights = [bar.get_height() for bar in flow.patches]
    np.testing.assert_allclose(heights, [*joined, *(-left)])
    title, under = (text.get_text() for text in figure.texts)
    assert title == "The mask on the move: SparCL-DER++ .90"
    assert under.startswith(f"body.conv2.weight (32x32x3x3): 340 of the {everyone.shape[1]:,} weights that ever lived")


def test_the_mask_figure_names_shares_and_marks_tasks():
    mask = example.mask(0.9)
    raster, _, flow = mask_over_time(mask).axes
    tasks = [task for task, _ in mask["labels"]]
    shares = final_origins(mask["alive"], tasks)
    found = [text.get_text() for text in raster.texts]
    names = ["since the start", *(f"since task {task}" for task in range(1, 6))]
    assert [f"{100 * shares[task]:.0f} %  {names[task]}" for task in range(6)] == [t for t in found if "%" in t]
    assert [text for text in found if text.startswith("task")] == [f"task {task}" for task in range(1, 6)]
    boundaries = [line.get_xdata()[0] for line in raster.lines if line.get_linewidth() == 0.9]
    assert boundaries == [0.5, 10.5, 20.5, 30.5, 40.5]
    assert [label.get_text() for label in flow.get_xticklabels()] == ["10", "20", "30", "40", "50"]


def test_a_static_mask_and_an_empty_one_can_be_drawn():
    still = {"layer": "w", "shape": [4], "labels": [(0, 0), (1, 1)], "alive": np.array([[1, 0, 1, 0]] * 2, dtype=bool)}
    raster, survival, _ = mask_over_time(still).axes
    assert np.asarray(raster.images[0].get_array()).tolist() == [[1, 1], [1, 1]]
    assert survival.lines[0].get_ydata().tolist() == [1, 1]
    empty = {**still, "alive": np.zeros((2, 4), dtype=bool)}
    assert not np.asarray(mask_over_time(empty).axes[0].images[0].get_array()).any()


def test_many_tasks_are_numbered_without_the_word():
    labels = [(0, 0), *((task, 1) for task in range(1, 13))]
    alive = np.ones((13, 3), dtype=bool)
    raster = mask_over_time({"layer": "w", "shape": [3], "labels": labels, "alive": alive}).axes[0]
    assert [text.get_text() for text in raster.texts][-12:] == [str(task) for task in range(1, 13)]


def test_a_narrow_drawing_holds_its_labels():
    figure = mask_over_time(example.mask(0.9), width=NARROW)
    edge = figure.bbox.x1
    for axes in figure.axes:
        for text in axes.texts:
            assert text.get_window_extent(figure.canvas.get_renderer()).x1 <= edge
    assert [text.get_text() for text in figure.axes[0].texts][-5:] == ["1", "2", "3", "4", "5"]
