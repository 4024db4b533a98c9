"""The explorer as a reader works it: by mouse, by keys, by address."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from sparcl_ref.report import explorer
from sparcl_ref.report.explorer.colours import colours
from sparcl_ref.report.style import DARK, THEMES
from tests.browser import follow, overflow
from tests.report.explorer import example


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "run.html"
    explorer.write(example.recordings(), path)
    return path.as_uri()


@pytest.fixture
def opened(open_page, address):
    def opens(hash_="", **how):
        page = open_page(address + hash_, **how)
        page.wait_for_selector("html[data-ready]")
        return page

    return opens


def at(page) -> str:
    """The hash of the page's address."""
    return page.evaluate("location.hash")


def test_the_script_reads_what_was_recorded(opened):
    page = opened()
    for number, recording in enumerate(example.recordings()):
        held_against(page, number, recording)


def held_against(page, number: int, recording) -> None:
    run = f"explorer.record.runs[{number}]"

    def whole(name: str) -> list[int]:
        return page.evaluate(f"Array.from({run}.{name})")

    for name in ("slots", "wrong", "gone"):
        assert whole(name) == getattr(recording, name).astype(int).reshape(-1).tolist(), name
    for index, layer in enumerate(recording.layers):
        for name in ("alive", "joined", "silenced", "importance", "gradient"):
            found = whole(f"layers[{index}].get('{name}')")
            assert found == getattr(layer, name).astype(int).reshape(-1).tolist(), name
        birth = np.full(layer.alive.shape, -1)
        for moment in range(len(layer.alive)):
            for k in np.flatnonzero(layer.alive[moment]):
                old = moment > 0 and layer.alive[moment - 1, k] and not layer.joined[moment, k]
                birth[moment, k] = birth[moment - 1, k] if old else moment
        assert whole(f"layers[{index}].get('birth')") == birth.reshape(-1).tolist()
        lives = whole(f"layers[{index}].get('lives')")
        assert sorted(lives) == np.flatnonzero(layer.alive.any(axis=0)).tolist()
        first = layer.alive.argmax(axis=0)[lives]
        assert first.tolist() == sorted(first.tolist())


def test_mistakes_are_counted_by_stage_of_the_images_own_task(opened):
    page, recording = opened(), example.recordings()[0]
    for image in (0, 30, 119):
        task = next(task for task, members in enumerate(recording.members, start=1) if image in members)
        for moment in (0, 3, 8, 20):
            rows = {
                epoch: recording.wrong[i, image]
                for i, (t, epoch) in enumerate(recording.moments[: moment + 1])
                if t == task
            }
            stages = [[rows[e] for e in pair if e in rows] for pair in ((1, 2), (3, 4))]
            expected = [int(sum(stage)) for stage in stages if stage]
            assert page.evaluate(f"explorer.record.runs[0].mistakes({moment}, {image})") == expected


def test_keys_move_by_epoch_and_by_task(opened):
    page = opened()
    assert at(page) == "#t=0"
    for key, expected in [
        ("ArrowRight", "1.1"),
        ("ArrowRight", "1.2"),
        ("ArrowLeft", "1.1"),
        ("Shift+ArrowRight", "2.1"),
        ("Shift+ArrowRight", "3.1"),
        ("ArrowRight", "3.2"),
        ("Shift+ArrowLeft", "3.1"),
        ("End", "5.4"),
        ("ArrowRight", "5.4"),
        ("Home", "0"),
        ("ArrowLeft", "0"),
    ]:
        page.keyboard.press(key)
        assert at(page) == f"#t={expected}", key


def test_the_slider_moves_by_mouse_and_says_the_moment(opened):
    page = opened()
    box = page.locator("#time").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert at(page) == "#t=3.2"
    assert page.locator("#now").inner_text() == "task 3, epoch 2"
    slider = page.get_by_role("slider", name="Moment of the run")
    assert slider.get_attribute("aria-valuetext") == "task 3, epoch 2"
    # With the focus on it, its keys do what they do elsewhere.
    page.keyboard.press("ArrowRight")
    assert at(page) == "#t=3.3"
    # Ticks stand under the knob's place.
    page.keyboard.press("Home")
    left = page.locator("#ticks i.removal").first.evaluate("e => e.getBoundingClientRect().left + 4")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    ratio = page.evaluate("(t => t.value / t.max)(document.getElementById('time'))")
    assert left == pytest.approx(box["x"] + 9 + (box["width"] - 18) * ratio, abs=1.5)


