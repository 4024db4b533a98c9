"""Points stand at cost and accuracy, labels beside them."""

from __future__ import annotations

import copy
import itertools
import random

import numpy as np
import pytest

from sparcl_ref.report.figures.against_flops import accuracy_against_flops, sparsity_chains
from sparcl_ref.report.style import NARROW, WIDTH
from sparcl_ref.report.table import aggregate
from tests.report.figures.reading import data_lines, records, texts


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


def test_entries_of_unknown_cost_are_left_out():
    every = records()[:4]
    every[0]["train_flops"] = {"paper": None, "exact": 0}
    every[3]["train_flops"] = None
    figure = accuracy_against_flops(every)
    assert [*data_lines(figure.axes[0])] == ["ER", "DER++ (full head)"]
    with pytest.raises(ValueError, match="no entry's train FLOPs are known"):
        accuracy_against_flops(every[:1])


@pytest.mark.parametrize("width", [WIDTH, NARROW])
@pytest.mark.parametrize("count", [2, 8, 25])
def test_labels_stand_at_heights_of_their_own_and_inside(width, count):
    draw = random.Random(count)
    every = [
        {**records()[1], "name": f"SparCL-DER++ .{index}", "class_il_accuracy": draw.uniform(0.8, 0.9),
         "train_flops": {"paper": 1, "exact": draw.uniform(1e9, 1e11)}}
        for index in range(count)
    ]  # fmt: skip
    figure = accuracy_against_flops(every, width=width)
    (axes,) = figure.axes
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in axes.texts]
    assert len(boxes) == count
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    edge = figure.bbox
    assert all(edge.x0 <= box.x0 and box.x1 <= edge.x1 and box.y1 <= edge.y1 for box in boxes)


def test_narrow_drawings_have_numbers_for_names():
    every = records()
    found = texts(accuracy_against_flops(every, width=NARROW))
    assert sorted(found) == sorted(f"{100 * record['class_il_accuracy']:.1f}" for record in every)


def test_a_wide_range_of_costs_is_ticked_by_decades():
    every = records()[1:3]
    every[0]["train_flops"]["exact"] = 10**5
    (axes,) = accuracy_against_flops(every).axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(np.log10(tick) == pytest.approx(round(np.log10(tick))) for tick in ticks)
