"""A recorded run in numbers, for those who do without script or picture."""

from __future__ import annotations

import numpy as np

from sparcl_ref.report.explorer.moments import address
from sparcl_ref.report.explorer.recording import NOBODY, Recording
from sparcl_ref.report.page.markup import Markup, table

#: Classes of a task that are written out.
FEW = 3


def as_table(recording: Recording) -> Markup:
    """A row for each moment: the accuracy of each task, and what has moved; weights of all layers that are shown."""
    head = ["task.epoch", *(f"{name}, %" for name in _names(recording.classes))]
    head += ["living", "left", "joined", "removed", "new in buffer"]
    counts = [_over_layers(recording, name) for name in ("living", "left", "came")]
    counts += [np.array(recording.removed), _new_in_buffer(recording.slots)]
    rows = [
        [address(*moment), *(f"{100 * value:.1f}" for value in accuracy), *moved]
        for moment, accuracy, *moved in zip(recording.moments, recording.accuracy, *counts, strict=True)
    ]
    return table(head, rows, caption=recording.title)


def _names(tasks: list[list[int]]) -> list[str]:
    """What tasks are called: by their classes, or by their numbers where these do not tell them apart."""
    if len(set(map(tuple, tasks))) < len(tasks):
        return [f"task {number}" for number, _ in enumerate(tasks, start=1)]
    return [" ".join(map(str, each)) if len(each) <= FEW else f"{each[0]} … {each[-1]}" for each in tasks]


def _over_layers(recording: Recording, name: str) -> np.ndarray:
    counts = [getattr(layer, name) for layer in recording.layers]
    return np.sum([[0] * len(recording.moments), *counts], axis=0)


def _new_in_buffer(slots: np.ndarray) -> np.ndarray:
    before = np.vstack([np.full_like(slots[:1], NOBODY), slots[:-1]])
    return np.count_nonzero(slots != before, axis=1)
