"""The table of a run: records gathered over seeds into rows, and rows as aligned text for a terminal."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sparcl_ref import text
from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import Spread, spread

Record = dict[str, Any]
CONVENTIONS = ("paper", "exact")
#: Columns of the printed table that go, one after the other, where all do not fit.
EXPENDABLE = ("paper memory", "paper fewer", "exact memory", "paper FLOPs", "seconds", "forgetting", "Task-IL")
#: The most entries that are shown as they were run, without headings.
FEW = 12

#: Records' keys whose spread over seeds a row has under the same name.
MEASURES = (
    "class_il_accuracy", "task_il_accuracy", "forgetting", "backward_transfer", "forward_transfer", "learning_accuracy",
    "steps", "wall_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What the runs of one entry, alike but for their seeds, have in common, and their measurements over seeds.

    Accuracies, forgetting and transfers are fractions. Costs are by convention, "paper" and "exact", and undefined
    where unknown. The family is what its kind is called, "" if its record does not say. The sparsity is the one asked
    for, None for a dense method; joint training learns all tasks at once.
    """

    name: str
    method: str
    family: str
    sparsity: float | None
    head: str
    joint: bool
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

    @property
    def accuracy(self) -> float:
        """Class-IL accuracy after the last task, mean over seeds: the one measurement that every record has."""
        mean = self.class_il_accuracy.mean
        assert mean is not None
        return mean

    @property
    def exact_flops(self) -> float | None:
        """Train FLOPs in the exact convention, mean over seeds; None where unknown."""
        return self.train_flops["exact"].mean


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
    """One row per compared entry, in order of first appearance: mean and standard deviation (ddof = 1) over its seeds.

    Records are those of ``methods`` in summary.json. A measurement that is None counts as undefined, not as 0.
    """
    return [_row(group) for group in group_by_entry(records)]


def _row(group: list[Record]) -> Row:
    def by_convention(key: str) -> dict[str, Spread]:
        return {name: spread((record[key] or {}).get(name) for record in group) for name in CONVENTIONS}

    first = group[0]
    return Row(
        name=first["name"],
        method=first["method"],
        family=first.get("family") or "",
        sparsity=first["sparsity"],
        head=first["head"],
        joint=is_joint(first),
        seeds=tuple(record["seed"] for record in group),
        train_flops=by_convention("train_flops"),
        memory_bytes=by_convention("memory_bytes"),
        **{key: spread(record[key] for record in group) for key in MEASURES},
    )


def in_families(rows: Sequence[Row]) -> list[tuple[str, list[int]]]:
    """The order to show rows in: indices of those of each family, under its name.

    Up to `FEW` rows, and rows of which some have no family, stay as they are, under no name. More are put together by
    family, these in order of first appearance, and within one the most accurate comes first.
    """
    if len(rows) <= FEW or not all(row.family for row in rows):
        return [("", list(range(len(rows))))]
    best_first = sorted(range(len(rows)), key=lambda index: -rows[index].accuracy)
    names = dict.fromkeys(row.family for row in rows)
    return [(name, [index for index in best_first if rows[index].family == name]) for name in names]


def dense_reference(rows: Sequence[Row]) -> Row | None:
    """The dense entry that SparCL is held against, in accuracy and in cost; None if none has SparCL over its method.

    Of several it is the one whose method most SparCL entries have, then the one whose head most of these have, then the
    first. Measurements have no say in it.
    """

    def kinship(row: Row) -> tuple[int, int]:
        over = [each for each in rows if each.sparse and each.method == row.method]
        return len(over), sum(each.head == row.head for each in over)

    dense = [row for row in rows if not row.sparse and kinship(row) > (0, 0)]
    return max(dense, key=kinship, default=None)


def times_fewer(row: Row, reference: Row | None, convention: str) -> float | None:
    """How many times fewer train FLOPs a row took than the reference; below 1 it took more. None if unknown."""
    if reference is None:
        return None
    own, other = row.train_flops[convention].mean, reference.train_flops[convention].mean
    return other / own if own and other else None


def cost_cells(rows: Sequence[Row], cost: str) -> tuple[str, dict[str, list[str]]]:
    """The SI prefix of a cost's columns, ``train_flops`` or ``memory_bytes``, and their cells by convention."""
    means = {name: [getattr(row, cost)[name].mean for row in rows] for name in CONVENTIONS}
    per, prefix = numbers.prefix_for(itertools.chain(*means.values()))
    return prefix, {name: [numbers.scaled(mean, per) for mean in column] for name, column in means.items()}


