"""What the explorer's pictures show, pixel by pixel and point by point, is what was recorded."""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from sparcl_ref.report import explorer
from sparcl_ref.report.explorer.colours import colours
from sparcl_ref.report.style import LIGHT
from tests.browser import follow
from tests.report.explorer import example

COLOURS = colours(LIGHT)
LABELS = example.dataset().train_y


@pytest.fixture
def opened(open_page, tmp_path):
    explorer.write(example.recordings(), tmp_path / "run.html")
    page = open_page(tmp_path / "run.html")
    page.wait_for_selector("html[data-ready]")

    def at(hash_: str):
        follow(page, hash_)
        return page

    return at


def pixels(page, selector: str) -> np.ndarray:
    """A canvas as (rows, columns, 4) of uint8."""
    address = page.evaluate("selector => document.querySelector(selector).toDataURL('image/png')", selector)
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    return np.asarray(picture.convert("RGBA"))


def coloured(picture: np.ndarray, name: str) -> np.ndarray:
    """Where a picture has a colour of the page, unmixed."""
    channels = [int(COLOURS[name][start : start + 2], 16) for start in (1, 3, 5)]
    return (picture == [*channels, 255]).all(axis=2)


def tiles(picture: np.ndarray, columns: int, count: int) -> list[np.ndarray]:
    side = picture.shape[1] // columns
    places = [(side * (cell // columns), side * (cell % columns)) for cell in range(count)]
    return [picture[y : y + side, x : x + side] for y, x in places]


def test_each_weight_has_its_own_colour_in_its_own_place(opened):
    for way, order in (("birth", "position"), ("importance", "position"), ("gradient", "birth")):
        weights_are_right(opened, way, order)


def weights_are_right(opened, way: str, order: str) -> None:
    layer, t = example.recordings()[0].layers[-1], 10
    page = opened(f"#t=3.2&colour={way}&order={order}".replace("&colour=birth", "").replace("&order=position", ""))
    picture = pixels(page, ".weights canvas")
    if order == "birth":
        ever = page.evaluate("explorer.record.runs[0].layers[1].get('lives')")
        rows = [ever[math.floor(row * (len(ever) - 1) / (160 - 1) + 0.5)] for row in range(160)]
        assert picture.shape[:2] == (160, 21)
        cells = [(row, when, when, k) for row, k in enumerate(rows) for when in range(t + 1)]
        assert not picture[:, t + 1 :, 3].any()
    else:
        columns = layer.grid.shape[1]
        cells = [(k // columns, k % columns, t, k) for k in range(layer.grid.size)]
    names = {"importance": "heat", "gradient": "warm"}
    for row, column, when, k in cells:
        if not layer.alive[when, k]:
            expected = "dead"
        elif way == "importance":
            expected = f"{names[way]}{layer.importance[when, k] + 1}"
        elif layer.silenced[when, k]:
            expected = "silenced"
        elif way == "gradient":
            expected = f"{names[way]}{layer.gradient[when, k] + 1}"
        else:
            since = when
            while since > 0 and layer.alive[since - 1, k] and not layer.joined[since, k]:
                since -= 1
            expected = "start" if since == 0 else "now" if since == when else "earlier"
        assert coloured(picture[row : row + 1, column : column + 1], expected)[0, 0], (row, column, expected)


def test_new_images_in_the_buffer_are_framed_and_removed_ones_crossed(opened):
    for moment in ((1, 1), (2, 2), (5, 4)):
        buffer_is_right(opened, moment)


def buffer_is_right(opened, moment: tuple[int, int]) -> None:
    recording = example.recordings()[0]
    t = recording.moments.index(moment)
    slots, before = recording.slots[t], recording.slots[t - 1]
    order = sorted(np.flatnonzero(slots >= 0), key=lambda slot: (LABELS[slots[slot]], slot))
    picture = pixels(opened(f"#t={moment[0]}.{moment[1]}"), ".buffer canvas")
    for slot, tile in zip(order, tiles(picture, 5, len(order)), strict=True):
        assert coloured(tile, "now").any() == (slots[slot] != before[slot])
        assert coloured(tile, "muted").any() == recording.gone[t, slots[slot]]
        # The image is there, heavier where it is: the middle of a digit has ink.
        assert (tile[..., 3] > 100).sum() > 20


def test_images_that_go_are_framed_and_those_that_went_are_pale(opened):
    for moment in ((1, 1), (1, 2), (1, 3)):
        images_are_right(opened, moment)


def images_are_right(opened, moment: tuple[int, int]) -> None:
    recording = example.recordings()[0]
    t = recording.moments.index(moment)
    members = recording.members[moment[0] - 1]
    picture = pixels(opened(f"#t={moment[0]}.{moment[1]}"), ".images canvas")
    for image, tile in zip(members, tiles(picture, math.ceil(math.sqrt(2 * len(members))), len(members)), strict=True):
        gone = recording.gone[t, image]
        now = gone and not recording.gone[t - 1, image]
        assert coloured(tile, "now").any() == now
        assert (tile[..., 3].max() < 60) == (gone and not now)


def test_images_are_sorted_by_their_mistakes_in_the_stage(opened):
    recording = example.recordings()[0]
    t, members = recording.moments.index((2, 2)), recording.members[1]
    counts = recording.wrong[t - 1].astype(int) + recording.wrong[t]
    expected = sorted(members, key=lambda image: (-counts[image], image))
    page = opened("#t=2.2&images=mistakes")
    page.locator(".images canvas").focus()
    found = []
    for _ in members:
        page.keyboard.press("ArrowRight")
        said = page.locator(".images .pick").inner_text()
        index, wrong = re.search(r"image (\d+) of the file: wrong (\d+) times", said).groups()
        assert int(wrong) == counts[int(index)]
        assert said.endswith("removed.") == recording.gone[t, int(index)]
        found.append(int(index))
    assert found == expected
    assert len(set(counts[members].tolist())) > 1


def test_lines_go_through_the_accuracies(opened):
    recording = example.recordings()[0]
    page = opened("#t=4.3")
    t = recording.moments.index((4, 3))
    top, middle, bottom = sorted(
        {float(line.get_attribute("y1")) for line in page.locator(".accuracy line.grid").all()[:3]}
    )
    assert middle == pytest.approx((top + bottom) / 2)
    lines = page.locator(".accuracy polyline").all()
    assert len(lines) == 4
    for task, line in enumerate(lines, start=1):
        points = [tuple(map(float, point.split(","))) for point in line.get_attribute("points").split()]
        start = recording.moments.index((task, 1)) - 1
        shares = [(bottom - y) / (bottom - top) for _, y in points]
        assert shares == pytest.approx(recording.accuracy[start : t + 1, task - 1].tolist(), abs=1e-3)
        steps = np.diff([x for x, _ in points])
        assert steps == pytest.approx(np.full(len(steps), steps[0]), abs=0.11)
        assert ("newest" in line.get_attribute("class")) == (task == 4)
    names = page.locator(".accuracy text.label").all_text_contents()
    assert sorted(name.replace("\xa0", " ") for name in names) == ["0 1", "2 3", "4 5", "6 7"]
    heights = sorted(float(label.get_attribute("y")) for label in page.locator(".accuracy text.label").all())
    assert min(np.diff(heights)) >= 13 - 1e-6
    mean = 100 * recording.accuracy[t, :4].mean()
    assert f"mean so far {mean:.1f} %" in page.locator(".accuracy h3").inner_text().replace("\xa0", " ")


def test_labels_of_lines_do_not_lie_on_each_other_nor_below_the_chart(opened):
    # At the end, where all lines are seen; the dense run has forgotten four of its five tasks.
    page = opened("#t=5.4&run=" + opened("#t=0").evaluate("explorer.record.runs[2].key"))
    assert sorted(example.recordings()[2].accuracy[-1])[:2] == [0, 0]
    heights = sorted(float(label.get_attribute("y")) for label in page.locator(".accuracy text.label").all())
    bottom = max(float(line.get_attribute("y1")) for line in page.locator(".accuracy line.grid").all()[:3])
    assert len(heights) == 5
    assert min(np.diff(heights)) >= 13 - 1e-6
    assert heights[-1] <= bottom + 4 + 1e-6


def test_a_kept_weight_is_framed_where_it_is(opened):
    layer = example.recordings()[0].layers[-1]
    k = int(np.flatnonzero(layer.alive[10])[40])
    page = opened(f"#t=3.2&w={k}")
    canvas, mark = (page.locator(f".weights {part}").bounding_box() for part in ("canvas", ".mark"))
    rows, columns = layer.grid.shape
    across, down = (k % columns + 0.5) / columns, (k // columns + 0.5) / rows
    assert mark["x"] + mark["width"] / 2 == pytest.approx(canvas["x"] + canvas["width"] * across, abs=1)
    assert mark["y"] + mark["height"] / 2 == pytest.approx(canvas["y"] + canvas["height"] * down, abs=1)
    strip = page.locator(".weights .life i")
    lived = ["dead" not in (each.get_attribute("style") or "") for each in strip.all()]
    assert lived == [bool(layer.alive[t, k]) and t <= 10 for t in range(21)]
    assert strip.nth(10).get_attribute("class") == "here"
