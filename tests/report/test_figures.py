"""Figures hold the data they claim to: what is drawn is read back from the axes, not from pixels."""

from __future__ import annotations

import copy
import io
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from sparcl_ref.report import canvas, style
from sparcl_ref.report.against_flops import accuracy_against_flops, sparsity_chains
from sparcl_ref.report.figures import accuracy_matrices, accuracy_matrix, accuracy_over_tasks, mask_over_time, png
from sparcl_ref.report.mask_figure import SHOWN
from sparcl_ref.report.mask_history import final_origins, initial_survival, turnover
from sparcl_ref.report.over_tasks import accuracy_curve
from sparcl_ref.report.table import aggregate
from tests.report import example

NAMES = [entry[0] for entry in example.ENTRIES]


def records(seeds: int = 1, joint: bool = False):
    return example.run(seeds=seeds, joint=joint)[0]["methods"]


def data_lines(axes):
    """Lines that stand for data, by label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# --- accuracy over tasks ----------------------------------------------------------------------------------------------


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
    overview, detail = figure.axes
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


def test_entries_close_together_share_one_panel():
    (axes,) = accuracy_over_tasks(records()[1:]).axes
    assert set(data_lines(axes)) == set(NAMES[1:])
    low, high = axes.get_ylim()
    for line in data_lines(axes).values():
        assert low < min(line.get_ydata())
        assert max(line.get_ydata()) < high


def test_long_names_leave_no_room_for_two_panels_and_one_is_drawn():
    every = [{**record, "name": record["name"] + " (no TDM, no DDR, no DGM)"} for record in records()]
    figure = accuracy_over_tasks(every)
    assert len(figure.axes) == 1
    assert len(data_lines(figure.axes[0])) == len(NAMES)


def test_a_single_task_is_a_point():
    record = {**records()[1], "class_il_matrix": [[0.5], [0.9]], "class_il_accuracy": 0.9}
    (axes,) = accuracy_over_tasks([record]).axes
    assert data_lines(axes)["ER"].get_xydata().tolist() == [[1, 0.9]]


# --- accuracy against train FLOPs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["exact", "paper"])
def test_points_stand_at_cost_and_accuracy(convention):
    every = records(seeds=3, joint=True)
    figure = accuracy_against_flops(every, convention=convention)
    found = {name: line for axes in figure.axes for name, line in data_lines(axes).items()}
    rows = {row.name: row for row in aggregate(every)}
    assert set(found) == set(rows)
    for name, line in found.items():
        expected = [rows[name].train_flops[convention].mean, rows[name].class_il_accuracy.mean]
        assert line.get_xydata().tolist() == [pytest.approx(expected)]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert convention in figure.axes[-1].get_xlabel()
    bars = [line for axes in figure.axes for line in axes.lines if line.get_label() == "_bar"]
    spans = {round(float(np.ptp(line.get_ydata())), 9) for line in bars}
    assert spans == {round(2 * row.class_il_accuracy.std, 9) for row in rows.values() if row.class_il_accuracy.std}


def test_an_outlier_stands_under_a_broken_axis():
    top, bottom = accuracy_against_flops(records()).axes
    assert set(data_lines(bottom)) == {"SGD"}
    assert top.get_xlim() == bottom.get_xlim()
    assert top.get_ylim()[0] > bottom.get_ylim()[1]
    assert len(accuracy_against_flops(records()[1:]).axes) == 1


def test_points_are_labelled_and_lines_join_dense_and_sparse():
    every = records()
    figure = accuracy_against_flops(every)
    assert sorted(texts(figure)) == sorted(
        f"{record['name']}  {100 * record['class_il_accuracy']:.1f}" for record in every
    )
    chains = [line for line in figure.axes[0].lines if line.get_label() == "_chain"]
    assert sorted(len(line.get_xdata()) for line in chains) == [2, 4]


def test_chains_run_from_the_dense_entry_with_the_same_head_to_the_sparsest():
    rows = aggregate(records())
    chains = [[rows[index].name for index in chain] for chain in sparsity_chains(rows)]
    assert chains == [
        ["ER", "SparCL-ER .75"],
        ["DER++ (single head)", "SparCL-DER++ .75", "SparCL-DER++ .90", "SparCL-DER++ .95"],
    ]
    twice = copy.deepcopy(records())
    twice.append({**twice[-1], "name": "SparCL-DER++ .95 (no TDM)"})
    assert sparsity_chains(aggregate(twice)) == [[1, 4]]


def test_entries_without_flops_are_left_out():
    every = records()[:3]
    every[0]["train_flops"] = {"paper": None, "exact": 0}
    figure = accuracy_against_flops(every)
    assert [*data_lines(figure.axes[0])] == ["ER", "DER++ (full head)"]
    figure = accuracy_against_flops(every[:1])
    assert not figure.axes
    assert figure.texts[-1].get_text() == "no train FLOPs were recorded"


def test_a_wide_range_of_costs_is_ticked_by_decades():
    every = records()[1:3]
    every[0]["train_flops"]["exact"] = 10**5
    (axes,) = accuracy_against_flops(every).axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(np.log10(tick) == pytest.approx(round(np.log10(tick))) for tick in ticks)


# --- accuracy matrices ------------------------------------------------------------------------------------------------


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
    (axes,) = accuracy_matrix(record).axes
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


# --- the mask ---------------------------------------------------------------------------------------------------------


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


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
def test_a_png_has_the_size_and_background_it_should(theme):
    figure = accuracy_matrix(records()[0], theme=theme)
    data = png(figure, theme=theme, dpi=50)
    pixels = matplotlib.image.imread(io.BytesIO(data), format="png")
    across, up = figure.get_size_inches()
    assert pixels.shape[:2] == (int(up * 50), int(across * 50))
    assert pixels[0, 0, :3] == pytest.approx(np.array(style.channels(theme.background)) / 255, abs=1e-6)


def test_text_width_is_what_matplotlib_measures():
    with style.applied(style.LIGHT):
        figure = canvas.new_figure(2)
        text = figure.text(0, 0, "SparCL-DER++ .90", fontsize=canvas.LABEL)
        extent = text.get_window_extent(figure.canvas.get_renderer())
        assert canvas.text_width(figure, "SparCL-DER++ .90") == pytest.approx(extent.width / figure.dpi, abs=0.02)


def test_names_with_dollars_are_no_formulas():
    record = {**records()[1], "name": "a $x^{ b$ c"}
    png(accuracy_over_tasks([record]), dpi=30)
    png(accuracy_matrix(record), dpi=30)


def test_matplotlib_comes_with_the_first_figure_and_pyplot_never():
    program = """
import sys
import sparcl_ref.report
assert not any(name.split(".")[0] == "matplotlib" for name in sys.modules)
from sparcl_ref.report import figures
from tests.report import example
import matplotlib
before = matplotlib.rcParams.copy()
figures.png(figures.accuracy_matrix(example.joint_record()), dpi=20)
assert "matplotlib.pyplot" not in sys.modules
after = matplotlib.rcParams.copy()
assert all(dict.__getitem__(before, key) == dict.__getitem__(after, key) for key in before)
print("done")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr
