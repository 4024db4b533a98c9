"""Lines over tasks hold the means and deviations they claim to."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.report.figures.over_tasks import accuracy_curve, accuracy_over_tasks
from sparcl_ref.report.style import NARROW, WIDTH
from tests.report.figures.reading import NAMES, data_lines, records, texts


def test_a_curve_averages_over_the_tasks_seen():
    matrix = [[0.1, 0.2, 0.3], [0.9, 0.0, 0.7], [0.8, 0.6, 0.5], [0.3, 0.6, 0.9]]
    seen, means = accuracy_curve({"class_il_matrix": matrix})
    assert seen == [1, 2, 3]
    assert means == pytest.approx([0.9, 0.7, 0.6])


def test_joint_training_is_a_point_at_the_end():
    assert accuracy_curve({"class_il_matrix": [[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]]}) == ([3], [pytest.approx(0.8)])


def test_lines_over_tasks_are_means_and_bands_deviations_over_seeds():
    every = records(seeds=3, joint=True)
    figure = accuracy_over_tasks(every)
    detail, overview = figure.axes
    assert set(data_lines(overview)) == {*NAMES, "Joint"}
    assert set(data_lines(detail)) == {*NAMES, "Joint"} - {"SGD"}
    for axes in (overview, detail):
        for name, line in data_lines(axes).items():
            curves = [accuracy_curve(record) for record in every if record["name"] == name]
            np.testing.assert_array_equal(line.get_xdata(), curves[0][0])
            np.testing.assert_allclose(line.get_ydata(), np.mean([means for _, means in curves], axis=0), rtol=1e-12)
    name = "ER"
    curves = np.array([accuracy_curve(record)[1] for record in every if record["name"] == name])
    position = list(data_lines(detail)).index(name)
    outline = detail.collections[position].get_paths()[0].vertices
    for task, values in enumerate(curves.T, start=1):
        at = outline[outline[:, 0] == task, 1]
        assert at.min() == pytest.approx(values.mean() - values.std(ddof=1))
        assert at.max() == pytest.approx(values.mean() + values.std(ddof=1))


def test_one_seed_has_no_band():
    assert all(not axes.collections for axes in accuracy_over_tasks(records()).axes)


def test_every_entry_is_labelled_once_with_its_final_accuracy():
    every = records(joint=True)
    found = texts(accuracy_over_tasks(every))
    assert sorted(found) == sorted(f"{100 * record['class_il_accuracy']:.1f}  {record['name']}" for record in every)


def test_narrow_drawings_have_numbers_for_names_and_panels_one_above_the_other():
    every = records()
    figure = accuracy_over_tasks(every, width=NARROW)
    detail, overview = figure.axes
    assert overview.get_position().y0 > detail.get_position().y1
    assert sorted(texts(figure)) == sorted(f"{100 * record['class_il_accuracy']:.1f}" for record in every)


def test_twenty_five_entries_have_a_line_of_text_each():
    every = [{**records()[1 + index % 7], "name": f"entry {index}"} for index in range(25)]
    for width in (WIDTH, NARROW):
        (axes,) = accuracy_over_tasks(every, width=width).axes
        heights = sorted(axes.transData.transform((0, text.get_position()[1]))[1] for text in axes.texts)
        # Text of 10.5 points is 0.146 inches high.
        assert min(np.diff(heights)) / axes.figure.dpi > 0.15
        assert len(heights) == 25
        assert axes.bbox.y0 - 1 <= heights[0]
        assert heights[-1] <= axes.bbox.y1 + 1


def test_entries_close_together_share_one_panel():
    (axes,) = accuracy_over_tasks(records()[1:]).axes
    assert set(data_lines(axes)) == set(NAMES[1:])
    low, high = axes.get_ylim()
    for line in data_lines(axes).values():
        assert low < min(line.get_ydata())
        assert max(line.get_ydata()) < high


def test_who_learns_only_in_the_end_does_not_stretch_the_axis() -> None:
    every = records()[1:]
    low = accuracy_over_tasks(every).axes[0].get_ylim()[0]
    late = {**every[0], "name": "late", "class_il_matrix": [*[[0.0] * 5] * 5, every[0]["class_il_matrix"][-1]]}
    ends = min(np.mean(record["class_il_matrix"][-1]) for record in every)
    assert 0.5 < ends - 0.2 < accuracy_over_tasks([*every, late]).axes[0].get_ylim()[0] <= low


def test_panels_stand_one_above_the_other_where_long_names_leave_no_room_for_two() -> None:
    every = [{**record, "name": record["name"] + " (no TDM, no DDR, no DGM)"} for record in records()]
    figure = accuracy_over_tasks(every)
    detail, overview = figure.axes
    assert overview.get_position().y0 > detail.get_position().y1
    assert len(data_lines(overview)) == len(NAMES)
    assert len(data_lines(detail)) == len(NAMES) - 1
    renderer = figure.canvas.get_renderer()
    assert all(text.get_window_extent(renderer).x1 <= figure.bbox.x1 for axes in figure.axes for text in axes.texts)


def test_a_single_task_is_a_point():
    record = {**records()[1], "class_il_matrix": [[0.5], [0.9]], "class_il_accuracy": 0.9}
    (axes,) = accuracy_over_tasks([record]).axes
    assert data_lines(axes)["ER"].get_xydata().tolist() == [[1, 0.9]]
