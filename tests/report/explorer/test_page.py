"""The page holds what was recorded, whole, and nothing from elsewhere."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import re

import numpy as np
import pytest

from sparcl_ref import Config, Dataset
from sparcl_ref.report import explorer
from sparcl_ref.report.explorer import packing
from sparcl_ref.report.explorer.colours import colours
from sparcl_ref.report.explorer.recording import NOBODY
from sparcl_ref.report.explorer.small import SMALL, small_page, write_small
from sparcl_ref.report.style import THEMES, contrast
from tests.report.explorer import example
from tests.report.page_reader import Page


@pytest.fixture(scope="module")
def text():
    return explorer.render(example.recordings())


@pytest.fixture(scope="module")
def packed(text):
    (block,) = re.findall(r'<script type="application/octet-stream" id="record">([^<]+)</script>', text)
    return packing.unpack(base64.b64decode(block))


@pytest.mark.parametrize("number", range(len(example.RUNS)))
def test_what_is_packed_is_what_was_recorded(packed, number):
    header, sections = packed
    about, recording = header["runs"][number], example.recordings()[number]
    kept, moments = np.array(header["images"]["index"]), len(recording.moments)
    assert about["settings"] == Config(**example.RUNS[number]).to_json()
    assert [tuple(moment) for moment in about["moments"]] == recording.moments
    assert np.allclose(about["accuracy"], recording.accuracy, atol=5e-5, rtol=0)
    slots = packing.to_numbers(sections[f"{number}/slots"], moments, about["capacity"])
    assert np.where(slots < 0, NOBODY, kept[slots]).tolist() == recording.slots.tolist()
    for name in ("wrong", "gone"):
        flags = packing.to_flags(sections[f"{number}/{name}"], moments, len(kept))
        assert np.array_equal(flags, getattr(recording, name)[:, kept])
    tasks = np.frombuffer(sections[f"{number}/tasks"], np.uint8)
    assert [kept[tasks == task].tolist() for task in range(1, 6)] == [m.tolist() for m in recording.members]
    for index, (shown, layer) in enumerate(zip(about["layers"], recording.layers, strict=True)):
        assert (shown["name"], tuple(shown["grid"])) == (layer.name, layer.grid.shape)
        assert [shown["living"], shown["silent"]] == [layer.living, layer.silent]
        assert [shown["came"], shown["left"]] == [layer.came, layer.left]
        alive = packing.to_flags(sections[f"{number}/{index}/alive"], moments, layer.grid.size)
        assert np.array_equal(alive, layer.alive)
        assert np.array_equal(packing.to_flags(sections[f"{number}/{index}/joined"], *layer.joined.shape), layer.joined)
        for name, bits in (("silenced", 1), ("importance", 2), ("gradient", 2)):
            found = packing.to_living(sections[f"{number}/{index}/{name}"], alive, bits=bits)
            assert np.array_equal(found, getattr(layer, name)), name


def test_images_and_labels_are_those_of_the_data_set(packed):
    header, sections = packed
    about, data = header["images"], example.dataset()
    images = np.frombuffer(sections["images"], np.uint8).reshape(about["count"], 1, 8, 8)
    kept = np.array(about["index"])
    # All 120 images of 8x8 pixels are shown, 0 .. 16 as 0 .. 255.
    assert kept.tolist() == list(range(120))
    assert np.array_equal(np.rint(data.train_x * (255 / 16)), images)
    assert np.array_equal(packing.to_numbers(sections["labels"], 1, 120)[0], data.train_y)


def test_how_many_images_are_left_and_the_moments_to_jump_to(packed):
    about, recording = packed[0]["runs"][0], example.recordings()[0]
    task = np.array([max(1, task) for task, _ in recording.moments])
    left = [
        int((~recording.gone[moment][recording.members[task[moment] - 1]]).sum())
        for moment in range(len(recording.moments))
    ]
    assert about["left"] == left
    assert about["samples"] == [24] * 5
    marks = about["marks"]
    assert [recording.moments[moment] for moment in marks["removals"]] == [(t, 2) for t in range(1, 6)]
    exchanged = [(t, e) for t in range(1, 6) for e in (2, 4)]
    assert [recording.moments[moment] for moment in marks["exchanges"]] == exchanged
    assert [recording.moments[moment] for moment in marks["adjustments"]] == sorted(
        exchanged + [(t, 1) for t in range(2, 6)]
    )


def test_the_same_runs_give_the_same_bytes(text):
    again = [explorer.record(example.trainer(**settings)) for settings in example.RUNS]
    assert explorer.render(again) == text


def test_nothing_is_loaded_from_anywhere(text):
    for page in (text, *map(small_page, SMALL)):
        without_record = re.sub(r'id="record">[^<]+<', "", page)
        named = without_record.replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"(?:src|href|url\(|import |fetch|https?:)", named)


def test_without_script_there_is_a_table_of_each_run(text):
    tables = Page(text).cells
    assert len(tables) == len(example.RUNS)
    recording = example.recordings()[0]
    assert len(tables[0]) == 1 + len(recording.moments)
    cells = tables[0][6]  # task 2, epoch 1: room is made
    layers = recording.layers
    moved = [sum(getattr(layer, name)[5] for layer in layers) for name in ("living", "left", "came")]
    new = int((recording.slots[5] != recording.slots[4]).sum())
    assert cells == ["2.1", *(f"{100 * a:.1f}" for a in recording.accuracy[5]), *map(str, moved), "0", str(new)]
    # Shown unless a script says otherwise.
    assert '<details id="table" open>' in text


def test_text_of_a_run_is_escaped():
    odd = dataclasses.replace(example.recordings()[0], title='<b>&"')
    page = explorer.render([odd])
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;&quot;, epoch by epoch</title>" in page


def test_runs_of_different_data_and_no_runs_are_refused():
    first, data = example.recordings()[0], example.dataset()
    other = Dataset(data.train_x[::-1].copy(), data.train_y[::-1].copy(), data.test_x, data.test_y, name="turned")
    with pytest.raises(ValueError, match="one data set, got dozens and another, turned"):
        explorer.render([first, dataclasses.replace(first, dataset=other)])
    with pytest.raises(ValueError, match="at least one recording"):
        explorer.render([])


def test_a_page_is_written_whole_or_not_at_all(tmp_path, text):
    path = tmp_path / "run.html"
    assert explorer.write(example.recordings(), path) == path.stat().st_size == len(text.encode())
    assert path.read_text(encoding="utf-8") == text
    with pytest.raises(OSError, match="nowhere"):
        explorer.write(example.recordings(), tmp_path / "nowhere" / "run.html")
    for name in SMALL:
        assert write_small(name, path) == len(small_page(name).encode())
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.html"]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_what_is_told_by_colour_can_be_told_apart(theme):
    shades = colours(theme)
    assert contrast(shades["muted"], shades["background"]) > 4.5
    for living in ("start", "earlier", "now", "heat4", "warm4"):
        assert contrast(shades[living], shades["dead"]) > 3, living
    for ramp in ("heat", "warm"):
        steps = [shades["dead"], *(shades[f"{ramp}{step}"] for step in range(1, 5))]
        ratios = [contrast(step, shades["dead"]) for step in steps]
        assert ratios == sorted(ratios)
        assert min(contrast(a, b) for a, b in itertools.pairwise(steps)) > 1.15
