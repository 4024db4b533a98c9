"""The sheet figures are drawn on: made without pyplot, laid out in inches, saved as PNG."""

from __future__ import annotations

import io
from typing import Any, cast

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


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """An empty figure of that many inches, ready to be saved by Agg."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def place_axes(figure: Figure, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
    """Axes at a place given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), **options)


def height_of(axes: Axes) -> float:
    """Height of axes in inches."""
    return axes.get_window_extent().height / axes.figure.dpi


def without_frame(axes: Axes) -> None:
    """Take away the lines around axes."""
    axes.spines[:].set_visible(False)


def percent_axis(axes: Axes, ticks: int) -> None:
    """Write accuracies in percent, at round numbers, with a line across at each."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")


def text_width(figure: Figure | SubFigure, text: str, *, size: float = LABEL) -> float:
    """Width in inches that a text will have; to be called inside `style.applied`, which decides on the font."""
    renderer = cast(FigureCanvasAgg, figure.canvas).get_renderer()
    width, _, _ = renderer.get_text_width_height_descent(text, FontProperties(size=size), False)
    return float(width / figure.dpi)


def title(figure: Figure, text: str, *, under: str = "", theme: Theme = LIGHT) -> None:
    """A title, and a line under it that says how to read the figure, at the top left."""
    height = figure.get_size_inches()[1]
    figure.text(0.018, 1 - 0.12 / height, text, va="top", fontsize=14.5, fontweight="bold", color=theme.ink)
    if under:
        figure.text(0.018, 1 - 0.44 / height, under, va="top", fontsize=11, color=theme.muted)


def png(figure: Figure, *, theme: Theme = LIGHT, dpi: int = DPI, headed: bool = True) -> bytes:
    """The figure as a PNG file; without its title where that is written beside it."""
    buffer = io.BytesIO()
    across, up = figure.get_size_inches()
    part = None if headed else Bbox.from_extents(0, 0, across, up - HEAD)
    with style.applied(theme):
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches=part)
    return buffer.getvalue()