def fewer_cells(rows: Sequence[Row], reference: Row, convention: str, sign: str) -> list[str]:
    """Cells that say how many times fewer train FLOPs than the reference each row took."""
    found = [times_fewer(row, reference, convention) for row in rows]
    return [numbers.UNKNOWN if value is None else numbers.ratio(value) + sign for value in found]


def format_table(rows: Sequence[Row], *, width: int = 80, without: Collection[str] = ()) -> str:
    """Rows as aligned text for a terminal, with a caption that says what the columns mean.

    Columns are left out, those ``without`` names and then the least needed first, until the rest fits into ``width``
    characters; names are never cut. Lines have no trailing blanks, and no newline ends the text.

    Raises
    ------
    ValueError
        If ``without`` names what is none of `EXPENDABLE`.
    """
    if unknown := [name for name in without if name not in EXPENDABLE]:
        raise ValueError(f"there is no column {unknown[0]!r} to leave out; choose among {', '.join(EXPENDABLE)}")
    if not rows:
        return "no results"
    reference = dense_reference(rows)
    families = in_families(rows)
    columns = _columns([rows[index] for _, indices in families for index in indices], reference)
    columns = {name: column for name, column in columns.items() if name not in without}
    if any(name for name, _ in families):
        columns["method"][2:] = [f"  {name}" for name in columns["method"][2:]]
    lines = _aligned(columns)
    for name in EXPENDABLE:
        if len(lines[2]) <= width:
            break
        columns.pop(name, None)
        lines = _aligned(columns)
    caption = f"Accuracy after the last task; {seeds_phrase(rows)}. FLOPs are those of training"
    caption += "." if reference is None else f", times fewer than {reference.name}."
    if "paper FLOPs" in columns:
        caption += " paper: the paper's way of counting;"
    caption += " exact: what a sparse engine has to do in this very run."
    return "\n".join([*_headed(lines, families), "", *textwrap.wrap(caption, width, break_long_words=False)])


def _headed(lines: Sequence[str], families: Sequence[tuple[str, list[int]]]) -> Iterator[str]:
    """The lines of a table with the name of each family, if it has one, above its own."""
    rest = iter(lines)
    yield from itertools.islice(rest, 3)
    for name, indices in families:
        yield from filter(None, [name])
        yield from itertools.islice(rest, len(indices))


def _aligned(columns: dict[str, list[str]]) -> list[str]:
    """Lines of a table whose headings are two storeys high, with a rule under them."""
    above, *cells = zip(*columns.values(), strict=True)
    lines = text.columns(above, cells).split("\n")
    return [*lines[:2], "-" * max(map(len, lines)), *lines[2:]]


def _columns(rows: Sequence[Row], reference: Row | None) -> dict[str, list[str]]:
    """Two lines of heading and the cells of each column, by name."""
    columns = {
        "method": ["", "method", *(row.name for row in rows)],
        "Class-IL": ["Class-", "IL, %", *_percents(row.class_il_accuracy for row in rows)],
        "Task-IL": ["Task-", "IL, %", *_percents(row.task_il_accuracy for row in rows)],
        "forgetting": ["forgot", "points", *_percents(row.forgetting for row in rows)],
    }
    prefix, flops = cost_cells(rows, "train_flops")
    for name, cells in flops.items():
        columns[f"{name} FLOPs"] = [f"{prefix}FLOPs", name, *cells]
        if reference is not None:
            columns[f"{name} fewer"] = ["times", "fewer", *fewer_cells(rows, reference, name, "x")]
    prefix, memory = cost_cells(rows, "memory_bytes")
    columns |= {f"{name} memory": [f"{prefix}B", name, *cells] for name, cells in memory.items()}
    return columns | {"seconds": ["", "sec", *(numbers.seconds(row.wall_seconds.mean) for row in rows)]}


def _percents(values: Iterable[Spread]) -> list[str]:
    """Cells whose means stand under each other although some have a standard deviation and some have none."""
    values = list(values)
    tails = ["" if value.std is None else f" ±{numbers.percent(value.std)}" for value in values]
    room = max(map(len, tails))
    return [numbers.percent(value.mean) + f"{tail:{room}}" for value, tail in zip(values, tails, strict=True)]


def seeds_phrase(rows: Sequence[Row]) -> str:
    """How often each entry was run, in words."""
    counts = sorted({len(row.seeds) for row in rows})
    if counts == [1]:
        return "one seed"
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean ± standard deviation over {number} seeds"