def test_it_plays_to_the_end_and_again(opened):
    page = opened("#t=5.2")
    page.locator("#speed").select_option("fast")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("Space")
    assert page.locator("#play").inner_text() == "Pause"
    assert page.locator("#sentence").get_attribute("aria-live") == "off"
    page.wait_for_function("location.hash === '#t=5.4'")
    assert page.locator("#play").inner_text() == "Play"
    assert page.locator("#sentence").get_attribute("aria-live") == "polite"
    page.locator("#speed").select_option("slow")
    page.locator("#play").click()
    page.wait_for_function("explorer.state.t === 1")
    page.locator("#play").click()
    stopped = page.evaluate("explorer.state.t")
    assert stopped < 20
    page.wait_for_timeout(1000)
    assert page.evaluate("explorer.state.t") == stopped


def test_jumps_lead_to_what_they_name(opened):
    page, recording = opened(), example.recordings()[0]
    exchange, removal = (
        page.get_by_role("button", name="Next exchange"),
        page.get_by_role("button", name="Next removal"),
    )
    exchange.click()
    assert at(page) == "#t=1.2"
    exchange.click()
    assert at(page) == "#t=1.4"
    removal.click()
    assert at(page) == "#t=2.2"
    page.get_by_role("button", name="First forgetting").click()
    task, epoch = map(int, at(page).removeprefix("#t=").split("."))
    before = recording.moments.index((task, epoch))
    earlier = recording.accuracy[: before + 1, : task - 1]
    assert (earlier.max(axis=0) - earlier[-1]).max() >= 0.05 - 1e-9
    page.keyboard.press("End")
    assert exchange.is_disabled()
    assert removal.is_disabled()
    # The static run exchanges nothing.
    page.locator("#run").select_option(index=1)
    page.keyboard.press("Home")
    assert exchange.is_disabled()


def test_the_sentence_says_what_happened(opened):
    page, recording = opened("#t=2.2"), example.recordings()[0]
    moment, layer = recording.moments.index((2, 2)), recording.layers[-1]
    changed = int((recording.slots[moment] != recording.slots[moment - 1]).sum())
    said = page.locator("#sentence").inner_text().replace("\xa0", " ")
    parts = [
        "Task 2, epoch 2. Before this epoch",
        f"{layer.left[moment]} weights of conv3 left and {layer.came[moment]} joined.",
        f"After it {recording.removed[moment]} training images were removed.",
        f"{changed} of 20 slots of the buffer changed.",
        "Accuracy: classes 0 1: ",
    ]
    assert said.startswith(" ".join(parts))
    stated = [float(number) for number in re.findall(r"classes \d \d: ([\d.]+) %", said)]
    assert stated == pytest.approx((100 * recording.accuracy[moment, :2]).tolist(), abs=0.05)
    page.keyboard.press("Home")
    assert page.locator("#sentence").inner_text() == (
        f"Before any training. {layer.living[0]} weights of 324 of conv3 live. The buffer is empty."
    )


ADDRESSES = [
    "#t=0",
    "#t=3.2&run={other}",
    "#t=3.2&beside={other}",
    "#t=2.4&layer=conv2&colour=importance&order=birth&images=mistakes&w=7",
    "#t=5.3&colour=gradient&w=100",
]


def test_an_address_is_a_state_and_a_state_an_address(opened, address):
    page = opened()
    other = page.evaluate("explorer.record.runs[1].key")
    for given in (each.format(other=other) for each in ADDRESSES):
        page.goto("about:blank")  # so that it is opened anew
        page.goto(address + given)
        page.wait_for_selector("html[data-ready]")
        assert at(page) == given
        if given != "#t=0":
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("ArrowRight")
            assert at(page) == given


