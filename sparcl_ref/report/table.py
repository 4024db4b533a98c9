"""The table of a run: records gathered over seeds into rows, and rows as aligned text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import DASH, Spread, spread

Record = dict[str, Any]
CONVENTIONS = ("paper", "exact")


@dataclass(frozen=True)
class Row:
    """What the runs of one entry, alike but for their seeds, have in common, and their measurements over seeds.

    Attributes
    ----------
    name, method, head : str
    sparsity : float or None
        As asked for; None for a dense method.
    seeds : tuple of int
    class_il_accuracy, task_il_accuracy, forgetting, backward_transfer, forward_transfer, learning_accuracy : Spread
        Fractions.
    train_flops, memory_bytes : dict of str to Spread
        By convention, "paper" and "exact".
    steps, wall_seconds : Spread
    """

    name: str
    method: str
    sparsity: float | None
    head: str
    seeds: tuple[int, ...]
    class_il_accuracy: Spread
    task_il_accuracy: Spread
    forgetting: Spread
    backward_transfer: Spread
    forward_transfer: Spread
    learning_accuracy: Spread
    train_flops: dict[str, Spread]
    memory_bytes: dict[str, Spread]
    steps: Spread
    wall_seconds: Spread

    @property
    def sparse(self) -> bool:
        """Whether SparCL was on."""
        return self.sparsity is not None


def group_by_entry(records: Sequence[Record]) -> list[list[Record]]:
    """Records that differ in nothing but their seed, together; groups in order of first appearance."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        settings = {key: value for key, value in record.get("config", {}).items() if key != "seed"}
        identity = [record["name"], record["method"], record["sparsity"], record["head"], settings]
        groups.setdefault(json.dumps(identity, sort_keys=True), []).append(record)
    return list(groups.values())


def is_joint(record: Record) -> bool:
    """Whether a record has one row for all tasks: trained on all at once."""
    matrix = record["class_il_matrix"]
    return len(matrix) == 2 and len(matrix[0]) > 1


def aggregate(records: Sequence[Record]) -> list[Row]:
    """One row per compared entry: mean and standard deviation (ddof = 1) over its seeds.

    Parameters
    ----------
    records : sequence of dict
        As in ``methods`` of summary.json. A measurement that is None counts as undefined, not as 0.

    Returns
    -------
    list of Row
        In order of first appearance.
    """
    return [_row(group) for group in group_by_entry(records)]


def _row(group: list[Record]) -> Row:
    def over_seeds(key: str) -> Spread:
        return spread(record[key] for record in group)

    def by_convention(key: str) -> dict[str, Spread]:
        return {name: spread(record[key][name] for record in group) for name in CONVENTIONS}

    first = group[0]
    return Row(
        name=first["name"],
        method=first["method"],
        sparsity=first["sparsity"],
        head=first["head"],
        seeds=tuple(record["seed"] for record in group),
        class_il_accuracy=over_seeds("class_il_accuracy"),
        task_il_accuracy=over_seeds("task_il_accuracy"),
        forgetting=over_seeds("forgetting"),
        backward_transfer=over_seeds("backward_transfer"),
        forward_transfer=over_seeds("forward_transfer"),
        learning_accuracy=over_seeds("learning_accuracy"),
        train_flops=by_convention("train_flops"),
        memory_bytes=by_convention("memory_bytes"),
        steps=over_seeds("steps"),
        wall_seconds=over_seeds("wall_seconds"),
    )


def cost_reference(rows: Sequence[Row]) -> Row | None:
    """The entry that "times fewer" refers to: dense DER++, the one with the full head if there are several."""
    dense = [row for row in rows if row.method == "derpp" and not row.sparse]
    return min(dense, key=lambda row: row.head != "full", default=None)


def times_fewer(row: Row, reference: Row | None, convention: str) -> float | None:
    """How many times fewer train FLOPs a row took than the reference; below 1 it took more. None if undefined."""
    if reference is None:
        return None
    own, other = row.train_flops[convention].mean, reference.train_flops[convention].mean
    return other / own if own and other else None


@dataclass(frozen=True)
class Column:
    """A column of the printed table: a heading in two lines, its cells, and the side they are aligned to."""

    heading: tuple[str, str]
    cells: tuple[str, ...]
    align: str = ">"

    @property
    def width(self) -> int:
        return max(map(len, (*self.heading, *self.cells)))

    def lines(self) -> list[str]:
        """Heading, rule and cells, all of one width."""
        texts = (*self.heading, "-" * self.width, *self.cells)
        return [f"{text:{self.align}{self.width}}" for text in texts]


