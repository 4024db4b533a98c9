"""One self-contained page on which recorded runs are gone through by hand."""

from __future__ import annotations

import base64
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.durable import put
from sparcl_ref.report.explorer import colours, moments, packing
from sparcl_ref.report.explorer.as_table import as_table
from sparcl_ref.report.explorer.assets import asset
from sparcl_ref.report.explorer.layer import LayerRecord
from sparcl_ref.report.explorer.recording import NOBODY, Recording
from sparcl_ref.report.explorer.shown import samples_shown, thumbnails
from sparcl_ref.report.page.markup import escaped, joined

#: The page's script, in this order.
SCRIPTS = ("record", "sentences", "state", "pictures", "weights", "samples", "accuracy", "explorer")
#: Digits of an accuracy: test sets of ten thousand images are told apart.
DIGITS = 4
#: Samples that a page can tell apart.
MOST_SAMPLES = packing.NONE


def write(recordings: Sequence[Recording], path: str | Path) -> int:
    """Write the page of these runs, whole or not at all; returns its size in bytes.

    Raises
    ------
    ValueError
        As `render` does.
    OSError
        Naming the file.
    """
    content = render(recordings).encode("utf-8")
    put(Path(path), content)
    return len(content)


def render(recordings: Sequence[Recording]) -> str:
    """The page of these runs, the first of which it opens with: a whole HTML document.

    Raises
    ------
    ValueError
        If there are no runs, they are of different data sets, or more samples were in their buffers than a page can
        tell apart.
    """
    _check(recordings)
    first = recordings[0]
    script = "\n".join(asset(f"{name}.js") for name in SCRIPTS)
    return string.Template(asset("explorer.html")).substitute(
        title=escaped(f"{first.title}, epoch by epoch"),
        style=f"{colours.stylesheet()}\n{asset('explorer.css')}",
        lead=escaped(_lead(first)),
        grid=escaped(_grid(first)),
        table=joined(as_table(each) for each in recordings),
        record=base64.b64encode(pack(recordings)).decode("ascii"),
        script=f'(async () => {{\n"use strict";\n{script}\n}})();',
    )


def pack(recordings: Sequence[Recording]) -> bytes:
    """All that the page's script knows, deflated."""
    dataset = recordings[0].dataset
    remembered = np.concatenate([each.slots[each.slots != NOBODY] for each in recordings])
    members = recordings[0].members
    size = int(np.prod(thumbnails(dataset.train_x[:1]).shape))
    kept = samples_shown(members, remembered, image_bytes=size)
    if len(kept) > MOST_SAMPLES:
        raise ValueError(f"{len(kept):,} samples were in the buffers; a page tells {MOST_SAMPLES:,} apart: record less")
    images = thumbnails(dataset.train_x[kept])
    sections = {"images": images.tobytes(), "labels": packing.from_numbers(dataset.train_y[kept][None])}
    header = {"images": dict(zip(("count", "channels", "height", "width"), images.shape, strict=True))}
    header["images"]["index"] = kept.tolist()
    names = moments.keys([each.title for each in recordings])
    runs = []
    for number, (recording, key) in enumerate(zip(recordings, names, strict=True)):
        about, own = _run(recording, kept)
        runs.append({"key": key, **about})
        sections |= {f"{number}/{name}": content for name, content in own.items()}
    return packing.pack(header | {"runs": runs}, sections)


def _check(recordings: Sequence[Recording]) -> None:
    if not recordings:
        raise ValueError("there is nothing to show: give at least one recording")
    first = recordings[0].dataset
    for other in (each.dataset for each in recordings[1:]):
        if other is not first and not np.array_equal(other.train_x, first.train_x):
            raise ValueError(f"runs on one page have one data set, got {first.name} and another, {other.name}")


def _run(recording: Recording, kept: np.ndarray) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the header says of a run, and its sections."""
    position = np.full(len(recording.dataset.train_y) + 1, NOBODY)  # the last one for nobody
    position[kept] = np.arange(len(kept))
    tasks = np.zeros(len(recording.dataset.train_y), dtype=np.uint8)
    for task, members in enumerate(recording.members, start=1):
        tasks[members] = min(task, 255)
    about = {
        "title": recording.title,
        "settings": recording.settings,
        "moments": recording.moments,
        "classes": recording.classes,
        "learned": recording.learned,
        "samples": [len(members) for members in recording.members],
        "left": _left(recording),
        "accuracy": [[round(float(value), DIGITS) for value in row] for row in recording.accuracy],
        "removed": recording.removed,
        "removesBefore": recording.removes_before,
        "capacity": recording.slots.shape[1],
        "deltaK": recording.settings["delta_k"],
        "layers": [_about(layer) for layer in recording.layers],
        "marks": marks(recording),
    }
    sections = {
        "slots": packing.from_numbers(position[recording.slots]),
        "wrong": packing.from_flags(recording.wrong[:, kept]),
        "gone": packing.from_flags(recording.gone[:, kept]),
        "tasks": tasks[kept].tobytes(),
    }
    for number, layer in enumerate(recording.layers):
        sections[f"{number}/alive"] = packing.from_flags(layer.alive)
        sections[f"{number}/joined"] = packing.from_flags(layer.joined)
        for name, bits in (("silenced", 1), ("importance", 2), ("gradient", 2)):
            sections[f"{number}/{name}"] = packing.from_living(getattr(layer, name), layer.alive, bits=bits)
    return about, sections


def _about(layer: LayerRecord) -> dict[str, Any]:
    counts = {name: getattr(layer, name) for name in ("living", "silent", "came", "left")}
    size = int(np.prod(layer.shape))
    return {"name": layer.name, "shape": layer.shape, "size": size, "grid": layer.grid.shape, **counts}


def marks(recording: Recording) -> dict[str, Any]:
    """Moments to jump to."""
    came, left = [layer.came for layer in recording.layers], [layer.left for layer in recording.layers]
    return {
        "adjustments": moments.adjustments(came, left),
        "exchanges": moments.exchanges(came, left),
        "removals": moments.removals(recording.removed),
        "forgetting": moments.first_forgetting(recording.accuracy, recording.moments, recording.learned),
    }


def _left(recording: Recording) -> list[int]:
    """Samples of the current task that training still goes through, by moment."""
    tasks = [recording.members[max(1, task) - 1] for task, _ in recording.moments]
    return [int(np.count_nonzero(~gone[members])) for gone, members in zip(recording.gone, tasks, strict=True)]


def _lead(recording: Recording) -> str:
    sparsity = recording.settings["sparsity"]
    dead = f" At any moment {100 * sparsity:g} % of its weights are dead." if sparsity else ""
    tasks, classes = len(recording.members), recording.dataset.classes
    parts = f"{tasks} tasks" if tasks > 1 else "one task"
    learns = f"A network learns the {classes} classes of {recording.dataset.name} in {parts}."
    return f"{learns}{dead} Watch which weights live, what is remembered, and what becomes of each task."


def _grid(recording: Recording) -> str:
    """How weights lie in their picture."""
    cut = any(layer.grid.size < np.prod(layer.shape) for layer in recording.layers)
    some = "a block of the layer" if cut else "the layer"
    return f"Output channels go down, input channels across, and each kernel is a small square; one sees {some}."