def test_every_address_is_understood(opened):
    page, draw = opened(), random.Random(0)
    first, *others = page.evaluate("explorer.record.runs.map(run => run.key)")
    parts = {
        "run": [None, *others],
        "beside": [None, first, *others],
        "layer": [None, "conv2"],
        "colour": [None, "importance", "gradient"],
        "order": [None, "birth"],
        "images": [None, "mistakes"],
        "w": [None, "0", "161"],
    }
    for _ in range(40):
        chosen = {key: draw.choice(values) for key, values in parts.items()}
        if chosen["beside"] == (chosen["run"] or first):
            chosen["beside"] = None
        # The second run has three epochs.
        moment = draw.choice(["0", *(f"{task}.{epoch}" for task in range(1, 6) for epoch in range(1, 4))])
        given = "#t=" + "&".join([moment, *(f"{key}={value}" for key, value in chosen.items() if value)])
        follow(page, given)
        assert at(page) == given


@pytest.mark.parametrize("given", ["#nonsense", "#t=-1&run=nobody&layer=none&colour=red&w=99999&w=1e9"])
def test_an_address_that_says_nothing_opens_the_beginning(opened, given):
    assert at(opened(given)) == "#t=0"


def test_a_moment_that_a_run_lacks_is_the_last_one_before_it(opened):
    assert at(opened("#t=2.9")) == "#t=2.4"
    assert at(opened("#t=9.9")) == "#t=5.4"


def test_a_link_on_the_page_moves_it(opened):
    page = opened()
    follow(page, "#t=4.1&colour=gradient")
    assert page.locator("#now").inner_text() == "task 4, epoch 1"
    assert page.locator("#colour").input_value() == "gradient"


def test_choices_are_kept_in_the_address(opened):
    page = opened("#t=3.3")
    keys = page.evaluate("explorer.record.runs.map(run => run.key)")
    page.get_by_label("Colour by").select_option("importance")
    page.get_by_label("Weights by").select_option("birth")
    page.get_by_label("Images by").select_option("mistakes")
    page.get_by_label("Layer").select_option("conv2")
    page.get_by_label("beside").select_option(keys[2])
    assert at(page) == f"#t=3.3&beside={keys[2]}&layer=conv2&colour=importance&order=birth&images=mistakes"
    assert page.locator(".run").count() == 2
    assert page.locator(".run .name").all_inner_texts() == [
        "SparCL-DER++ .75",
        "SGD",
    ]
    page.get_by_role("combobox", name="Run").select_option(keys[2])
    assert page.locator(".run").count() == 1
    assert at(page).startswith(f"#t=3.3&run={keys[2]}&")
    assert page.title() == "SGD, epoch by epoch"
    assert page.locator(".buffer h3").inner_text() == "Buffer none"


def test_beside_a_run_of_fewer_epochs_both_stand_in_the_same_task(opened):
    key = opened().evaluate("explorer.record.runs[1].key")
    page = opened(f"#t=2.4&beside={key}")
    # Its third epoch was its last.
    assert page.evaluate("explorer.record.runs[1].moments[explorer.record.runs[1].momentNamed('2.4')]") == [2, 3]
    assert page.locator(".accuracy .cursor").count() == 2


def test_a_weight_is_picked_by_mouse_and_kept(opened):
    page, layer = opened("#t=3.2"), example.recordings()[0].layers[-1]
    canvas = page.locator(".weights canvas")
    box = canvas.bounding_box()
    rows, columns = layer.grid.shape
    row, column = 4, 10  # output 1, row 1 of its kernel; input 3, column 1
    place = {"x": box["width"] * (column + 0.5) / columns, "y": box["height"] * (row + 0.5) / rows}
    canvas.hover(position=place)
    told = page.locator(".weights .pick")
    assert told.inner_text().startswith("Output 1, input 3, row 1, column 1: ")
    assert page.locator(".weights .life i").count() == 21
    canvas.click(position=place)
    assert at(page) == f"#t=3.2&w={row * columns + column}"
    page.mouse.move(2, 2)
    assert told.inner_text().startswith("Output 1, input 3, row 1, column 1: ")
    canvas.click(position=place)
    assert at(page) == "#t=3.2"


