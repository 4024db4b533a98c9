"""Recordings as one block of bytes: all that a page shows is made from it, by Python or by the page's script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparcl_ref.report.explorer import moments, packing
from sparcl_ref.report.explorer.layer import LayerRecord
from sparcl_ref.report.explorer.recording import NOBODY, Recording
from sparcl_ref.report.explorer.shown import samples_shown, thumbnails

#: Digits of an accuracy: test sets of ten thousand images are told apart.
DIGITS = 4
#: Samples that a page can tell apart.
MOST_SAMPLES = packing.NONE


def pack(recordings: Sequence[Recording]) -> bytes:
    """All that a page of these runs knows, deflated.

    Raises
    ------
    ValueError
        If there are no runs, they are of different data sets, or more samples were in their buffers than a page can
        tell apart.
    """
    _check(recordings)
    dataset = recordings[0].dataset
    remembered = np.concatenate([each.slots[each.slots != NOBODY] for each in recordings])
    members = recordings[0].members
    size = int(np.prod(thumbnails(dataset.train_x[:1]).shape))
    kept = samples_shown(members, remembered, image_bytes=size)
    if len(kept) > MOST_SAMPLES:
        raise ValueError(f"{len(kept):,} samples were in the buffers; a page tells {MOST_SAMPLES:,} apart: record less")
    images = thumbnails(dataset.train_x[kept])
    sections = {"images": images.tobytes(), "labels": packing.from_numbers(dataset.train_y[kept][None])}
    shape = dict(zip(("count", "channels", "height", "width"), images.shape, strict=True))
    header: dict[str, Any] = {"dataset": {"name": dataset.name, "classes": dataset.classes}}
    header["images"] = {**shape, "index": kept.tolist()}
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
        "marks": _marks(recording),
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


def _marks(recording: Recording) -> dict[str, Any]:
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
