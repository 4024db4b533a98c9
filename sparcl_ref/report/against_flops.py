"""Figure: final accuracy against what training cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from sparcl_ref.report import numbers, style
from sparcl_ref.report.canvas import LABEL, LINE, new_figure, place_axes, text_width, title
from sparcl_ref.report.layout import Box, is_near_best, padded_range, place_labels
from sparcl_ref.report.style import LIGHT, WIDTH, Look, Theme
from sparcl_ref.report.table import Record, Row, aggregate


def accuracy_against_flops(records: Sequence[Record], *, convention: str = "exact", theme: Theme = LIGHT) -> Figure:
    """Final Class-IL accuracy against train FLOPs on a logarithmic axis: a point per entry.

    Bars are one standard deviation over seeds. A thin line joins a dense method and SparCL over it, dense to sparse.
    Entries far below the best stand in a strip of their own under a break in the axis. Entries without train FLOPs are
    left out.

    Parameters
    ----------
    records : sequence of dict
    convention : {"exact", "paper"}
    theme : Theme

    Returns
    -------
    Figure
        Points carry the entry's name as their matplotlib label.
    """
    every = aggregate(records)
    drawn = style.looks(every, theme)
    kept = [index for index, row in enumerate(every) if row.train_flops[convention].mean]
    rows, drawn = [every[index] for index in kept], [drawn[index] for index in kept]
    with style.applied(theme):
        figure = new_figure(5.6)
        title(
            figure,
            "What the accuracy costs",
            under="Class-IL accuracy after the last task in %; further left is cheaper, higher is better",
            theme=theme,
        )
        if not rows:
            figure.text(0.5, 0.45, "no train FLOPs were recorded", ha="center", color=theme.muted)
            return figure
        x = [row.train_flops[convention].mean for row in rows]
        near = is_near_best([row.class_il_accuracy.mean for row in rows])
        limits = (min(x) / 1.6, max(x) * 1.6)
        strips = _strips(figure, near)
        for axes, chosen in strips:
            _draw_points(axes, [rows[i] for i in chosen], [drawn[i] for i in chosen], convention, limits, theme)
        _finish_cost_axes([axes for axes, _ in strips], convention)
    return figure


def _strips(figure: Figure, near: list[bool]) -> list[tuple[Axes, list[int]]]:
    """Axes, top first, and the entries each of them shows."""
    high = [index for index, keep in enumerate(near) if keep]
    low = [index for index, keep in enumerate(near) if not keep]
    if not low:
        return [(place_axes(figure, 0.6, 0.7, WIDTH - 0.85, 3.95), high)]
    top = place_axes(figure, 0.6, 1.85, WIDTH - 0.85, 2.85)
    return [(top, high), (place_axes(figure, 0.6, 0.7, WIDTH - 0.85, 0.85), low)]


def _draw_points(axes: Axes, rows: list[Row], drawn: list[Look], convention: str, limits, theme: Theme) -> None:
    x = [row.train_flops[convention].mean for row in rows]
    y = [row.class_il_accuracy.mean for row in rows]
    bars = [row.class_il_accuracy.std or 0.0 for row in rows]
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(*padded_range([*np.subtract(y, bars), *np.add(y, bars)], pad=0.14, least=0.06))
    for chain in sparsity_chains(rows):
        axes.plot(
            [x[i] for i in chain],
            [y[i] for i in chain],
            color=theme.muted,
            linewidth=1,
            alpha=0.6,
            zorder=1,
            label="_chain",
        )
    for row, look, flops, accuracy, bar in zip(rows, drawn, x, y, bars, strict=True):
        if bar:
            ends = [accuracy - bar, accuracy + bar]
            axes.plot([flops, flops], ends, color=look.colour, linewidth=1.4, zorder=2, label="_bar")
        hollow = look.dash != "-"
        axes.plot(
            flops,
            accuracy,
            look.marker,
            color=look.colour,
            markersize=14 if look.marker == "*" else 10,
            markerfacecolor=theme.background if hollow else look.colour,
            markeredgewidth=2.2 if hollow else 0,
            zorder=3,
            label=row.name,
        )
    labels = [f"{row.name}  {numbers.percent(row.class_il_accuracy.mean)}" for row in rows]
    _label_points(axes, list(zip(x, y, strict=True)), labels, theme)


def sparsity_chains(rows: Sequence[Row]) -> list[list[int]]:
    """Indices of a dense entry and the SparCL entries over the same method, dense to sparse, for each such method.

    The dense entry is the one with the head that the sparse ones have, if there is a choice. Methods with two SparCL
    entries of one sparsity have no single path and are left out.
    """
    chains = []
    for method in dict.fromkeys(row.method for row in rows if row.sparse):
        sparse = sorted(
            (i for i, r in enumerate(rows) if r.method == method and r.sparse), key=lambda i: rows[i].sparsity
        )
        if len({rows[i].sparsity for i in sparse}) < len(sparse):
            continue
        dense = [i for i, row in enumerate(rows) if row.method == method and not row.sparse]
        dense.sort(key=lambda i: rows[i].head != rows[sparse[0]].head)
        chains.append([*dense[:1], *sparse])
    return chains


def _label_points(axes: Axes, points: list[tuple[float, float]], labels: list[str], theme: Theme) -> None:
    inch = axes.figure.dpi
    border = axes.get_window_extent()
    bounds = Box(border.x0, border.y0 - 0.05 * inch, border.x1 + 0.15 * inch, border.y1 + 0.1 * inch)
    sizes = [(text_width(axes.figure, label) * inch, LINE * inch) for label in labels]
    pixels = [(float(x), float(y)) for x, y in axes.transData.transform(points)]
    boxes = place_labels(pixels, sizes, bounds, radius=0.1 * inch, keep_clear=_drawn_lines(axes, 0.06 * inch))
    halo = [withStroke(linewidth=3.5, foreground=theme.background)]
    for label, box, pixel in zip(labels, boxes, pixels, strict=True):
        x, y = axes.transAxes.inverted().transform((box.left, (box.bottom + box.top) / 2))
        axes.text(
            x,
            y,
            label,
            transform=axes.transAxes,
            va="center",
            fontsize=LABEL,
            color=theme.ink,
            zorder=5,
            path_effects=halo,
        )
        if box.distance(*pixel) > 0.16 * inch:
            ends = axes.transAxes.inverted().transform([pixel, box.nearest(*pixel)])
            axes.plot(
                *ends.T,
                transform=axes.transAxes,
                color=theme.ink,
                linewidth=0.7,
                zorder=4,
                label="_leader",
                clip_on=False,
            )


def _drawn_lines(axes: Axes, radius: float) -> list[Box]:
    """Small boxes along chains and bars, for labels to avoid."""
    boxes = []
    for line in axes.lines:
        if line.get_label() not in ("_chain", "_bar"):
            continue
        corners = axes.transData.transform(line.get_xydata())
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            steps = max(2, int(math.hypot(x1 - x0, y1 - y0) / (3 * radius)))
            for t in np.linspace(0, 1, steps):
                x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
                boxes.append(Box(x - radius, y - radius, x + radius, y + radius))
    return boxes


def _finish_cost_axes(strips: list[Axes], convention: str) -> None:
    for axes in strips:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
        axes.yaxis.set_major_locator(MaxNLocator(5 if axes is strips[0] else 2, steps=[1, 2, 5, 10]))
        axes.grid(axis="y")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        low, high = axes.get_xlim()
        # Up to two decades there is room for 1, 2 and 5 of each.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if math.log10(high / low) < 2.5 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.quantity(value, "FLOPs", digits=1)))
    strips[-1].set_xlabel(f"train FLOPs of the whole run, {convention} count, logarithmic")
    for axes in strips[:-1]:
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
    if len(strips) == 2:
        # Two strokes on either side of the gap: the axis is broken here.
        stroke = {"marker": [(-1, -0.6), (1, 0.6)], "markersize": 10, "linestyle": "", "color": "0.5", "clip_on": False}
        strips[0].plot([0], [0], transform=strips[0].transAxes, label="_break", **stroke)
        strips[1].plot([0], [1], transform=strips[1].transAxes, label="_break", **stroke)