def test_what_is_said_of_a_weight_is_what_was_recorded(opened):
    page, layer, t = opened("#t=3.2"), example.recordings()[0].layers[-1], 10
    since_start = int(
        np.flatnonzero(layer.alive[: t + 1].all(axis=0) & ~layer.joined.any(axis=0) & ~layer.silenced[t])[0]
    )
    dead, silenced = int(np.flatnonzero(~layer.alive[t])[0]), int(np.flatnonzero(layer.silenced[t])[0])
    new = int(np.flatnonzero(layer.joined[t])[0])
    for k, words in [
        (since_start, "lives since the start"),
        (dead, "dead"),
        (silenced, "silenced"),
        (new, "lives since task 3, epoch 2"),
    ]:
        follow(page, f"#t=3.2&w={k}")
        assert words in page.locator(".weights .pick").inner_text()


def test_pictures_are_worked_by_keys(opened):
    page, recording = opened("#t=3.2"), example.recordings()[0]
    canvas = page.locator(".weights canvas")
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    columns = recording.layers[-1].grid.shape[1]
    page.keyboard.press("Enter")
    assert at(page) == f"#t=3.2&w={columns + 1}"  # the first key enters the picture
    page.keyboard.press("Escape")
    assert at(page) == "#t=3.2"
    page.locator(".buffer canvas").focus()
    page.keyboard.press("ArrowRight")
    slots = recording.slots[10]
    slot = min(np.flatnonzero(slots >= 0), key=lambda s: (example.dataset().train_y[slots[s]], s))
    label = example.dataset().train_y[slots[slot]]
    assert (
        page.locator(".buffer .pick")
        .inner_text()
        .startswith(f"Slot {slot}: a {label}, image {slots[slot]} of the file: ")
    )
    page.locator(".images canvas").focus()
    page.keyboard.press("ArrowRight")
    first = recording.members[2].min()
    words = f"A {example.dataset().train_y[first]}, image {first} of the file: wrong "
    assert page.locator(".images .pick").inner_text().startswith(words)


def test_pictures_are_worked_by_fingers(opened):
    page = opened("#t=3.2", width=390, touch=True)
    for name, said in (("buffer", "Slot "), ("images", "A ")):
        page.locator(f".{name} canvas").tap(position={"x": 8, "y": 8})
        assert page.locator(f".{name} .pick").inner_text().startswith(said)
    page.locator(".weights canvas").tap(position={"x": 2, "y": 2})
    assert at(page) == "#t=3.2&w=0"


def colours_on(page, selector: str) -> set[str]:
    """Colours of a canvas, as "#rrggbb"."""
    return set(page.evaluate(
        """selector => {
          const canvas = document.querySelector(selector);
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const found = new Set();
          const hex = value => value.toString(16).padStart(2, "0");
          for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] === 255) found.add("#" + [0, 1, 2].map(c => hex(data[i + c])).join(""));
          return [...found];
        }""",
        selector,
    ))  # fmt: skip


KINDS = {
    "birth": {"dead", "start", "earlier", "now", "silenced"},
    "importance": {"dead", "heat1", "heat2", "heat3", "heat4"},
    "gradient": {"dead", "warm1", "warm2", "warm3", "warm4", "silenced"},
}


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_weights_have_the_colours_of_the_key(opened, theme):
    page, palette = opened("#t=3.2", dark=theme is DARK), colours(theme)
    for way, names in KINDS.items():
        page.locator("#colour").select_option(way)
        assert colours_on(page, ".weights canvas") == {palette[name] for name in names}, way


def test_in_the_raster_the_future_is_open(opened):
    page = opened("#t=1.1&order=birth")
    canvas = page.locator(".weights canvas")
    assert canvas.evaluate("c => c.width") == 21
    drawn = "c => Array.from(c.getContext('2d').getImageData(0, 0, 21, 1).data).filter((_, i) => i % 4 === 3)"
    assert canvas.evaluate(drawn) == [255] * 2 + [0] * 19
    page.keyboard.press("End")
    assert canvas.evaluate(drawn) == [255] * 21


