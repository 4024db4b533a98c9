"""Heat maps hold the accuracy matrices."""

from __future__ import annotations

import numpy as np

from sparcl_ref.report.figures.matrices import accuracy_matrices
from sparcl_ref.report.style import NARROW, WIDTH
from sparcl_ref.report.table import aggregate, in_families
from tests.report import example
from tests.report.figures.reading import NAMES, records


def test_matrices_show_the_mean_over_seeds():
    every = records(seeds=2, joint=True)
    figure = accuracy_matrices(every)
    names = [*NAMES, "Joint"]
    assert len(figure.axes) == len(names)
    for name, axes in zip(names, figure.axes, strict=True):
        expected = np.mean([record["class_il_matrix"] for record in every if record["name"] == name], axis=0)
        (image,) = axes.images
        np.testing.assert_allclose(image.get_array(), expected, rtol=1e-12)
        assert image.get_clim() == (0, 1)
        assert axes.get_title(loc="left") == name
        assert [text.get_text() for text in axes.texts] == [f"{100 * value:.0f}" for value in expected.ravel()]
    # A stair belongs to learning in order.
    assert [len(axes.lines) for axes in figure.axes] == [1] * len(NAMES) + [0]


def test_one_matrix_names_its_rows_and_columns():
    record = records()[1]
    (axes,) = accuracy_matrices([record]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["untrained", *(f"after {t}" for t in range(1, 6))]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4", "5"]
    stair = axes.lines[0].get_xydata()
    matrix = np.array(record["class_il_matrix"])
    for row, task in np.ndindex(matrix.shape):
        # On or below the stair: row t holds what was learned in tasks 1..t.
        edge = stair[np.isclose(stair[:, 0], task + 0.5), 1].min()
        assert (row > edge) == (row >= task + 1)


def test_a_joint_matrix_beside_others_explains_its_rows():
    figure = accuracy_matrices([records()[0], example.joint_record()])
    assert figure.axes[1].get_title(loc="left") == "Joint: untrained, trained"


def test_a_name_wider_than_its_matrix_takes_two_lines():
    every = [{**record, "name": f"SparCL-DER++ .{index} (no TDM, no DDR)"} for index, record in enumerate(records())]
    titles = [axes.get_title(loc="left") for axes in accuracy_matrices(every).axes]
    assert titles == [f"SparCL-DER++ .{index}\n(no TDM, no DDR)" for index in range(8)]


def test_cells_too_small_for_numbers_have_none():
    matrix = np.linspace(0, 1, 21 * 20).reshape(21, 20).tolist()
    every = [{**record, "class_il_matrix": matrix} for record in records()[:4]]
    assert all(not axes.texts for axes in accuracy_matrices(every).axes)


def test_a_single_matrix_keeps_its_size_and_narrow_drawings_have_two_side_by_side():
    one, many = accuracy_matrices(records()[:1]), accuracy_matrices(records())
    assert one.get_figwidth() < 0.5 * many.get_figwidth()
    narrow = accuracy_matrices(records(), width=NARROW)
    assert narrow.get_figwidth() <= NARROW + 1e-9
    assert len({round(axes.get_position().x0, 6) for axes in narrow.axes}) == 2
    for figure in (one, many, narrow):
        assert all(axes.get_position().x1 <= 1 for axes in figure.axes)


def test_names_never_reach_into_the_next_matrix():
    every = [{**record, "name": f"SparCL-DER++ .{index} with a long name"} for index, record in enumerate(records())]
    for width in (WIDTH, NARROW):
        figure = accuracy_matrices(every, width=width)
        for axes in figure.axes:
            extent = axes._left_title.get_window_extent(figure.canvas.get_renderer())
            # Matrices stand 0.22 inches apart, and hinting makes small letters a little wider than they should be.
            assert extent.width <= axes.bbox.width + 0.1 * figure.dpi


def test_many_matrices_stand_in_the_order_of_the_table_and_joint_training_last() -> None:
    every = [example.joint_record() | {"family": "baselines"}, *example.many()]
    rows = aggregate(every)
    order = [rows[index].name for _, indices in in_families(rows) for index in indices]
    titles = [axes.get_title(loc="left") for axes in accuracy_matrices(every).axes]
    assert order[0] == "Joint"
    assert titles == [*order[1:], "Joint: untrained, trained"]