def format_table(rows: Sequence[Row], *, width: int = 110) -> str:
    """Rows as aligned text for a terminal, with a caption that says what the columns mean.

    Parameters
    ----------
    rows : sequence of Row
    width : int
        Train FLOPs and memory are shown in both conventions where that fits into so many characters, else train FLOPs
        alone in both, else both in the exact convention only.

    Returns
    -------
    str
        Lines without trailing blanks, and no newline at the end.
    """
    if not rows:
        return "no results"
    reference = cost_reference(rows)
    choices = ((CONVENTIONS, CONVENTIONS), (CONVENTIONS, CONVENTIONS[1:]), (CONVENTIONS[1:], CONVENTIONS[1:]))
    for flops_in, memory_in in choices:
        columns = _columns(rows, reference, flops_in, memory_in)
        if sum(column.width + 2 for column in columns) - 2 <= width:
            break
    lines = ["  ".join(cells).rstrip() for cells in zip(*(column.lines() for column in columns), strict=True)]
    return "\n".join([*lines, "", *_caption(rows, reference, flops_in, memory_in)])


def _columns(
    rows: Sequence[Row], reference: Row | None, flops_in: Sequence[str], memory_in: Sequence[str]
) -> list[Column]:
    columns = [
        Column(("", "method"), tuple(row.name for row in rows), "<"),
        Column(("", "sparsity"), tuple(numbers.sparsity(row.sparsity) for row in rows)),
        Column(("Class-IL", "%"), _percents(row.class_il_accuracy for row in rows)),
        Column(("Task-IL", "%"), _percents(row.task_il_accuracy for row in rows)),
        Column(("forgetting", "points"), _percents(row.forgetting for row in rows)),
    ]
    per, prefix = numbers.prefix_for(row.train_flops[name].mean for row in rows for name in flops_in)
    for name in flops_in:
        cells = _scaled((row.train_flops[name] for row in rows), per)
        columns.append(Column((f"{prefix}FLOPs", name), cells))
        if reference is not None:
            fewer = (times_fewer(row, reference, name) for row in rows)
            cells = tuple(numbers.ratio(value) + ("" if value is None else "x") for value in fewer)
            columns.append(Column(("times", "fewer"), cells))
    per, prefix = numbers.prefix_for(row.memory_bytes[name].mean for row in rows for name in memory_in)
    for name in memory_in:
        columns.append(Column((f"{prefix}B", name), _scaled((row.memory_bytes[name] for row in rows), per)))
    columns.append(Column(("", "seconds"), tuple(numbers.seconds(row.wall_seconds.mean) for row in rows)))
    return columns


def _percents(values) -> tuple[str, ...]:
    """Cells whose means stand under each other although some have a standard deviation and some have none."""
    values = list(values)
    tails = ["" if value.std is None else f" ±{numbers.percent(value.std)}" for value in values]
    room = max(map(len, tails))
    return tuple(numbers.percent(value.mean) + f"{tail:{room}}" for value, tail in zip(values, tails, strict=True))


def _scaled(values, divisor: float) -> tuple[str, ...]:
    return tuple(DASH if value.mean is None else numbers.significant(value.mean / divisor) for value in values)


def _caption(
    rows: Sequence[Row], reference: Row | None, flops_in: Sequence[str], memory_in: Sequence[str]
) -> list[str]:
    lines = [f"Accuracy after the last task, mean over tasks; {seeds_phrase(rows)}."]
    what = "FLOPs: train FLOPs" if len(flops_in) > 1 else "FLOPs: train FLOPs in the exact convention"
    if reference is None:
        lines.append(f"{what}. No dense DER++ among the methods, so nothing to count times fewer from.")
    else:
        lines.append(f"{what}; times fewer than {reference.name}.")
    if len(flops_in) > 1:
        lines.append("paper: the paper's way of counting; exact: what a sparse engine has to do in this very run.")
    if len(flops_in) != len(memory_in):
        lines.append("Memory in the exact convention.")
    return lines


def seeds_phrase(rows: Sequence[Row]) -> str:
    """How often each entry was run, in words."""
    counts = sorted({len(row.seeds) for row in rows})
    if counts == [1]:
        return "one seed"
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean ± standard deviation over {number} seeds"