@pytest.mark.parametrize("dark", [False, True])
def test_no_window_is_too_narrow(opened, dark):
    page = opened("#t=5.4", dark=dark)
    edges = "[...document.querySelectorAll('.panel, .bar, select, button')].map(e => e.getBoundingClientRect().right)"
    for beside in ("", page.evaluate("explorer.record.runs[2].key")):
        page.locator("#beside").select_option(beside)
        for width in (1280, 768, 390, 360):
            page.set_viewport_size({"width": width, "height": 800})
            if width == 390:
                page.locator("#more").click()
            assert overflow(page) == 0, width
            assert max(page.evaluate(edges)) <= width
        page.set_viewport_size({"width": 1280, "height": 800})


def test_on_a_phone_choices_are_folded_until_asked_for(opened):
    page = opened(width=390)
    more, run = page.get_by_role("button", name="Choose run, layer and view"), page.locator("#run")
    assert not run.is_visible()
    more.click()
    assert run.is_visible()
    assert more.get_attribute("aria-expanded") == "true"
    more.click()
    assert not run.is_visible()


def test_changed_colours_are_taken_up_at_once(opened):
    page = opened("#t=2.1")
    light = colours_on(page, ".weights canvas")
    page.emulate_media(color_scheme="dark")
    for _ in range(100):
        if not light & colours_on(page, ".weights canvas"):
            return
        page.wait_for_timeout(50)
    pytest.fail("the picture kept the colours of the light page")


def test_without_script_the_table_remains(open_page, address):
    page = open_page(address, script=False)
    assert page.locator("table").first.is_visible()
    assert not page.locator("#time").is_visible()
    assert page.locator("table").count() == len(example.RUNS)


def test_a_browser_that_cannot_unpack_shows_the_table(open_page, address):
    page = open_page(address)
    assert not page.locator(".unable").is_visible()
    page.add_init_script("delete window.DecompressionStream")
    page.reload()
    assert page.locator("table").first.is_visible()
    assert page.locator(".unable").is_visible()
    assert not page.locator("#time").is_visible()


def test_with_script_the_table_is_folded_and_every_control_has_a_name(opened):
    page = opened()
    assert not page.locator("table").first.is_visible()
    page.get_by_text("The same as a table").click()
    assert page.locator("table").first.is_visible()
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, select, input, canvas, [role=img], [role=application]')].filter(
          e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length"""
    )
    assert nameless == 0


def test_runs_of_other_kinds_are_shown_as_well(open_page, tmp_path):
    permuted, *others = example.unusual()
    explorer.write([permuted], tmp_path / "run.html")  # a stream of images of its own
    page = open_page(tmp_path / "run.html")
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("End")
    # Tasks that share their classes go by their numbers.
    said = page.locator("#sentence").inner_text().replace("\xa0", " ")
    assert re.search(r"Accuracy: task 1: [\d.]+ %, task 2: [\d.]+ %, task 3: [\d.]+ %\.$", said)
    # Images in colour stay so.
    red, green, blue = page.evaluate(
        """() => {
          const canvas = document.querySelector(".images canvas");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const sums = [0, 0, 0];
          for (let i = 0; i < data.length; i += 4)
            for (let c = 0; c < 3; c++) sums[c] += Math.abs(data[i + c] - data[i]);
          return sums;
        }"""
    )
    assert red == 0
    assert min(green, blue) > 0
    explorer.write(others, tmp_path / "run.html")
    page = open_page((tmp_path / "run.html").as_uri() + "#t=9.9")
    page.wait_for_selector("html[data-ready]")
    for index in range(2):
        page.locator("#run").select_option(index=index)
        page.keyboard.press("End")
        assert "Accuracy: classes 0 1: " in page.locator("#sentence").inner_text().replace("\xa0", " ")
        assert page.locator(".accuracy polyline").count() == 2
