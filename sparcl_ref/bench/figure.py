"""The figure of the scaling part: a column of panels per axis, ratio to PyTorch above, useful GFLOP/s below."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sparcl_ref.report import style
from sparcl_ref.report.figures import canvas
from sparcl_ref.report.style import LIGHT, Theme

TITLES = {"density": "density of weights", "width": "width", "batch": "batch size", "threads": "threads"}
#: Axes on which points are evenly spaced if each is a multiple of the one before.
LOGARITHMIC = ("density", "width", "batch")
#: In inches: margins left, below and above the panels, gaps between them, height of a panel, and of the figure.
LEFT, BELOW, GAP_X, GAP_Y, PANEL, HEIGHT = 0.72, 0.62, 0.42, 0.5, 1.9, 5.9


def scaling_figure(record: dict[str, list[dict[str, Any]]], *, under: str, theme: Theme = LIGHT) -> Figure:
    """Draw what `sparcl_ref.bench.scaling.measure` found; ``under`` the title stands what was measured, and where."""
    with style.applied(theme):
        figure = canvas.new_figure(HEIGHT)
        canvas.title(figure, "A SparCL-DER++ step against dense PyTorch", under=under, theme=theme)
        wide = (style.WIDTH - LEFT - 0.25 - GAP_X * (len(record) - 1)) / len(record)
        top = max(1.0, *(row["times_faster"] for points in record.values() for row in _ours(points)))
        speed = max(row["useful_gflops_per_second"] for points in record.values() for row in _ours(points))
        for column, (axis, points) in enumerate(record.items()):
            left = LEFT + column * (wide + GAP_X)
            upper = canvas.place_axes(figure, left, BELOW + PANEL + GAP_Y, wide, PANEL)
            lower = canvas.place_axes(figure, left, BELOW, wide, PANEL)
            _ratios(upper, axis, points, top, theme)
            values, rows = [point["value"] for point in points], _ours(points)
            _line(lower, axis, values, [row["useful_gflops_per_second"] for row in rows], theme)
            lower.set_ylim(0, 1.2 * speed)
            lower.set_xlabel(TITLES[axis])
            if column == 0:
                upper.set_title("times faster than the better of PyTorch's memory formats")
                lower.set_title("useful GFLOP/s")
    return figure


def _ours(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [point["contenders"][-1] for point in points]


def _ratios(axes: Axes, axis: str, points: list[dict[str, Any]], top: float, theme: Theme) -> None:
    """Medians as a line; the bars reach from the slowest of our rounds to the fastest."""
    rows, values = _ours(points), [point["value"] for point in points]
    ratios = [row["times_faster"] for row in rows]
    best = [row["times_faster"] * row["median_seconds"] for row in rows]
    slow = [seconds / row["max_seconds"] for seconds, row in zip(best, rows, strict=True)]
    fast = [seconds / row["min_seconds"] for seconds, row in zip(best, rows, strict=True)]
    axes.axhline(1, color=theme.dense["derpp"], linewidth=1.2)
    axes.vlines(values, slow, fast, color=theme.warm[1], alpha=0.35, linewidth=4)
    _line(axes, axis, values, ratios, theme)
    for value, ratio in zip(values, ratios, strict=True):
        axes.annotate(
            f"{ratio:.1f}", (value, ratio), (0, 7), textcoords="offset points", ha="center", va="bottom",
            fontsize=9.5, color=theme.ink,
        )  # fmt: skip
    if axis == "density":
        axes.annotate(
            "PyTorch", (values[0], 1), (0, -3), textcoords="offset points", va="top", fontsize=9.5,
            color=theme.dense["derpp"],
        )  # fmt: skip
    axes.set_ylim(0, 1.2 * top)


def _line(axes: Axes, axis: str, values: list[float], heights: list[float], theme: Theme) -> None:
    axes.plot(values, heights, color=theme.warm[1], marker="o", markersize=5, linewidth=1.8)
    if axis in LOGARITHMIC:
        axes.set_xscale("log", base=2)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values, [f"{value:g}".removeprefix("0") for value in values])
    axes.margins(x=0.12)
    axes.grid(axis="y")
