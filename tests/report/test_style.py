"""The look: colours stay apart for everyone, and entries keep their look whatever else is drawn."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report import style
from sparcl_ref.report.table import aggregate
from tests.report import example

ROWS = aggregate([example.record(entry, 0) for entry in example.ENTRIES])

#: Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
VISION = {
    "typical": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
#: CIE76 distance; 2.3 is just noticeable side by side, and these stand apart in a figure.
FAR_ENOUGH = 10.0


def cie_lab(colour: str, vision: str) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as someone with that vision sees it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    x, y, z = np.where((t := xyz / [0.9505, 1, 1.089]) > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
def test_colours_that_stand_for_different_things_are_far_apart_for_everyone(theme, vision):
    entries = [*theme.dense.values(), *theme.spare, *style.shades(theme.warm, 4)]
    layers = [theme.bedrock, theme.surface, *style.shades(theme.strata, 5)]
    for group in (entries, layers):
        for one, other in itertools.combinations(group, 2):
            distance = np.linalg.norm(cie_lab(one, vision) - cie_lab(other, vision))
            assert distance >= FAR_ENOUGH, f"{one} and {other}: {distance:.1f}"


@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
def test_text_reads_well_on_the_page(theme):
    for text, background in itertools.product(
        (theme.ink, theme.muted, theme.accent), (theme.background, theme.surface)
    ):
        assert style.contrast(text, background) >= 4.5, f"{text} on {background}"


@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
@given(position=st.floats(0, 1))
def test_numbers_read_well_on_every_heat(theme, position):
    colour = style.blend(theme.heat, position)
    assert style.contrast(style.text_on(colour), colour) >= 4.5


def test_contrast_of_known_pairs():
    assert style.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert style.contrast("#123456", "#123456") == 1
    # The grey that is quoted as the lightest to pass 4.5 on white.
    assert style.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


def test_blend_meets_its_anchors_and_the_middle():
    anchors = ("#000000", "#646464", "#ff0000")
    assert [style.blend(anchors, x) for x in (0, 0.25, 0.5, 1)] == ["#000000", "#323232", "#646464", "#ff0000"]


def test_shades_take_ends_and_middle():
    assert style.shades(("#000000", "#ffffff"), 0) == []
    assert style.shades(("#000000", "#808080", "#ffffff"), 1) == ["#808080"]
    assert style.shades(("#000000", "#ffffff"), 2) == ["#000000", "#ffffff"]


def test_looks_tell_all_entries_apart():
    looks = style.looks(ROWS, style.LIGHT)
    assert len(set(looks)) == len(ROWS)
    by_name = dict(zip([row.name for row in ROWS], looks, strict=True))
    assert by_name["DER++ (full head)"] == style.Look(style.LIGHT.dense["derpp"], "o", "-")
    assert by_name["DER++ (single head)"].dash == "--"
    assert by_name["SparCL-ER .75"].marker == "s"
    assert by_name["SparCL-DER++ .95"] == style.Look(style.LIGHT.warm[-1], "o", "-")


def test_methods_that_nobody_has_heard_of_get_looks_of_their_own_in_order_of_appearance():
    names = ["gem", "derpp", "agem", "gem", "icarl"]
    rows = aggregate([{**example.record(example.ENTRIES[0], 0), "name": str(i), "method": name}
                      for i, name in enumerate(names)])  # fmt: skip
    gem, derpp, agem, again, icarl = style.looks(rows, style.LIGHT)
    assert (gem.colour, agem.colour, icarl.colour) == style.LIGHT.spare[:3]
    assert (gem.marker, agem.marker, icarl.marker) == style.SPARE_MARKERS[:3]
    assert again == replace(gem, dash="--")
    assert derpp == style.Look(style.LIGHT.dense["derpp"], "o", "-")


def test_sparcl_over_such_a_method_shares_its_marker():
    dense = {**example.record(example.ENTRIES[1], 0), "name": "GEM", "method": "gem"}
    sparse = {**example.record(example.ENTRIES[4], 0), "name": "SparCL-GEM .75", "method": "gem"}
    one, other = style.looks(aggregate([dense, sparse]), style.DARK)
    assert one.marker == other.marker == style.SPARE_MARKERS[0]
    assert other.colour == style.shades(style.DARK.warm, 1)[0]


def test_forms_of_one_method_differ_in_line_and_fill_until_styles_run_out() -> None:
    def named(name: str, head: str) -> dict:
        return {**example.record(example.ENTRIES[3], 0), "name": name, "head": head}

    heads = ["full", "single", "full", "full", "full"]
    looks = style.looks(aggregate([named(str(i), head) for i, head in enumerate(heads)]), style.LIGHT)
    assert [look.dash for look in looks] == ["-", "--", ":", "-.", "-"]
    assert len({(look.colour, look.marker) for look in looks}) == 1


def test_looks_do_not_run_out():
    rows = aggregate([{**example.record(example.ENTRIES[0], 0), "name": str(i), "method": f"new {i}"}
                      for i in range(25)])  # fmt: skip
    looks = style.looks(rows, style.LIGHT)
    # Five colours and seven markers go round at different times.
    assert len(set(looks)) == 25
    assert len({look.marker for look in looks}) == len(style.SPARE_MARKERS)
    assert not set(style.SPARE_MARKERS) & set(style.MARKERS.values())


def test_the_look_overrides_the_users_settings_and_gives_them_back():
    import matplotlib

    with matplotlib.rc_context({"font.size": 3.0, "text.usetex": True, "lines.linewidth": 9.0}):
        with style.applied(style.DARK):
            assert matplotlib.rcParams["font.size"] == 11
            assert matplotlib.rcParams["figure.facecolor"] == style.DARK.background
            assert matplotlib.rcParams["text.usetex"] is False
            assert matplotlib.rcParams["lines.linewidth"] == matplotlib.rcParamsDefault["lines.linewidth"]
        assert matplotlib.rcParams["font.size"] == 3
        assert matplotlib.rcParams["text.usetex"] is True


@given(st.lists(st.integers(0, 0xFFFFFF), min_size=2, max_size=5), st.floats(0, 1))
def test_a_map_goes_through_the_colours_of_the_ramp(anchors, position) -> None:
    colours = [f"#{anchor:06x}" for anchor in anchors]
    red, green, blue, _ = style.colour_map(colours)(position, bytes=True)
    near = style.channels(style.blend(colours, position))
    # A map has 256 colours: a position is off by half a step, a channel by as much of the steepest part, and rounding.
    most = 2 + 255 * (len(colours) - 1) / 256
    assert all(abs(int(a) - b) <= most for a, b in zip((red, green, blue), near, strict=True))
