"""Figure: mean accuracy on the tasks seen so far, after each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparcl_ref.report import style
from sparcl_ref.report.figures import canvas
from sparcl_ref.report.numbers import percent
from sparcl_ref.report.style import LIGHT, WIDTH, Look, Theme
from sparcl_ref.report.table import Record, aggregate, group_by_entry, is_joint

#: Inches beside and under the axes, across the panel that shows everything, and between two panels.
LEFT, BOTTOM, OVERVIEW, GAP = 0.6, 0.62, 2.4, 0.95


def accuracy_curve(record: Record) -> tuple[list[int], list[float]]:
    """Number of tasks seen, and mean Class-IL accuracy on these, after each task; joint training has the end alone."""
    trained = record["class_il_matrix"][1:]
    seen = [len(trained[0])] if is_joint(record) else list(range(1, len(trained) + 1))
    return seen, [float(np.mean(row[:count])) for row, count in zip(trained, seen, strict=True)]


def accuracy_over_tasks(records: Sequence[Record], *, theme: Theme = LIGHT, width: float = WIDTH) -> Figure:
    """Mean Class-IL accuracy on the tasks seen so far, after each task: a line per entry, a band of one deviation.

    Where some entries end far below the best, they share a first panel with all others, and the rest gets a second one
    with an axis of its own. Lines carry the entry's name as their matplotlib label. Panels stand side by side where
    there is room, else one above the other. In the narrow drawing labels have no names.
    """
    with style.applied(theme):
        curves = mean_curves(records, theme)
        narrow = width < WIDTH
        figure = canvas.new_figure(1, width=width)
        near, far = _divided(curves)
        rooms = [_label_room(figure, some, narrow) for some in (near, far) if some]
        stacked = narrow or (bool(far) and WIDTH - LEFT - OVERVIEW - 0.35 - sum(rooms) < OVERVIEW)
        height = max(2.6 if narrow else 3.75, canvas.LINE * 1.12 * len(near))
        above = max(1.7, canvas.LINE * 1.12 * len(far)) if far and stacked else 0
        figure.set_figheight(canvas.HEAD + 0.31 + height + BOTTOM + (above + GAP if above else 0))
        under = "Class-IL accuracy in %, mean over the tasks seen so far"
        canvas.title(figure, "What is still known after each task", under=under, theme=theme)
        left = LEFT if stacked or not far else LEFT + OVERVIEW + rooms[1] + 0.35
        detail = canvas.place_axes(figure, left, BOTTOM, width - left - rooms[0], height)
        limits = _draw_curves(detail, near, theme)
        if far:
            box = (BOTTOM + height + GAP, width - LEFT - rooms[1], above) if stacked else (BOTTOM, OVERVIEW, height)
            overview = canvas.place_axes(figure, LEFT, *box)
            _draw_curves(overview, curves, theme, limits=(-0.02, 1.02))
            overview.axhspan(*limits, color=theme.faint, alpha=0.6, zorder=0, linewidth=0)
            overview.set_title("everything", color=theme.muted)
            detail.set_title("the shaded part, enlarged", color=theme.muted)
            _label_ends(overview, far, narrow)
        _label_ends(detail, near, narrow)
    return figure


@dataclass(frozen=True)
class Curve:
    """An entry's line: tasks seen, mean and standard deviation over seeds (None for one seed), and how it is drawn."""

    name: str
    seen: list[int]
    mean: np.ndarray
    band: np.ndarray | None
    look: Look

    @property
    def end(self) -> float:
        return float(self.mean[-1])

    def label(self, narrow: bool) -> str:
        return percent(self.end) if narrow else f"{percent(self.end)}  {self.name}"


def mean_curves(records: Sequence[Record], theme: Theme) -> list[Curve]:
    """A curve per entry, in order of first appearance."""
    curves = []
    for group, look in zip(group_by_entry(records), style.looks(aggregate(records), theme), strict=True):
        runs = [accuracy_curve(record) for record in group]
        values = np.array([means for _, means in runs])
        # One seed has no spread, which is not a spread of zero.
        band = values.std(axis=0, ddof=1) if len(values) > 1 else None
        curves.append(Curve(group[0]["name"], runs[0][0], values.mean(axis=0), band, look))
    return curves


def _divided(curves: list[Curve]) -> tuple[list[Curve], list[Curve]]:
    """Curves that end near the best, and the others."""
    marks = canvas.is_near_best([curve.end for curve in curves])
    near, far = ([curve for curve, mark in zip(curves, marks, strict=True) if mark is side] for side in (True, False))
    return near, far


def _label_room(figure: Figure, curves: Sequence[Curve], narrow: bool) -> float:
    """Inches that the labels at the right of a panel take, the panel itself left a fair share."""
    return min(5.5, max(canvas.text_width(figure, curve.label(narrow)) for curve in curves) + 0.3)


def _draw_curves(
    axes: Axes, curves: Sequence[Curve], theme: Theme, *, limits: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Draw lines and bands; returns the limits of the accuracy axis."""
    heights: list[float] = []
    for curve in curves:
        heights += [*curve.mean]
        if curve.band is not None:
            low, high = curve.mean - curve.band, curve.mean + curve.band
            heights += [*low, *high]
            axes.fill_between(
                curve.seen, low, high, color=curve.look.colour, alpha=min(0.14, 1 / len(curves)), linewidth=0
            )
        look = curve.look
        (line,) = axes.plot(curve.seen, curve.mean, color=look.colour, linestyle=look.dash, label=curve.name)
        line.set(linewidth=2.2, marker=look.marker, markersize=11 if look.marker == "*" else 5.5)
        line.set(markeredgewidth=0.9, markeredgecolor=theme.background)
    last = max(curve.seen[-1] for curve in curves)
    # Who learns only in the end begins far below; an axis down to there would leave no room for the ends.
    lowest = min(curve.end for curve in curves) - 0.1
    limits = limits or canvas.padded_range([max(height, lowest) for height in heights])
    axes.set_xlim(0.85, last + (0.15 if last > 1 else 0.5))
    axes.set_ylim(*limits)
    canvas.percent_axis(axes, 7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.set_xlabel("tasks seen")
    return limits


def _label_ends(axes: Axes, curves: Sequence[Curve], narrow: bool) -> None:
    """Name and final value at the right, pushed apart, each tied to the end of its line."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    places = canvas.spread_labels([curve.end for curve in curves], 1.12 * canvas.line_height(axes), low, high)
    transform = axes.get_yaxis_transform()
    for curve, place in zip(curves, places, strict=True):
        start = (curve.seen[-1] - left) / (right - left)
        leader = axes.plot([start, 1.0, 1.012], [curve.end, place, place], transform=transform, label="_leader")
        leader[0].set(color=curve.look.colour, linewidth=0.9, clip_on=False)
        axes.text(1.02, place, curve.label(narrow), transform=transform, va="center", fontsize=canvas.LABEL)
