"""A recorded run in numbers, for those who do without script or picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparcl_ref.report.explorer.moments import address
from sparcl_ref.report.explorer.packing import to_numbers
from sparcl_ref.report.page.markup import Markup, table

#: Classes of a task that are written out.
FEW = 3


def as_table(run: Mapping[str, Any], slots: bytes) -> Markup:
    """A row for each moment: the accuracy of each task, and what has moved; weights of all layers that are shown.

    ``run`` is what a block's header says of it, ``slots`` the section of that name.
    """
    head = ["task.epoch", *(f"{name}, %" for name in _names(run["classes"]))]
    head += ["living", "left", "joined", "removed", "new in buffer"]
    counts = [_over_layers(run, name) for name in ("living", "left", "came")]
    counts += [np.array(run["removed"]), _new_in_buffer(to_numbers(slots, len(run["moments"]), run["capacity"]))]
    rows = [
        [address(*moment), *(f"{100 * value:.1f}" for value in accuracy), *moved]
        for moment, accuracy, *moved in zip(run["moments"], run["accuracy"], *counts, strict=True)
    ]
    return table(head, rows, caption=run["title"])


def _names(tasks: list[list[int]]) -> list[str]:
    """What tasks are called: by their classes, or by their numbers where these do not tell them apart."""
    if len(set(map(tuple, tasks))) < len(tasks):
        return [f"task {number}" for number, _ in enumerate(tasks, start=1)]
    return [" ".join(map(str, each)) if len(each) <= FEW else f"{each[0]} … {each[-1]}" for each in tasks]


def _over_layers(run: Mapping[str, Any], name: str) -> np.ndarray:
    return np.sum([[0] * len(run["moments"]), *(layer[name] for layer in run["layers"])], axis=0)


def _new_in_buffer(slots: np.ndarray) -> np.ndarray:
    before = np.vstack([np.full_like(slots[:1], -1), slots[:-1]])
    return np.count_nonzero(slots != before, axis=1)
