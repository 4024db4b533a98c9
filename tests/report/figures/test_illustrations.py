"""Which figures a run has, and what is said of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from sparcl_ref.report.figures import illustrations
from sparcl_ref.report.figures.illustrations import draw, featured_mask, featured_savings, sketches
from sparcl_ref.report.style import CSS_PIXELS, NARROW, WIDTH
from sparcl_ref.report.summary import FIGURE_NAMES as NAMES
from sparcl_ref.report.table import aggregate
from tests.report import example


def test_the_featured_mask_is_the_sparsest():
    summary, _, masks = example.run(seeds=2)
    assert featured_mask(summary["methods"], masks) == "SparCL-DER++ .95#0"
    del masks["SparCL-DER++ .95#0"]
    assert featured_mask(summary["methods"], masks) == "SparCL-DER++ .95#1"
    assert featured_mask(summary["methods"], {}) is None
    assert featured_mask(summary["methods"], {"someone else#0": {}}) is None


@pytest.mark.parametrize("unknown", [None, {}, {"exact": None, "paper": None}, {"exact": [], "paper": []}])
def test_the_featured_savings_are_the_sparsest_that_are_known(unknown):
    every = example.run()[0]["methods"]
    assert featured_savings(every)["name"] == "SparCL-DER++ .95"
    every[-1]["savings"] = unknown
    assert featured_savings(every)["name"] == "SparCL-DER++ .90"
    part = {"name": "TDM", "change_flops": None, "total_flops": None}
    every[-2]["savings"] = {**every[-2]["savings"], "exact": [part]}
    assert featured_savings(every)["name"] == "SparCL-ER .75"
    assert featured_savings(every[:4]) is None


def test_sketches_describe_what_they_show():
    summary, _, masks = example.run(seeds=2)
    found = sketches(summary["methods"], masks)
    assert tuple(each.name for each in found) == NAMES
    assert [each.keyed for each in found] == [True, True, False, False, False]
    for row in aggregate(summary["methods"]):
        final = f"{row.name} {100 * row.class_il_accuracy.mean:.1f} %"
        assert final in found[0].alt
        assert final in found[1].alt
    assert "41.0 GFLOPs" in found[1].alt
    assert "unknown" not in found[1].caption
    assert "standard deviation" in found[0].caption
    assert "for SparCL-DER++ .95" in found[3].alt
    assert "keep being exchanged" in found[3].caption
    assert "train FLOPs of SparCL-DER++ .95, exact convention: after new data" in found[4].alt
    still = masks["SparCL-DER++ .95#0"]
    still = {**still, "alive": np.repeat(still["alive"][:1], len(still["labels"]), axis=0)}
    caption = sketches(summary["methods"], {"SparCL-DER++ .95#0": still})[3].caption
    assert "No weight ever joined" in caption


def test_accuracy_is_set_against_cost_where_two_entries_know_it():
    every = copy.deepcopy(example.run()[0]["methods"])
    names = [[each.name for each in sketches(every[:count], {})] for count in (1, 2)]
    assert names == [[NAMES[0], NAMES[2]], list(NAMES[:3])]
    assert "standard deviation" not in sketches(every[:1], {})[0].caption
    every[1]["train_flops"] = None
    assert [each.name for each in sketches(every[:2], {})] == [NAMES[0], NAMES[2]]
    three = sketches(every[:3], {})[1]
    assert three.caption.endswith("What ER cost is unknown.")
    assert "ER 8" not in three.alt


def test_a_figure_is_drawn_for_every_place(monkeypatch):
    asked = []

    def png(figure, *, theme=illustrations.LIGHT, dpi=illustrations.DPI, headed=True):
        asked.append((round(figure.get_figwidth(), 6), theme.name, dpi, headed))
        return str(len(asked)).encode()

    monkeypatch.setattr(illustrations, "png", png)
    (first, *_) = sketches(example.run()[0]["methods"], {})
    drawn = draw(first)
    assert asked == [
        (WIDTH, "light", 160, False), (WIDTH, "dark", 160, False), (NARROW, "light", 180, False),
        (NARROW, "dark", 180, False), (WIDTH, "light", 160, True),
    ]  # fmt: skip
    assert (drawn.light.data, drawn.dark.data, drawn.narrow_light.data, drawn.narrow_dark.data) == (
        b"1",
        b"2",
        b"3",
        b"4",
    )
    assert (drawn.light.width, drawn.narrow_dark.width) == (CSS_PIXELS * WIDTH, CSS_PIXELS * NARROW)
    assert drawn.file == b"5"
    assert (drawn.title, drawn.under) == (
        "What is still known after each task",
        "Class-IL accuracy in %, mean over the tasks seen so far",
    )
