"""Figure: final accuracy against what training cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import Affine2DBase, ScaledTranslation

from sparcl_ref.report import numbers, style
from sparcl_ref.report.figures import canvas
from sparcl_ref.report.figures.canvas import HEAD, LABEL, LINE
from sparcl_ref.report.figures.labels import NEAR, place_labels
from sparcl_ref.report.style import LIGHT, WIDTH, Look, Theme
from sparcl_ref.report.table import Record, Row, aggregate


def accuracy_against_flops(
    records: Sequence[Record], *, convention: str = "exact", theme: Theme = LIGHT, width: float = WIDTH
) -> Figure:
    """Final Class-IL accuracy against train FLOPs on a logarithmic axis: a point per entry.

    Bars are one standard deviation over seeds. A thin line joins a dense method and SparCL over it, dense to sparse.
    Entries far below the best stand in a strip of their own under a break in the axis. Entries whose train FLOPs are
    unknown are left out.

    Points carry the entry's name as their matplotlib label; the narrow drawing shows no names.

    Raises
    ------
    ValueError
        If no entry's train FLOPs are known.
    """
    rows = aggregate(records)
    pairs = zip(rows, style.looks(rows, theme), strict=True)
    points = [_Point(row, look, flops) for row, look in pairs if (flops := row.train_flops[convention].mean)]
    if not points:
        raise ValueError("no entry's train FLOPs are known, so there is nothing to draw accuracy against")
    near = canvas.is_near_best([point.row.accuracy for point in points])
    strips = [[point for point, keep in zip(points, near, strict=True) if keep is high] for high in (True, False)]
    # A level for each label.
    tall = max(2.85, LINE * 1.1 * len(strips[0]))
    low = max(0.85, LINE * 1.5 * len(strips[1])) if strips[1] else 0
    with style.applied(theme):
        figure = canvas.new_figure(HEAD + 0.2 + tall + 0.3 + low + 0.7, width=width)
        under = "Class-IL accuracy after the last task in %; further left is cheaper, higher is better"
        canvas.title(figure, "What the accuracy costs", under=under, theme=theme)
        axes = [canvas.place_axes(figure, 0.6, 0.7 + (low + 0.3 if low else 0), width - 0.85, tall)]
        if low:
            axes.append(canvas.place_axes(figure, 0.6, 0.7, width - 0.85, low))
        costs = [point.flops for point in points]
        for each, chosen in zip(axes, strips, strict=False):
            each.set_xscale("log")
            each.set_xlim(min(costs) / 1.6, max(costs) * 1.6)
            _draw_points(each, chosen, theme)
            _label_points(each, chosen, width < WIDTH, theme)
        _finish_cost_axes(axes, convention, width < WIDTH)
    return figure


class _Point(NamedTuple):
    """An entry, how it is drawn, and its train FLOPs."""

    row: Row
    look: Look
    flops: float


def _draw_points(axes: Axes, points: list[_Point], theme: Theme) -> None:
    y = [point.row.accuracy for point in points]
    bars = [point.row.class_il_accuracy.std or 0.0 for point in points]
    axes.set_ylim(*canvas.padded_range([*np.subtract(y, bars), *np.add(y, bars)], pad=0.14, least=0.06))
    for chain in sparsity_chains([point.row for point in points]):
        x = [points[i].flops for i in chain]
        axes.plot(x, [y[i] for i in chain], color=theme.muted, linewidth=1, alpha=0.6, zorder=1, label="_chain")
    for (row, look, flops), accuracy, bar in zip(points, y, bars, strict=True):
        if bar:
            ends = [accuracy - bar, accuracy + bar]
            axes.plot([flops, flops], ends, color=look.colour, linewidth=1.4, zorder=2, label="_bar")
        mark = axes.plot(flops, accuracy, look.marker, color=look.colour, zorder=3, label=row.name)[0]
        mark.set(markersize=14 if look.marker == "*" else 10, markeredgewidth=0)
        if look.dash != "-":
            mark.set(markerfacecolor=theme.background, markeredgewidth=2.2)


def sparsity_chains(rows: Sequence[Row]) -> list[list[int]]:
    """Indices of a dense entry and the SparCL entries over the same method, dense to sparse, for each such method.

    The dense entry is the one with the head that the sparse ones have, if there is a choice. Methods with two SparCL
    entries of one sparsity have no single path and are left out.
    """
    chains = []
    for method in dict.fromkeys(row.method for row in rows if row.sparse):
        alike = [i for i, row in enumerate(rows) if row.method == method]
        sparse = sorted((i for i in alike if rows[i].sparse), key=lambda i: rows[i].sparsity or 0)
        if len({rows[i].sparsity for i in sparse}) == len(sparse):
            dense = [i for i in alike if not rows[i].sparse]
            dense.sort(key=lambda i: rows[i].head != rows[sparse[0]].head)
            chains.append([*dense[:1], *sparse])
    return chains


def _label_points(axes: Axes, points: list[_Point], narrow: bool, theme: Theme) -> None:
    """A label for each point: beside it, or as near to it as there is room; tied to it where it is farther away."""
    figure, corner, border = axes.figure, axes.get_position(), axes.get_window_extent()
    inches = figure.dpi_scale_trans + ScaledTranslation(corner.x0, corner.y0, cast(Affine2DBase, figure.transFigure))
    sheet = (border.width / figure.dpi, border.height / figure.dpi)
    data = [(point.flops, point.row.accuracy) for point in points]
    places = [(float(x), float(y)) for x, y in (axes.transData - inches).transform(data)]
    labels = [numbers.percent(row.accuracy) if narrow else f"{row.name}  {numbers.percent(row.accuracy)}"
              for row, _, _ in points]  # fmt: skip
    widths = [canvas.text_width(figure, label) for label in labels]
    halo = [withStroke(linewidth=3.5, foreground=theme.background)]
    found = place_labels(places, widths, sheet)
    for (_, look, _), label, (x, y), (start, level, side) in zip(points, labels, places, found, strict=True):
        if abs(y - level) > 0.12 or abs(start - x) > NEAR + 0.05:
            leader = axes.plot([x, start - side * 0.05], [y, level], transform=inches, label="_leader")
            leader[0].set(color=look.colour, linewidth=0.9, zorder=4)
        text = axes.text(start, level, label, transform=inches, va="center", fontsize=LABEL)
        text.set(ha="left" if side > 0 else "right", zorder=5, path_effects=halo)


def _finish_cost_axes(strips: list[Axes], convention: str, narrow: bool) -> None:
    for axes in strips:
        canvas.percent_axis(axes, 5 if axes is strips[0] else 2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        low, high = axes.get_xlim()
        # Up to two decades there is room for 1, 2 and 5 of each, or for 1 and 3 of fewer on half the width.
        few, decades = ((1, 3), 1.6) if narrow else ((1, 2, 5), 2.5)
        axes.xaxis.set_major_locator(LogLocator(subs=few if math.log10(high / low) < decades else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.quantity(value, "FLOPs", digits=1)))
    strips[-1].set_xlabel(f"train FLOPs, {convention} count, logarithmic")
    for axes in strips[:-1]:
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
    if len(strips) == 2:
        # Two strokes on either side of the gap: the axis is broken here.
        for height, axes in enumerate(strips):
            stroke = axes.plot([0], [height], transform=axes.transAxes, label="_break", linestyle="", clip_on=False)
            stroke[0].set(marker=[(-1, -0.6), (1, 0.6)], markersize=10, color="0.5")
