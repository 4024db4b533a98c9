"""Which figures a run has, with a caption and a description in words, and drawing them for every page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from sparcl_ref.report import numbers
from sparcl_ref.report.figures.against_flops import accuracy_against_flops
from sparcl_ref.report.figures.canvas import png
from sparcl_ref.report.figures.mask import mask_over_time
from sparcl_ref.report.figures.matrices import accuracy_matrices
from sparcl_ref.report.figures.over_tasks import accuracy_over_tasks
from sparcl_ref.report.figures.waterfall import cost_waterfall
from sparcl_ref.report.mask_history import initial_survival, turnover
from sparcl_ref.report.style import CSS_PIXELS, DARK, DPI, LIGHT, NARROW, NARROW_DPI, WIDTH, Theme
from sparcl_ref.report.summary import FIGURE_NAMES
from sparcl_ref.report.table import CONVENTIONS, Record, Row, aggregate


@dataclass(frozen=True)
class Sketch:
    """A figure before it is drawn."""

    name: str  # of the file, without ending
    caption: str  # how to read it
    alt: str  # what is to be seen, in words
    draw: Callable[[Theme, float], Figure]  # of a theme and a width in inches
    keyed: bool = False  # whether the narrow drawing needs the entries' names beside it


class Picture(NamedTuple):
    """A PNG file, and how wide a page shows it at most, in CSS pixels."""

    data: bytes
    width: int


@dataclass(frozen=True)
class Illustration:
    """A figure as it goes into files and page: the file stands alone, the page's pictures are without the title."""

    sketch: Sketch
    title: str  # at the top of the file, and above the picture on the page: what it is
    under: str  # below that: how to read it
    file: bytes
    light: Picture
    dark: Picture
    narrow_light: Picture
    narrow_dark: Picture


def draw(sketch: Sketch) -> Illustration:
    """Draw a figure for all the places it goes to."""
    figures, pictures = [], []
    for width, dpi in ((WIDTH, DPI), (NARROW, NARROW_DPI)):
        for theme in (LIGHT, DARK):
            figure = sketch.draw(theme, width)
            data = png(figure, theme=theme, dpi=dpi, headed=False)
            figures.append(figure)
            pictures.append(Picture(data, round(CSS_PIXELS * figure.get_figwidth())))
    title, under = (text.get_text() for text in figures[0].texts[:2])
    return Illustration(sketch, title, under, png(figures[0]), *pictures)


def sketches(records: Sequence[Record], masks: Mapping[str, Mapping[str, Any]]) -> list[Sketch]:
    """The figures that a run has: what it costs only if two entries know it, the mask only if there is one.

    ``masks`` has "name#seed" to snapshots, as `mask_over_time` takes them.
    """
    rows = aggregate(records)
    over_seeds = "; bands and bars are one standard deviation over seeds" if any(len(r.seeds) > 1 for r in rows) else ""
    known, unknown = [row for row in rows if row.exact_flops], [row.name for row in rows if not row.exact_flops]
    prices = [f"{_accuracies([row])} for {numbers.quantity(row.exact_flops, 'FLOPs')}" for row in known]
    curves = Sketch(
        FIGURE_NAMES[0],
        "Each line is the mean Class-IL accuracy on the tasks seen so far: it falls as earlier tasks are "
        f"forgotten, and because there are more classes to choose from{over_seeds}.",
        f"Line chart of accuracy after each task. At the end: {_accuracies(rows)}.",
        lambda theme, width: accuracy_over_tasks(records, theme=theme, width=width),
        keyed=True,
    )
    costs = Sketch(
        FIGURE_NAMES[1],
        "Train FLOPs of the whole run, counted in the exact convention. Lines join a dense method with SparCL "
        "over it; a hollow point is its method with another head, or in another form."
        + (f" What {numbers.listed(unknown)} cost is unknown." if unknown else ""),
        f"Scatter chart of accuracy against train FLOPs: {numbers.listed(prices)}.",
        lambda theme, width: accuracy_against_flops(records, theme=theme, width=width),
        keyed=True,
    )
    matrices = Sketch(
        FIGURE_NAMES[2],
        "A row is a moment, a column a task. The stair parts what had been learned by then (below it) from what "
        "had not; a column that fades downwards is a task being forgotten.",
        f"Heat maps of the accuracy matrices of {numbers.listed([row.name for row in rows])}; "
        "the numbers stand in the tables below.",
        lambda theme, width: accuracy_matrices(records, theme=theme, width=width),
    )
    found = [curves, costs, matrices] if len(known) > 1 else [curves, matrices]
    if (key := featured_mask(records, masks)) is not None:
        found.append(_mask_sketch(key.rpartition("#")[0], masks[key]))
    if (record := featured_savings(records)) is not None:
        found.append(_savings_sketch(record))
    return found


def _mask_sketch(name: str, mask: Mapping[str, Any]) -> Sketch:
    kept = numbers.percent(float(initial_survival(mask["alive"])[-1]), 0)
    moves = turnover(mask["alive"])[0].any()
    story = "Weights keep being exchanged for others." if moves else "No weight ever joined this one."
    return Sketch(
        FIGURE_NAMES[3],
        f"A weight is a line, drawn while it is alive, in the colour of the task in which it last joined. {story} The "
        "masks of all SparCL runs are in masks.npz.",
        f"Raster of which weights of {mask['layer']} were alive in which epoch, for {name}. At the end {kept} % of the "
        "initial mask is alive.",
        lambda theme, width: mask_over_time(mask, name=name, theme=theme, width=width),
    )


def _savings_sketch(record: Record) -> Sketch:
    levels = ", ".join(f"after {part['name']} {part['total_flops']:.3g}" for part in record["savings"]["exact"])
    return Sketch(
        FIGURE_NAMES[4],
        "From plain training on the new data to the run as it was, one part after the other, each charged with those "
        "before it in place. Sparse weights save where a weight is dead, removed samples in every later epoch of their "
        "task, masked gradients in the gradients of weights.",
        f"Waterfall chart of the train FLOPs of {record['name']}, exact convention: {levels}.",
        lambda theme, width: cost_waterfall(record["savings"], name=record["name"], theme=theme, width=width),
    )


def featured_savings(records: Sequence[Record]) -> Record | None:
    """The record whose cost to take apart: the first of the sparsest; None if none is sparse or knows its savings."""
    return _sparsest(record for record in records if record["sparsity"] is not None and _all_known(record))


def featured_mask(records: Sequence[Record], masks: Mapping[str, Any]) -> str | None:
    """Key of the mask to show: of the sparsest run that has one, the first of these; None if none has."""
    record = _sparsest(record for record in records if f"{record['name']}#{record['seed']}" in masks)
    return None if record is None else f"{record['name']}#{record['seed']}"


def _sparsest(records: Iterable[Record]) -> Record | None:
    return max(records, key=lambda record: record["sparsity"] or 0.0, default=None)


def _all_known(record: Record) -> bool:
    """Whether every part of a record's cost is known, in both conventions."""
    parts = [part for name in CONVENTIONS for part in (record.get("savings") or {}).get(name) or [None]]
    return all(part is not None and part["total_flops"] is not None for part in parts)


def _accuracies(rows: Sequence[Row]) -> str:
    return numbers.listed([f"{row.name} {numbers.percent(row.accuracy)} %" for row in rows])
