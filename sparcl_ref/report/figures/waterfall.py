"""Figure: from plain training to a run's cost, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparcl_ref.report import numbers, style
from sparcl_ref.report.figures.canvas import HEAD, LABEL, new_figure, place_axes, title
from sparcl_ref.report.style import LIGHT, WIDTH, Theme

#: What stands under the bars, where it is more than the part's name.
CAPTIONS = {
    "new data": "new\ndata",
    "TDM": "sparse\nweights\n(TDM)",
    "static mask": "sparse\nweights\n(static)",
    "DDR": "fewer\nsamples\n(DDR)",
    "DGM": "fewer\ngradients\n(DGM)",
}


def cost_waterfall(
    savings: Mapping[str, Sequence[Mapping[str, Any]]], *, name: str = "", theme: Theme = LIGHT, width: float = WIDTH
) -> Figure:
    """Train FLOPs of the run ``name`` as a waterfall, a panel for each convention.

    ``savings`` has "exact" and "paper", each the parts in order with ``name``, ``change_flops`` and ``total_flops``.
    """
    with style.applied(theme):
        stacked = width < WIDTH
        figure = new_figure(HEAD + 0.43 + 4.05 * (1 + stacked), width=width)
        under = "train FLOPs: what each part adds or saves, given those to its left, and what is left in the end"
        title(figure, f"Where the savings come from{f': {name}' if name else ''}", under=under, theme=theme)
        across = width - 0.6 if stacked else (width - 1.2) / 2
        for position, convention in enumerate(("exact", "paper")):
            left, bottom = (0.3, 0.95 + 4.05 * (1 - position)) if stacked else (0.45 + position * (across + 0.35), 0.95)
            axes = place_axes(figure, left, bottom, across, 3.1)
            levels = [part["total_flops"] for part in savings[convention]]
            (divisor, prefix), top, end = numbers.prefix_for(levels), max(levels), levels[-1]
            _draw(axes, savings[convention], divisor, 8.5 if stacked else LABEL, theme)
            fewer = f": {numbers.ratio(top / end)} times fewer in the end" if 0 < end < top else ""
            axes.set_title(f"{convention}, {prefix}FLOPs{fewer}", color=theme.muted)
    return figure


def _draw(axes: Axes, parts: Sequence[Mapping[str, Any]], divisor: float, size: float, theme: Theme) -> None:
    top = max(part["total_flops"] for part in parts)

    def bar(place: int, low: float, high: float, sign: str, colour: str) -> None:
        axes.bar(place, high - low, bottom=low, width=0.62, color=colour)
        label = sign + numbers.significant((high - low) / divisor)
        axes.text(place, high + 0.02 * top, label, ha="center", fontsize=size)

    for place, part in enumerate(parts):
        change, total = part["change_flops"], part["total_flops"]
        sign = "" if place == 0 else "+" if change >= 0 else "\N{MINUS SIGN}"
        colour = theme.warm[1] if change < 0 else theme.dense["derpp"]
        bar(place, min(total, total - change), max(total, total - change), sign, colour)
        # The level on which the next bar stands.
        axes.plot([place - 0.31, place + 1.31], [total, total], color=theme.muted, linewidth=0.8)
    bar(len(parts), 0, parts[-1]["total_flops"], "", theme.ink)
    captions = [CAPTIONS.get(part["name"], part["name"]) for part in parts] + ["the run"]
    axes.set_xticks(range(len(captions)), captions)
    axes.set_ylim(0, 1.13 * top or 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=0, labelsize=size)
