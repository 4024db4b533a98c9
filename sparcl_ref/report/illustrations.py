"""The figures of a run, each drawn for light and for dark pages, with a caption and a description in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparcl_ref.report import numbers
from sparcl_ref.report.figures import (
    accuracy_against_flops,
    accuracy_matrices,
    accuracy_over_tasks,
    cost_waterfall,
    mask_over_time,
    png,
)
from sparcl_ref.report.mask_history import initial_survival, turnover
from sparcl_ref.report.style import DARK, LIGHT, Theme
from sparcl_ref.report.summary import FIGURE_NAMES
from sparcl_ref.report.table import Record, Row, aggregate


@dataclass(frozen=True)
class Illustration:
    """A figure as it goes into files and page.

    Attributes
    ----------
    name : str
        Of the file, without ending.
    title : str
    caption : str
        How to read it.
    alt : str
        What is to be seen, in words.
    light, dark : bytes
        PNG files.
    """

    name: str
    title: str
    caption: str
    alt: str
    light: bytes
    dark: bytes


def illustrate(records: Sequence[Record], masks: Mapping[str, Mapping[str, Any]]) -> list[Illustration]:
    """All figures of a run; the one of the mask only if there is a mask.

    Parameters
    ----------
    records : sequence of dict
    masks : mapping
        "name#seed" to snapshots, as `mask_over_time` takes them.
    """
    rows = aggregate(records)
    over_seeds = "; bands and bars are one standard deviation over seeds" if any(len(r.seeds) > 1 for r in rows) else ""
    found = [
        _drawn(
            FIGURE_NAMES[0],
            "Accuracy over tasks",
            "Each line is the mean Class-IL accuracy on the tasks seen so far: it falls as earlier tasks are "
            f"forgotten, and because there are more classes to choose from{over_seeds}.",
            f"Line chart of accuracy after each task. At the end: {_accuracies(rows)}.",
            lambda theme: accuracy_over_tasks(records, theme=theme),
        ),
        _drawn(
            FIGURE_NAMES[1],
            "Accuracy against train FLOPs",
            "Train FLOPs of the whole run, counted in the exact convention. Lines join a dense method with SparCL over "
            "it; hollow points differ from the others of their kind in the head of the loss.",
            f"Scatter chart of accuracy against train FLOPs: {_costs(rows)}.",
            lambda theme: accuracy_against_flops(records, theme=theme),
        ),
        _drawn(
            FIGURE_NAMES[2],
            "Accuracy matrices",
            "A row is a moment, a column a task. The stair parts what had been learned by then (below it) from what "
            "had not; a column that fades downwards is a task being forgotten.",
            f"Heat maps of the accuracy matrices of {numbers.listed([row.name for row in rows])}; "
            "the numbers stand in the tables below.",
            lambda theme: accuracy_matrices(records, theme=theme),
        ),
    ]
    if (key := featured_mask(records, masks)) is not None:
        found.append(_mask_illustration(key.rpartition("#")[0], masks[key]))
    if (record := featured_savings(records)) is not None:
        found.append(_savings_illustration(record))
    return found


def _mask_illustration(name: str, mask: Mapping[str, Any]) -> Illustration:
    kept = numbers.percent(float(initial_survival(mask["alive"])[-1]), 0)
    if turnover(mask["alive"])[0].any():
        story = (
            "At the start of a task new weights are let in; then those that rank lowest keep being exchanged for "
            "random ones."
        )
    else:
        story = "No weight ever joined this one."
    return _drawn(
        FIGURE_NAMES[3],
        "The mask over time",
        f"A weight is a line, drawn while it is alive, in the colour of the task in which it last joined. {story} The "
        "masks of all SparCL runs are in masks.npz.",
        f"Raster of which weights of {mask['layer']} were alive in which epoch, for {name}. At the end {kept} % of the "
        "initial mask is alive.",
        lambda theme: mask_over_time(mask, name=name, theme=theme),
    )


def _savings_illustration(record: Record) -> Illustration:
    levels = ", ".join(f"after {part['name']} {part['total_flops']:.3g}" for part in record["savings"]["exact"])
    return _drawn(
        FIGURE_NAMES[4],
        "Where the savings come from",
        "From plain training on the new data to the run as it was, one part after the other, each charged with those "
        "before it in place. Sparse weights save where a weight is dead, removed samples in every later epoch of their "
        "task, masked gradients in the gradients of weights.",
        f"Waterfall chart of the train FLOPs of {record['name']}, exact convention: {levels}.",
        lambda theme: cost_waterfall(record["savings"], name=record["name"], theme=theme),
    )


def featured_savings(records: Sequence[Record]) -> Record | None:
    """The record whose cost to take apart: the first of the sparsest; None if none is sparse or knows its savings."""
    candidates = [record for record in records if record.get("savings") and record["sparsity"] is not None]
    return max(candidates, key=lambda record: record["sparsity"], default=None)


def featured_mask(records: Sequence[Record], masks: Mapping[str, Any]) -> str | None:
    """Key of the mask to show: of the sparsest run that has one, the first of these; None if none has."""
    candidates = [record for record in records if f"{record['name']}#{record['seed']}" in masks]
    if not candidates:
        return None
    record = max(candidates, key=lambda record: record["sparsity"] or 0.0)
    return f"{record['name']}#{record['seed']}"


def _drawn(name: str, title: str, caption: str, alt: str, draw: Callable[[Theme], Any]) -> Illustration:
    light, dark = (png(draw(theme), theme=theme) for theme in (LIGHT, DARK))
    return Illustration(name, title, caption, alt, light, dark)


def _accuracies(rows: Sequence[Row]) -> str:
    return numbers.listed([f"{row.name} {numbers.percent(row.class_il_accuracy.mean)} %" for row in rows])


def _costs(rows: Sequence[Row]) -> str:
    return numbers.listed(
        [
            f"{row.name} {numbers.percent(row.class_il_accuracy.mean)} % for "
            f"{numbers.quantity(row.train_flops['exact'].mean, 'FLOPs')}"
            for row in rows
        ]
    )
