"""The page's sections on what was measured: results, entries one by one, data removed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import Spread, percent
from sparcl_ref.report.page.markup import Cell, Markup, cell, element, joined, scrolling, table
from sparcl_ref.report.page.stylesheet import HEAT_STEPS
from sparcl_ref.report.style import LIGHT, looks
from sparcl_ref.report.table import (
    CONVENTIONS,
    Record,
    Row,
    cost_cells,
    dense_reference,
    fewer_cells,
    group_by_entry,
    in_families,
)


class Column(NamedTuple):
    """A column of the results: what stands over it, in two storeys, and a cell with its class for each entry.

    Columns with a ``unit``, be it empty, are there on narrow screens too, which have no room for the upper storey.
    """

    group: str
    name: str
    cells: Sequence[Any]
    unit: str | None = None
    classes: Sequence[str] = ()

    @property
    def wide(self) -> str | None:
        """The class of what narrow screens leave out."""
        return "wide" if self.unit is None else None

    def cell(self, index: int) -> Cell:
        classes = [*self.classes[index : index + 1], self.wide]
        return cell(self.cells[index], class_=" ".join(filter(None, classes)) or None)


def results(rows: Sequence[Row]) -> Markup:
    """The table of all entries, with a two-storey heading."""
    reference = dense_reference(rows)
    columns = _columns(rows, reference)
    first, second = [element("th")], [element("th", "Method", scope="col")]
    for name, members in itertools.groupby(column.group for column in columns):
        first.append(element("th", name, colspan=len(list(members)), scope="colgroup", class_="group"))
    for column in columns:
        unit = element("span", f" {column.unit}", class_="narrow") if column.unit else ""
        second.append(element("th", column.name, unit, scope="col", class_=column.wide))
    bodies = []
    for family, indices in in_families(rows):
        heading = element("th", family, colspan=len(columns) + 1, scope="rowgroup")
        lines = [element("tr", heading, class_="family")] if family else []
        for index in indices:
            name = element("th", swatch(index, rows), rows[index].name, scope="row")
            lines.append(element("tr", name, *(column.cell(index) for column in columns), class_=f"entry-{index}"))
        bodies.append(element("tbody", *lines))
    head = element("thead", element("tr", *first, class_="wide"), element("tr", *second))
    fewer = f"Fewer: how many times fewer train FLOPs than {reference.name}." if reference else ""
    bold = "Bold: highest of its column." if len(rows) > 1 else ""
    narrow = element("span", " More of each entry stands in its box below.", class_="narrow")
    body = scrolling(element("table", head, *bodies, class_="results"))
    return joined([body, element("p", " ".join(filter(None, (fewer, bold))), narrow, class_="note")])


def _columns(rows: Sequence[Row], reference: Row | None) -> list[Column]:
    columns = [
        Column(" ", "Sparsity", [numbers.sparsity(row.sparsity) for row in rows]),
        _accuracy_column("Class-IL", [row.class_il_accuracy for row in rows], unit="%"),
        _accuracy_column("Task-IL", [row.task_il_accuracy for row in rows]),
        Column("points", "Forgetting", [_mean_and_std(row.forgetting) for row in rows]),
    ]
    prefix, flops = cost_cells(rows, "train_flops")
    for name, cells in flops.items():
        group, shown = f"train {prefix}FLOPs", name == "exact"
        columns.append(Column(group, name, cells, f"{prefix}FLOPs" if shown else None))
        if reference:
            fewer = fewer_cells(rows, reference, name, "×")
            columns.append(Column(group, "fewer", fewer, "" if shown else None, ["times"] * len(rows)))
    prefix, memory = cost_cells(rows, "memory_bytes")
    columns += [Column(f"memory, {prefix}B", name, cells) for name, cells in memory.items()]
    return [*columns, Column("time", "seconds", [numbers.seconds(row.wall_seconds.mean) for row in rows])]


def _accuracy_column(name: str, values: Sequence[Spread], unit: str | None = None) -> Column:
    """Means with a bar under them, the highest in bold: what prints alike is alike."""
    means = [value.mean or 0.0 for value in values]
    bars = [element("span", element("i", style=f"width:{100 * mean:.1f}%"), class_="bar") for mean in means]
    top = percent(max(means)) if len(means) > 1 and any(means) else None
    cells = [joined([_mean_and_std(value), bar]) for value, bar in zip(values, bars, strict=True)]
    return Column("accuracy, %", name, cells, unit, ["top" if percent(mean) == top else "" for mean in means])


def swatch(index: int, rows: Sequence[Row]) -> Markup:
    """The mark by which figures know an entry."""
    hollow = looks(rows, LIGHT)[index].dash != "-"
    return element("span", class_=f"swatch entry-{index}" + (" hollow" if hollow else ""), aria_hidden="true")


def _mean_and_std(value: Spread) -> Markup:
    tail = "" if value.std is None else element("span", f" ±{percent(value.std)}", class_="std")
    return joined([percent(value.mean), tail])


def entries(rows: Sequence[Row], records: Sequence[Record]) -> Markup:
    """Each entry in a box to unfold: accuracy matrices, derived figures, achieved sparsity."""
    boxes, groups = [], group_by_entry(records)
    for index in itertools.chain.from_iterable(indices for _, indices in in_families(rows)):
        row, group = rows[index], groups[index]
        note = f"{percent(row.class_il_accuracy.mean)} % Class-IL, {percent(row.task_il_accuracy.mean)} % Task-IL"
        facts = [
            ("Forgetting", _mean_and_std(row.forgetting)),
            ("Backward transfer", _mean_and_std(row.backward_transfer)),
            ("Forward transfer", _mean_and_std(row.forward_transfer)),
            ("Learning accuracy", _mean_and_std(row.learning_accuracy)),
            *((f"Training, {name}", numbers.quantity(row.train_flops[name].mean, "FLOPs")) for name in CONVENTIONS),
            *((f"Memory, {name}", numbers.quantity(row.memory_bytes[name].mean, "B")) for name in CONVENTIONS),
            ("Seconds", numbers.seconds(row.wall_seconds.mean)),
            ("Updates", numbers.DASH if row.steps.mean is None else f"{row.steps.mean:,.0f}"),
            ("Head", row.head),
            ("Seeds", ", ".join(map(str, row.seeds))),
        ]
        listing = [element("div", element("dt", text), element("dd", value)) for text, value in facts]
        kinds = [kind for kind in ("class", "task") if group[0][f"{kind}_il_matrix"]]
        matrices = [heat_table(group, kind, joint=row.joint) for kind in kinds]
        parts = [
            element("summary", swatch(index, rows), row.name, element("span", note, class_="note")),
            element("dl", *listing, class_="figures"),
            element("div", *matrices, class_="pair"),
        ]
        boxes.append(element("details", *parts, layer_sparsity(group)))
    return joined(boxes)


def heat_table(group: Sequence[Record], kind: str, *, joint: bool) -> Markup:
    """A "class"- or "task"-IL accuracy matrix (mean over seeds, in %), coloured; what is not learned yet is faint."""
    matrix = np.mean([record[f"{kind}_il_matrix"] for record in group], axis=0)
    rows = []
    for moment, values in enumerate(matrix):
        name = "untrained" if moment == 0 else "all tasks" if joint else f"after task {moment}"
        learned = len(values) if joint else moment
        shades = [f"h{round(HEAT_STEPS * value)}" for value in values[:learned]] + ["ahead"] * len(values[learned:])
        rows.append([name, *(cell(percent(value), class_=shade) for value, shade in zip(values, shades, strict=True))])
    head = ["", *(f"task {task + 1}" for task in range(matrix.shape[1]))]
    return table(head, rows, caption=f"{kind.title()}-IL accuracy in %", class_="heat")


def layer_sparsity(group: Sequence[Record]) -> Markup:
    """Achieved sparsity of each layer, mean over seeds; nothing for a dense entry."""
    rows = []
    for name in group[0].get("layer_sparsity") or {}:
        value = numbers.spread(record["layer_sparsity"].get(name) for record in group)
        rows.append([element("code", name), numbers.fixed(value.mean, 4)])
    return table(["Layer", "Sparsity achieved"], rows) if rows else Markup()


def removals(records: Sequence[Record]) -> Markup:
    """Samples that data removal took, task by task and stage by stage; entries with one ledger share a table."""
    ledgers: dict[str, dict[str, list[Mapping[str, int]]]] = {}
    for record in records:
        if record.get("data_removed"):
            counts = [{key: row[key] for key in ("task", "stage", "removed", "left")} for row in record["data_removed"]]
            ledgers.setdefault(json.dumps(counts), {}).setdefault(record["name"], record["data_removed"])
    if not ledgers:
        return Markup()
    what = "Dynamic data removal drops the samples the network finds easiest. Gone in each stage → left after it:"
    return joined([element("p", what), *map(_ledger, ledgers.values())])


def _ledger(savings: Mapping[str, Sequence[Mapping[str, int]]]) -> Markup:
    """One table of samples, the same for all its entries, and below it what each of them saved by stage."""
    rows = next(iter(savings.values()))
    stages = sorted({row["stage"] for row in rows})
    lines: list[list[Any]] = []
    for task in sorted({row["task"] for row in rows}):
        found = {row["stage"]: row for row in rows if row["task"] == task}
        cells = dict.fromkeys(stages, Markup(numbers.DASH))
        for stage, row in found.items():
            cells[stage] = joined([f"{row['removed']:,} ", element("span", f"→ {row['left']:,}", class_="std")])
        removed = sum(row["removed"] for row in rows if row["task"] == task)
        lines.append([f"task {task}", *cells.values(), f"{removed:,}"])
    for name, saved in savings.items():
        if all(row.get("saved_flops") is not None for row in saved):
            by_stage = [sum(row["saved_flops"] for row in saved if row["stage"] == stage) for stage in stages]
            divisor, prefix = numbers.prefix_for([sum(by_stage)])
            shown = [numbers.significant(flops / divisor) for flops in (*by_stage, sum(by_stage))]
            lines.append([f"{prefix}FLOPs saved, {name}", *shown])
    head = ["", *(f"stage {stage}" for stage in stages), "in all"]
    return joined([element("p", numbers.listed(list(savings)), class_="note"), table(head, lines)])
