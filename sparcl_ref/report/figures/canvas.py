"""The sheet figures are drawn on: made without pyplot, laid out in inches, saved as PNG; and where labels go on it."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import cast

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from sparcl_ref.report import style
from sparcl_ref.report.style import DPI, LIGHT, WIDTH, Theme

#: Size of labels in points, and the height of a line of them in inches.
LABEL = 10.5
LINE = 0.2
#: Inches at the top for the title and the line under it; nothing else reaches into them.
HEAD = 0.72
#: An entry this far (in accuracy) below the best would squeeze the others into a thin band of a shared axis.
FAR = 0.25


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """An empty figure of that many inches, ready to be saved by Agg."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def place_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def line_height(axes: Axes) -> float:
    """Height of a line of labels in units of the vertical axis."""
    low, high = axes.get_ylim()
    return LINE * abs(high - low) * axes.figure.dpi / axes.get_window_extent().height


def percent_axis(axes: Axes, ticks: int) -> None:
    """Write accuracies in percent, at round numbers, with a line across at each."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")


def text_width(figure: Figure | SubFigure, text: str) -> float:
    """Width in inches that a label will have; to be called inside `style.applied`, which decides on the font."""
    renderer = cast(FigureCanvasAgg, figure.canvas).get_renderer()
    width, _, _ = renderer.get_text_width_height_descent(text, FontProperties(size=LABEL), False)
    return float(width / figure.dpi)


def title(figure: Figure, text: str, *, under: str, theme: Theme = LIGHT) -> None:
    """A title, and a line under it that says how to read the figure, at the top left."""
    height = figure.get_size_inches()[1]
    figure.text(0.018, 1 - 0.12 / height, text, va="top", fontsize=14.5, fontweight="bold", color=theme.ink)
    figure.text(0.018, 1 - 0.44 / height, under, va="top", fontsize=11, color=theme.muted)


def png(figure: Figure, *, theme: Theme = LIGHT, dpi: int = DPI, headed: bool = True) -> bytes:
    """The figure as a PNG file; without its title where that is written beside it."""
    buffer = io.BytesIO()
    across, up = figure.get_size_inches()
    part = None if headed else Bbox.from_extents(0, 0, across, up - HEAD)
    with style.applied(theme):
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches=part)
    return buffer.getvalue()


def is_near_best(values: Sequence[float], *, far: float = FAR) -> list[bool]:
    """Which values lie within ``far`` of the best; all of them if that left one alone, or if none is farther away.

    Entries that are not near get an axis of their own.
    """
    near = [value >= max(values) - far for value in values]
    return near if sum(near) > 1 else [True] * len(values)


def padded_range(values: Sequence[float], *, pad: float = 0.06, least: float = 0.02) -> tuple[float, float]:
    """Axis limits around accuracies: room on both sides, at least ``least`` wide, and little room beyond 0 and 1."""
    low, high = min(values), max(values)
    room = max(pad * (high - low), (least - (high - low)) / 2, 0.004)
    return max(low - room, -0.02), min(high + room, 1.02)


def spread_labels(
    positions: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """Positions at least ``gap`` apart, in the same order, as near as possible to the given ones (least squares).

    They stay within ``low`` and ``high`` if there is room for all; else they begin at ``low``. Subtracting ``gap``
    times the rank turns "at least gap apart" into "not decreasing", which is isotonic regression: neighbours out of
    order are pooled into a block at their mean, and bounds only clip its solution.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        mean, count = positions[index] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    high = max(low, high - (len(positions) - 1) * gap)
    levels = [min(max(mean, low), high) for mean, count in blocks for _ in range(count)]
    result = [0.0] * len(positions)
    for rank, (index, level) in enumerate(zip(order, levels, strict=True)):
        result[index] = level + rank * gap
    return result
