"""Figure: how the mask of a layer moved while the tasks came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sparcl_ref.report import mask_history, style
from sparcl_ref.report.figures.canvas import line_height, new_figure, place_axes, spread_labels, title
from sparcl_ref.report.style import LIGHT, WIDTH, Theme

#: Weights shown; more would be thinner than a pixel at the width of a web page.
SHOWN = 340
LEFT, RIGHT = 0.75, 1.75


def mask_over_time(mask: Mapping[str, Any], *, name: str = "", theme: Theme = LIGHT, width: float = WIDTH) -> Figure:
    """Which weights lived when, where the living came from, and how fast the mask turned over.

    The raster has a row per weight and a column per epoch. Of the weights that ever lived it shows an even sample, in
    layers by the task in which they first joined, the longest-lived of each on top; a living weight has the colour of
    the task in which it last joined. Underneath: the fraction of the initial mask still alive, and the weights that
    joined and left per epoch as a fraction of the living.

    ``mask`` has "layer": parameter name; "shape": its shape; "labels": (task, epoch) of each snapshot, the first
    (0, 0); "alive": bool array, shape (snapshots, weights). ``name`` is that of the entry, for the title.
    """
    alive = np.asarray(mask["alive"], dtype=bool)
    tasks = [int(task) for task, _ in mask["labels"]]
    with style.applied(theme):
        figure = new_figure(7.4, width=width)
        boxes = [(2.72, 3.75), (1.62, 0.85), (0.55, 0.8)]
        panels = [place_axes(figure, LEFT, bottom, width - LEFT - RIGHT, height) for bottom, height in boxes]
        raster, survival, flow = panels
        shown, ever = _draw_raster(raster, alive, tasks, theme)
        _draw_survival(survival, alive, theme)
        _draw_turnover(flow, alive, theme)
        for axes in panels:
            axes.set_xlim(-0.5, len(alive) - 0.5)
            _mark_tasks(axes, tasks, theme, named=axes is raster, numbered=axes is flow)
        under = f"{mask['layer']} ({'x'.join(map(str, mask['shape']))}): {shown:,} of the {ever:,} weights that ever "
        under += "lived, one per line, coloured while alive"
        title(figure, f"The mask on the move{': ' if name else ''}{name}", under=under, theme=theme)
    return figure


def _draw_raster(axes: Axes, alive: np.ndarray, tasks: Sequence[int], theme: Theme) -> tuple[int, int]:
    """Draw the raster; returns how many weights it shows, and how many ever lived."""
    order = mask_history.life_order(alive, tasks)
    chosen = mask_history.even_sample(order, SHOWN)
    growth = sorted(set(tasks) - {tasks[0]})
    colours = [theme.surface, theme.bedrock, *style.shades(theme.strata, len(growth))]
    # Codes: 0 dead, 1 since the start, 2, 3, ... by task.
    code = {-1: 0, tasks[0]: 1, **{task: 2 + rank for rank, task in enumerate(growth)}}
    origin = np.stack(list(mask_history.joined_in_task(alive[:, chosen], tasks)), axis=1)
    image = np.vectorize(code.__getitem__, otypes=[np.int16])(origin) if len(chosen) else np.zeros((1, len(tasks)))
    shown = axes.imshow(image, cmap=ListedColormap(colours), aspect="auto", interpolation="nearest")
    shown.set_clim(-0.5, len(colours) - 0.5)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    names = {tasks[0]: "since the start", **{task: f"since task {task}" for task in growth}}
    entries = []
    for task, share in mask_history.final_origins(alive, tasks).items():
        rows = np.flatnonzero(image[:, -1] == code[task])
        if len(rows):
            # The middle one is a row of that very colour, which the mean need not be.
            entries.append((int(rows[len(rows) // 2]), f"{100 * share:.0f} %  {names[task]}", colours[code[task]]))
    _label_strata(axes, entries, len(image), theme)
    return len(chosen), len(order)


def _label_strata(axes: Axes, entries: list[tuple[int, str, str]], rows: int, theme: Theme) -> None:
    """Beside the last column: since when those alive at the end have lived, and what share of them each layer has."""
    transform = axes.get_yaxis_transform()
    places = spread_labels([row for row, _, _ in entries], 1.1 * line_height(axes))
    for (row, text, colour), place in zip(entries, places, strict=True):
        axes.plot([1.0, 1.02], [row, place], color=colour, linewidth=1.2, transform=transform, clip_on=False)
        _note(axes, place, text)
    axes.text(1.026, 1.012, "alive at the end:", transform=axes.transAxes, fontsize=9.5, color=theme.muted)
    axes.set_ylim(rows - 0.5, -0.5)


def _draw_survival(axes: Axes, alive: np.ndarray, theme: Theme) -> None:
    survival = mask_history.initial_survival(alive)
    x = range(len(survival))
    axes.plot(x, survival, color=theme.bedrock, linewidth=2.2, label="initial mask still alive")
    axes.fill_between(x, survival, color=theme.bedrock, alpha=0.13, linewidth=0)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_xticks([])
    _note(axes, float(survival[-1]), f"{100 * survival[-1]:.0f} % of the initial\nmask alive at the end")


def _draw_turnover(axes: Axes, alive: np.ndarray, theme: Theme) -> None:
    joined, left = mask_history.turnover(alive)
    x = np.arange(len(alive))
    axes.bar(x, joined, width=0.8, color=style.blend(theme.strata, 0.5), label="joined")
    axes.bar(x, -left, width=0.8, color=theme.muted, label="left")
    most = max(float(joined.max()), float(left.max()), 1e-9)
    axes.set_ylim(-1.15 * most, 1.15 * most)
    axes.axhline(0, color=theme.muted, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(100 * value):.3g} %"))
    _note(axes, 0.55 * most, "joined since the\nepoch before")
    _note(axes, -0.55 * most, "left (as a share\nof the living)")


def _note(axes: Axes, height: float, text: str) -> None:
    """A remark at the right, at a height in the units of the axis."""
    axes.text(1.026, height, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5)


def _mark_tasks(axes: Axes, tasks: Sequence[int], theme: Theme, *, named: bool, numbered: bool) -> None:
    """A line where a task begins, its number above, and its epochs counted below."""
    room = axes.get_window_extent().width / axes.figure.dpi
    starts = [index for index in range(1, len(tasks)) if tasks[index] != tasks[index - 1]]
    ends = [*starts[1:], len(tasks)]
    for start, end in zip(starts, ends, strict=True):
        axes.axvline(start - 0.5, color=theme.ink, linewidth=0.9, alpha=0.75)
        if named:
            middle = (start + end - 1) / 2
            text = f"task {tasks[start]}" if room / len(starts) > 0.7 else str(tasks[start])
            above = axes.get_xaxis_transform()
            axes.text(middle, 1.012, text, transform=above, ha="center", fontsize=10, color=theme.muted)
    if numbered:
        axes.set_xticks([end - 1 for end in ends], [str(end - 1) for end in ends])
        axes.set_xlabel("epochs trained")
