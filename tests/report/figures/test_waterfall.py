"""The waterfall of costs: bars stand where the numbers say."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given

from sparcl_ref.config import Config
from sparcl_ref.cost import describe_model
from sparcl_ref.cost.breakdown import savings
from sparcl_ref.report.figures.canvas import png
from sparcl_ref.report.figures.waterfall import CAPTIONS, cost_waterfall
from sparcl_ref.report.style import NARROW, THEMES
from tests import strategies as own

SPEC = describe_model("convnet", input_shape=(1, 8, 8), classes=4, width=6)


def parts(config: Config, sizes: list[int]) -> dict:
    return {name: [dataclasses.asdict(part) for part in every] for name, every in savings(SPEC, config, sizes).items()}


@given(own.run_configs(), own.task_sizes())
def test_bars_stand_on_the_level_before(config, sizes):
    records = parts(config, sizes)
    figure = cost_waterfall(records)
    assert len(figure.axes) == 2
    for axes, convention in zip(figure.axes, ("exact", "paper"), strict=True):
        assert axes.get_title(loc="left").startswith(f"{convention}, ")
        bars = axes.patches
        assert len(bars) == len(records[convention]) + 1
        level = 0
        for bar, part in zip(bars[:-1], records[convention], strict=True):
            ends = sorted((level, part["total_flops"]))
            # Drawn in floating point, counted in integers.
            assert (bar.get_y(), bar.get_y() + bar.get_height()) == pytest.approx(ends, rel=1e-12)
            level = part["total_flops"]
        assert bars[-1].get_height() == pytest.approx(level)
        assert [text.get_text() for text in axes.get_xticklabels()][-1] == "the run"


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_it_is_a_picture_in_both_themes(theme):
    figure = cost_waterfall(parts(Config(sparsity=0.9, epochs=10, delta_k=2), [200] * 3), name="a run", theme=theme)
    assert png(figure, theme=theme, dpi=40).startswith(b"\x89PNG")
    assert figure.get_facecolor()[:3] == pytest.approx(
        tuple(int(theme.background[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels[0][0].isdigit()
    assert labels[1].startswith("+")
    assert all(label.startswith("\N{MINUS SIGN}") for label in labels[2:-1])
    assert "times fewer" in figure.axes[1].get_title(loc="left")


def test_every_part_has_a_caption():
    named = set()
    for config in (Config(sparsity=0.9), Config(sparsity=0.9, policy="static")):
        named |= {part["name"] for part in parts(config, [100])["exact"]}
    assert named == {"replay", *CAPTIONS}


def test_a_part_that_nobody_has_captioned_goes_by_its_name():
    own_part = [{"name": "my policy", "change_flops": 5, "total_flops": 5}]
    axes = cost_waterfall({"exact": own_part, "paper": own_part}).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["my policy", "the run"]


def test_a_run_that_costs_nothing_in_the_end_is_given_no_ratio():
    free = [{"name": "a", "change_flops": 5, "total_flops": 5}, {"name": "b", "change_flops": -5, "total_flops": 0}]
    for axes in cost_waterfall({"exact": free, "paper": free}).axes:
        assert "times fewer" not in axes.get_title(loc="left")


def test_on_narrow_pages_panels_stand_one_above_the_other():
    above, below = cost_waterfall(parts(Config(sparsity=0.9), [200] * 3), width=NARROW).axes
    assert above.get_position().y0 > below.get_position().y1
    assert above.get_position().x0 == below.get_position().x0
