"""Figure: accuracy matrices as heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparcl_ref.report import style
from sparcl_ref.report.figures.canvas import HEAD, LABEL, new_figure, place_axes, text_width, title
from sparcl_ref.report.style import LIGHT, WIDTH, Theme, colour_map
from sparcl_ref.report.table import Record, aggregate, group_by_entry, in_families, is_joint


def accuracy_matrices(records: Sequence[Record], *, theme: Theme = LIGHT, width: float = WIDTH) -> Figure:
    """Class-IL accuracy matrices as heat maps side by side: a row per moment, a column per task, mean over seeds.

    The step line parts what had been learned at that moment (below) from what had not (above). There is one axes with
    one image per entry, in the order of the table but joint training last, as many side by side as the width holds; a
    single matrix takes less.
    """
    found, rows = group_by_entry(records), aggregate(records)
    groups = [found[index] for _, indices in in_families(rows) for index in indices]
    # Rows are named at the left, and joint training has others.
    groups.sort(key=lambda group: is_joint(group[0]))
    matrices = [np.mean([record["class_il_matrix"] for record in group], axis=0) for group in groups]
    columns = min(4 if width == WIDTH else 2, len(groups))
    tiers = -(-len(groups) // columns)
    across = min((width - 0.95) / columns, 3.4)
    side = across - 0.22
    cell = max(0.2, min(0.86 * side / max(matrix.shape[1] for matrix in matrices), 0.5))
    tall = [cell * max(map(len, matrices[tier * columns : (tier + 1) * columns])) + 0.75 for tier in range(tiers)]
    with style.applied(theme):
        figure = new_figure(HEAD + 0.15 + sum(tall) + 0.05, width=0.95 + columns * across)
        under = "Class-IL accuracy in %: tasks from left to right, time from top to bottom"
        title(figure, "Who remembers which task", under=under, theme=theme)
        for index, (group, matrix) in enumerate(zip(groups, matrices, strict=True)):
            tier, column = divmod(index, columns)
            top = sum(tall[tier:]) - 0.25
            box = (0.92 + column * across, top - cell * len(matrix), side, cell * len(matrix))
            _draw_matrix(place_axes(figure, *box), matrix, group[0], side, first=column == 0, theme=theme)
    return figure


def _draw_matrix(axes: Axes, matrix: np.ndarray, record: Record, side: float, *, first: bool, theme: Theme) -> None:
    heat = colour_map(theme.heat)
    rows, tasks = matrix.shape
    axes.imshow(matrix, cmap=heat, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    joint = is_joint(record)
    name = record["name"] + (": untrained, trained" if joint and not first else "")
    if text_width(axes.figure, name) > side:
        name = name.replace(" (", "\n(", 1)
    longest = max(text_width(axes.figure, line) for line in name.split("\n"))
    axes.set_title(name, fontsize=LABEL * min(1, side / longest))
    axes.set_xticks(range(tasks), [str(task + 1) for task in range(tasks)])
    names = ["untrained", *(["trained"] if joint else [f"after {task}" for task in range(1, rows)])]
    axes.set_yticks(range(rows), names if first else [""] * rows)
    axes.tick_params(length=0, labelsize=9.5)
    axes.spines[:].set_visible(False)
    if not joint:
        # Row t has learned tasks 1..t: a stair from the top left, one column further per row.
        x = [edge - 0.5 for task in range(tasks + 1) for edge in (task, task)][1:]
        y = [edge + 0.5 for task in range(tasks + 1) for edge in (task, task)][:-1]
        axes.plot(x, y, color=theme.ink, linewidth=1.3, label="_stair", clip_on=False)
        axes.set_xlim(-0.5, tasks - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
    if side / tasks < 0.23:
        return
    size = 9.5 if side / tasks > 0.3 else 8
    for (row, task), value in np.ndenumerate(matrix):
        colour = style.text_on(style.blend(theme.heat, float(value)))
        axes.text(task, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=size, color=colour)
