"""Figures of a sweep: accuracy against what it costs, and on the way there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sparcl_ref.report import style
from sparcl_ref.report.figures import canvas
from sparcl_ref.report.style import LIGHT, Theme
from sparcl_ref.result import Result
from sparcl_ref.sweep.results import Found
from sparcl_ref.sweep.statistics import Entry, frontier, seen_so_far

#: What accuracy is drawn against: the axis' label, the measure, and what one unit is.
COSTS: tuple[tuple[str, Callable[[Result], float | None], float], ...] = (
    ("seconds of a run", lambda run: run.wall_seconds, 1.0),
    ("train GFLOPs, exact", lambda run: run.train_flops["exact"], 1e9),
    ("train GFLOPs, as the paper counts", lambda run: run.train_flops["paper"], 1e9),
    ("memory in MB, exact", lambda run: run.memory_bytes["exact"], 1e6),
)


def against_costs(made: Sequence[Entry], *, theme: Theme = LIGHT) -> Figure:
    """Class-IL accuracy against each of `COSTS`: a numbered point per entry, its deviations over seeds, the frontier.

    Entries that another beats in both are grey.

    Raises
    ------
    ValueError
        If no entry has a cost that is known.
    """
    panels = [(label, unit, _points(made, measure)) for label, measure, unit in COSTS]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        raise ValueError("no run has a cost that is known, so there is nothing to draw accuracy against")
    with style.applied(theme):
        lines = -(-len(made) // 2)
        figure = canvas.new_figure(0.9 + 3.4 * -(-len(panels) // 2) + 0.24 * lines)
        below = (0.25 + 0.24 * lines) / figure.get_size_inches()[1]
        grid = figure.add_gridspec(-(-len(panels) // 2), 2, left=0.07, right=0.98, bottom=below + 0.06, top=0.9,
                                   hspace=0.32, wspace=0.18)  # fmt: skip
        under = "Class-IL accuracy after the last task in %; bars: one deviation over seeds; grey: beaten in both"
        canvas.title(figure, "What the accuracy costs", under=under, theme=theme)
        for index, (label, unit, points) in enumerate(panels):
            _panel(figure.add_subplot(grid[index]), label, unit, points, theme)
        for index, entry in enumerate(made):
            column, line = divmod(index, lines)
            at = (0.05 + 0.49 * column, below - 0.24 * (line + 0.4) / figure.get_size_inches()[1])
            figure.text(*at, f"{index + 1}  {entry.label}", color=theme.ink, va="top")
    return figure


def _points(made: Sequence[Entry], measure: Callable[[Result], float | None]) -> list[tuple[int, float, float, float]]:
    """Number from 1, cost, accuracy of each entry of which both are known."""
    found = [(entry.spread(measure).mean, entry.spread(lambda run: run.class_il_accuracy)) for entry in made]
    return [
        (index, cost, good.mean, good.std or 0.0)
        for index, (cost, good) in enumerate(found, start=1)
        if cost and good.mean is not None
    ]


def _panel(axes: Axes, label: str, unit: float, points: Sequence[tuple], theme: Theme) -> None:
    best = frontier([(cost, good) for _, cost, good, _ in points])
    line = sorted((points[index][1] / unit, points[index][2]) for index in best)
    axes.plot(*zip(*line, strict=True), color=theme.accent, linewidth=1, drawstyle="steps-post", label="_frontier")
    for index, (number, cost, good, deviation) in enumerate(points):
        colour = theme.ink if index in best else theme.muted
        axes.errorbar(cost / unit, good, yerr=deviation or None, fmt="o", color=colour, markersize=4, label=str(number))
        axes.annotate(str(number), (cost / unit, good), xytext=(4, 3), textcoords="offset points", color=colour)
    cost_axis(axes, label)


def cost_axis(axes: Axes, label: str) -> None:
    """A logarithmic axis of costs with plain numbers, and accuracies in percent beside it."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if high / low < 12 else (1, 3), numticks=99))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
    canvas.percent_axis(axes, 6)


def on_the_way(made: Sequence[Entry], *, theme: Theme = LIGHT) -> Figure:
    """Accuracy on the classes seen so far against minutes, and exact FLOPs: a point at each task's end.

    Lines are means over seeds, bands one standard deviation.

    Raises
    ------
    ValueError
        If no run's seconds were measured.
    """
    timed = [entry for entry in made if _timed(entry)]
    if not timed:
        raise ValueError("no run has seconds of its tasks, so there is nothing to draw accuracy against")
    with style.applied(theme):
        figure = canvas.new_figure(5.4 + 0.24 * -(-len(timed) // 2))
        under = "Class-IL accuracy on the classes seen so far in %, at each task's end; bands: one deviation over seeds"
        canvas.title(figure, "Accuracy on the way", under=under, theme=theme)
        left, right = figure.subplots(1, 2, sharey=True)
        top = 1 - 1.0 / figure.get_size_inches()[1]
        figure.subplots_adjust(left=0.07, right=0.98, top=top, wspace=0.06,
                               bottom=(0.8 + 0.24 * -(-len(timed) // 2)) / figure.get_size_inches()[1])  # fmt: skip
        colours = (*theme.dense.values(), *theme.spare)
        for axes, key, unit, label in (
            (left, "seconds", 60.0, "minutes"),
            (right, "train_flops", 1e9, "train GFLOPs, exact"),
        ):
            for index, entry in enumerate(timed):
                again, colour = divmod(index, len(colours))
                _curve(axes, entry, key, unit, colours[colour], "--" if again else "-")
            cost_axis(axes, label)
        figure.legend(*left.get_legend_handles_labels(), loc="lower left", ncols=2, frameon=False)
    return figure


def _timed(entry: Entry) -> list[Found]:
    return [run for run in entry.runs.values() if run.result is not None and run.tasks]


def _curve(axes: Axes, entry: Entry, key: str, unit: float, colour: str, dash: str) -> None:
    runs = _timed(entry)
    x = np.mean([[mark[key] / unit for mark in run.tasks] for run in runs], axis=0)
    y = np.array([seen_so_far(run.result) for run in runs if run.result is not None])
    mean, deviation = y.mean(axis=0), y.std(axis=0, ddof=1) if len(y) > 1 else np.zeros(y.shape[1])
    axes.plot(x, mean, dash, color=colour, marker="o", markersize=4, label=entry.label)
    axes.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0)
