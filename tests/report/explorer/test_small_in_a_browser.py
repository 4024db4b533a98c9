"""The small pages compute what the package computes."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest

from sparcl_ref.layers import Conv2d
from sparcl_ref.replay import reservoir_slot
from sparcl_ref.report.explorer.small import SMALL, write_small
from tests.browser import follow, overflow


@pytest.fixture
def opened(open_page, tmp_path):
    def opens(name, hash_="", **how):
        write_small(name, tmp_path / f"{name}.html")
        return open_page((tmp_path / f"{name}.html").as_uri() + hash_, **how)

    return opens


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_no_window_is_too_narrow(opened, name, width, dark):
    page = opened(name, {"reservoir": "#n=60&k=8&seed=2", "convolution": "#w=2.2"}[name], width=width, dark=dark)
    assert overflow(page) == 0


def counted_out(samples: int, capacity: int, *, off: bool) -> list[Fraction]:
    """How many of all possible draws keep each sample, by going through all of them."""
    numbers = [range(1 if i < capacity else i if off else i + 1) for i in range(samples)]
    inside = [0] * samples
    histories = list(itertools.product(*numbers))
    for draws in histories:
        slots = {}
        for i, draw in enumerate(draws):
            slot = reservoir_slot(i, capacity, draw)
            if slot >= 0:
                slots[slot] = i
        for sample in slots.values():
            inside[sample] += 1
    return [Fraction(count, len(histories)) for count in inside]


def test_bars_are_the_probabilities_of_all_histories(opened):
    page = opened("reservoir")
    for samples, capacity in [(1, 3), (3, 3), (4, 3), (6, 3), (6, 2), (5, 1)]:
        for off in (False, True):
            bars_are_right(page, samples, capacity, off=off)


def bars_are_right(page, samples: int, capacity: int, *, off: bool) -> None:
    follow(page, f"#n={samples}&k={capacity}&seed=1{'&off=1' if off else ''}")
    heights = page.evaluate("[...document.querySelectorAll('#bars i')].map(e => parseFloat(e.style.height))")
    top = float(page.locator("#top").inner_text().removesuffix(" %"))
    expected = [100 * float(share) for share in counted_out(samples, capacity, off=off)]
    assert [height * top / 100 for height in heights] == pytest.approx(expected, abs=1e-3)
    fair = max(expected) - min(expected) < 1e-9
    assert ("not fair" in page.locator("#sentence").inner_text()) == (not fair)


def test_samples_arrive_one_by_one_and_go_where_their_draw_says(opened):
    page = opened("reservoir")
    assert page.locator("#sentence").inner_text() == "Nothing has arrived yet."
    slots: dict[int, int] = {}
    for sample in range(12):
        page.get_by_role("button", name="Next sample").click()
        assert page.evaluate("location.hash") == f"#n={sample + 1}&k=3&seed=1"
        said = page.locator("#sentence").inner_text()
        draw = re.search(r"draws (\d+) of 0 to (\d+)", said)
        if draw:
            assert int(draw[2]) == sample
            slot = reservoir_slot(sample, 3, int(draw[1]))
        else:
            slot = reservoir_slot(sample, 3, 0)
            assert f"fills slot {slot}" in said
        if slot >= 0:
            slots[slot] = sample
        shown = page.locator("#slots b").all_inner_texts()
        assert shown == [str(slots.get(s, "–")) for s in range(3)]
    page.get_by_role("button", name="Ten more").click()
    assert page.locator("#bars i").count() == 22
    page.get_by_role("button", name="Start again").click()
    assert page.evaluate("location.hash") == "#n=0&k=3&seed=2"
    page.get_by_label("Slots").fill("5")
    page.get_by_label("Slots").press("Enter")
    assert page.locator("#slots b").count() == 5
    page.get_by_label("draw one number too few").check()
    assert page.evaluate("location.hash").endswith("&off=1")


def numbers_of(page, grid: str) -> tuple[np.ndarray, np.ndarray]:
    """The large numbers of a grid and the small ones."""
    labels = page.evaluate(f"[...document.querySelectorAll('#{grid} button')].map(e => e.getAttribute('aria-label'))")
    pairs = [re.search(r" is (\S+), its gradient (\S+)$", label.replace("−", "-")).groups() for label in labels]
    large, small = np.array(pairs, dtype=float).T
    side = int(len(pairs) ** 0.5)
    return large.reshape(1, 1, side, side), small.reshape(1, 1, side, side)


def test_the_convolution_is_the_layers(opened):
    page = opened("convolution")
    (x, dx), (w, dw), (y, dy) = (numbers_of(page, grid) for grid in "xwy")
    layer = Conv2d(1, 1, 3, bias=False, dtype=np.float64)
    weight = layer.own_parameters()["weight"]
    weight.value[...] = w
    assert layer.forward(x, mode="train").tolist() == y.tolist()
    assert layer.backward(dy).tolist() == dx.tolist()
    assert weight.grad.tolist() == dw.tolist()


SIDES = {"x": 4, "w": 3, "y": 2}
#: A number, and the places of the numbers that it is made of.
KERNEL = [(i, j) for i in range(3) for j in range(3)]
MADE_OF = [
    ("y", 1, 0, {"x": [(1 + i, j) for i, j in KERNEL], "w": KERNEL, "y": []}),
    ("x", 0, 0, {"x": [], "w": [(0, 0)], "y": [(0, 0)]}),
    ("x", 1, 2, {"x": [], "w": [(0, 1), (0, 2), (1, 1), (1, 2)], "y": [(0, 0), (0, 1), (1, 0), (1, 1)]}),
    ("x", 3, 2, {"x": [], "w": [(2, 1), (2, 2)], "y": [(1, 0), (1, 1)]}),
    ("w", 2, 1, {"x": [(2, 1), (2, 2), (3, 1), (3, 2)], "w": [], "y": [(0, 0), (0, 1), (1, 0), (1, 1)]}),
]


def test_what_a_number_is_made_of_lights_up_and_sums_to_it(opened):
    page = opened("convolution")
    for grid, row, column, used in MADE_OF:
        made_of(page, grid, row, column, used)


def lit(page, grid: str) -> list[tuple[int, int]]:
    """Places of a grid that are lit up as parts."""
    used = page.evaluate(f"[...document.querySelectorAll('#{grid} button')].map(e => e.className === 'used')")
    return [divmod(cell, SIDES[grid]) for cell, is_used in enumerate(used) if is_used]


def made_of(page, grid: str, row: int, column: int, used: dict[str, list[tuple[int, int]]]) -> None:
    side = SIDES[grid]
    button = page.locator(f"#{grid} button").nth(row * side + column)
    button.hover()
    assert page.evaluate("location.hash") == f"#{grid}={row}.{column}"
    assert {other: lit(page, other) for other in "xwy"} == used
    said = page.locator("#sentence").inner_text().replace("−", "-")
    products = [int(a) * int(b) for a, b in re.findall(r"\(?(-?\d+)\)?·\(?(-?\d+)\)?", said)]
    total = int(re.search(r"= (-?\d+)\.$", said)[1])
    assert sum(products) == total
    large, small = numbers_of(page, grid)
    assert total == (large if grid == "y" else small)[0, 0, row, column]
    # By keys, and by its address.
    page.evaluate("document.activeElement.blur()")
    page.locator("#y button").first.focus()
    assert page.evaluate("location.hash") == "#y=0.0"
    follow(page, f"#{grid}={row}.{column}")
    assert page.locator("#sentence").inner_text().replace("−", "-") == said
