"""The page's sections on what was measured: results, entries one by one, data removed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import Spread
from sparcl_ref.report.page.markup import Cell, Markup, cell, element, joined, scrolling, table
from sparcl_ref.report.page.stylesheet import HEAT_STEPS
from sparcl_ref.report.style import LIGHT, looks
from sparcl_ref.report.table import (
    CONVENTIONS,
    Record,
    Row,
    dense_reference,
    group_by_entry,
    is_joint,
    times,
    times_fewer,
)


class Column(NamedTuple):
    """A column of the results: what stands over it, in two storeys, and a cell for each entry.

    Columns with a ``unit``, be it empty, are there on narrow screens too, which have no room for the upper storey.
    """

    group: str
    name: str
    cells: list[Cell]
    unit: str | None = None


def results(rows: Sequence[Row]) -> Markup:
    """The table of all entries, with a two-storey heading."""
    reference = dense_reference(rows)
    columns = _columns(rows, reference)
    groups = [(name, len(list(members))) for name, members in itertools.groupby(column.group for column in columns)]
    first = [
        element("th"),
        *(element("th", name, colspan=span, scope="colgroup", class_="group") for name, span in groups),
    ]
    second = [element("th", "Method", scope="col")]
    for column in columns:
        unit = element("span", f" {column.unit}", class_="narrow") if column.unit else ""
        second.append(element("th", column.name, unit, scope="col", class_="wide" if column.unit is None else None))
    lines = []
    for index, row in enumerate(rows):
        cells = [column.cells[index] for column in columns]
        lines.append(
            element("tr", element("th", swatch(index, rows), row.name, scope="row"), *cells, class_=f"entry-{index}")
        )
    head = element("thead", element("tr", *first, class_="wide"), element("tr", *second))
    notes = [
        f"Fewer: how many times fewer train FLOPs than {reference.name}." if reference else "",
        "Bold: highest of its column." if len(rows) > 1 else "",
    ]
    narrow = element("span", " More of each entry stands in its box below.", class_="narrow")
    return joined(
        [
            scrolling(element("table", head, element("tbody", *lines), class_="results")),
            element("p", " ".join(filter(None, notes)), narrow, class_="note"),
        ]
    )


def _columns(rows: Sequence[Row], reference: Row | None) -> list[Column]:
    def cells(texts: Iterable[Any], class_: str | None = None) -> list[Cell]:
        return [cell(text, class_=class_) for text in texts]

    columns = [
        Column(" ", "Sparsity", cells((numbers.sparsity(row.sparsity) for row in rows), "wide")),
        Column("accuracy, %", "Class-IL", _accuracy_cells([row.class_il_accuracy for row in rows], ""), "%"),
        Column("accuracy, %", "Task-IL", _accuracy_cells([row.task_il_accuracy for row in rows], "wide")),
        Column("points", "Forgetting", cells((_mean_and_std(row.forgetting) for row in rows), "wide")),
    ]
    per, prefix = numbers.prefix_for(row.train_flops[name].mean for row in rows for name in CONVENTIONS)
    for name in CONVENTIONS:
        shown = name == "exact"
        group, class_ = f"train {prefix}FLOPs", "" if shown else "wide"
        flops = (numbers.scaled(row.train_flops[name].mean, per) for row in rows)
        columns.append(Column(group, name, cells(flops, class_ or None), f"{prefix}FLOPs" if shown else None))
        if reference:
            fewer = (times(times_fewer(row, reference, name), "×") for row in rows)
            columns.append(Column(group, "fewer", cells(fewer, f"times {class_}".strip()), "" if shown else None))
    per, prefix = numbers.prefix_for(row.memory_bytes[name].mean for row in rows for name in CONVENTIONS)
    for name in CONVENTIONS:
        size = (numbers.scaled(row.memory_bytes[name].mean, per) for row in rows)
        columns.append(Column(f"memory, {prefix}B", name, cells(size, "wide")))
    return [
        *columns,
        Column("time", "seconds", cells((numbers.seconds(row.wall_seconds.mean) for row in rows), "wide")),
    ]


def _accuracy_cells(values: Sequence[Spread], class_: str) -> list[Cell]:
    """Means with a bar under them, the highest in bold: what prints alike is alike."""
    means = [value.mean or 0.0 for value in values]
    found = []
    for value, mean in zip(values, means, strict=True):
        bar = element("span", element("i", style=f"width:{100 * mean:.1f}%"), class_="bar")
        top = "top" if len(means) > 1 and numbers.percent(mean) == numbers.percent(max(means)) else ""
        found.append(cell(joined([_mean_and_std(value), bar]), class_=f"{top} {class_}".strip() or None))
    return found


def swatch(index: int, rows: Sequence[Row]) -> Markup:
    """The mark by which figures know an entry."""
    hollow = looks(rows, LIGHT)[index].dash != "-"
    return element("span", class_=f"swatch entry-{index}" + (" hollow" if hollow else ""), aria_hidden="true")


def _mean_and_std(value: Spread) -> Markup:
    tail = "" if value.std is None else element("span", f" ±{numbers.percent(value.std)}", class_="std")
    return joined([numbers.percent(value.mean), tail])


def entries(rows: Sequence[Row], records: Sequence[Record]) -> Markup:
    """Each entry in a box to unfold: accuracy matrices, derived figures, achieved sparsity."""
    boxes = []
    for index, (row, group) in enumerate(zip(rows, group_by_entry(records), strict=True)):
        final = [numbers.percent(value.mean) for value in (row.class_il_accuracy, row.task_il_accuracy)]
        note = f"{final[0]} % Class-IL, {final[1]} % Task-IL"
        measures = [
            ("Forgetting", row.forgetting),
            ("Backward transfer", row.backward_transfer),
            ("Forward transfer", row.forward_transfer),
            ("Learning accuracy", row.learning_accuracy),
        ]
        listing = [element("div", element("dt", text), element("dd", _mean_and_std(value))) for text, value in measures]
        facts = [
            *((f"Training, {name}", numbers.quantity(row.train_flops[name].mean, "FLOPs")) for name in CONVENTIONS),
            *((f"Memory, {name}", numbers.quantity(row.memory_bytes[name].mean, "B")) for name in CONVENTIONS),
            ("Seconds", numbers.seconds(row.wall_seconds.mean)),
            ("Updates", numbers.DASH if row.steps.mean is None else f"{row.steps.mean:,.0f}"),
            ("Head", row.head),
            ("Seeds", ", ".join(map(str, row.seeds))),
        ]
        listing += [element("div", element("dt", text), element("dd", value)) for text, value in facts]
        boxes.append(
            element(
                "details",
                element("summary", swatch(index, rows), row.name, element("span", note, class_="note")),
                element("dl", *listing, class_="figures"),
                element(
                    "div",
                    heat_table(group, "class_il_matrix", "Class-IL"),
                    heat_table(group, "task_il_matrix", "Task-IL"),
                    class_="pair",
                ),
                layer_sparsity(group),
            )
        )
    return joined(boxes)


def heat_table(group: Sequence[Record], key: str, what: str) -> Markup:
    """An accuracy matrix (mean over seeds, in %) as a coloured table; what is not learned yet is faint."""
    matrix = np.mean([record[key] for record in group], axis=0)
    joint = is_joint(group[0])
    rows = []
    for moment, values in enumerate(matrix):
        name = "untrained" if moment == 0 else "all tasks" if joint else f"after task {moment}"
        cells = [_heat_cell(float(value), ahead=not joint and task >= moment) for task, value in enumerate(values)]
        rows.append([name, *cells])
    head = ["", *(f"task {task + 1}" for task in range(matrix.shape[1]))]
    return table(head, rows, caption=f"{what} accuracy in %", class_="heat")


def _heat_cell(value: float, *, ahead: bool) -> Cell:
    return cell(numbers.percent(value), class_="ahead" if ahead else f"h{round(HEAT_STEPS * value)}")


def layer_sparsity(group: Sequence[Record]) -> Markup:
    """Achieved sparsity of each layer, mean over seeds; nothing for a dense entry."""
    layers = group[0].get("layer_sparsity") or {}
    if not layers:
        return Markup()
    rows = []
    for name in layers:
        value = numbers.spread(record["layer_sparsity"].get(name) for record in group)
        rows.append([element("code", name), numbers.fixed(value.mean, 4)])
    return table(["Layer", "Sparsity achieved"], rows)


def removals(records: Sequence[Record]) -> Markup:
    """Samples that data removal took, task by task and stage by stage; entries with one ledger share a table."""
    ledgers: dict[str, dict[str, list[Mapping[str, int]]]] = {}
    for record in records:
        if record.get("data_removed"):
            counts = [{key: row[key] for key in ("task", "stage", "removed", "left")} for row in record["data_removed"]]
            ledgers.setdefault(json.dumps(counts), {}).setdefault(record["name"], record["data_removed"])
    if not ledgers:
        return Markup()
    parts = [_ledger(json.loads(written), savings) for written, savings in ledgers.items()]
    what = "Dynamic data removal drops the samples the network finds easiest. Gone in each stage → left after it:"
    return joined([element("p", what), *parts])


def _ledger(rows: Sequence[Mapping[str, int]], savings: Mapping[str, Sequence[Mapping[str, int]]]) -> Markup:
    """One table of samples, the same for all its entries, and below it what each of them saved by stage."""
    stages = sorted({row["stage"] for row in rows})
    found = {(row["task"], row["stage"]): row for row in rows}
    lines = []
    for task in sorted({row["task"] for row in rows}):
        cells: list[Any] = [f"task {task}"]
        for stage in stages:
            row = found.get((task, stage))
            text = (
                numbers.DASH
                if row is None
                else joined([f"{row['removed']:,} ", element("span", f"→ {row['left']:,}", class_="std")])
            )
            cells.append(text)
        cells.append(f"{sum(row['removed'] for row in rows if row['task'] == task):,}")
        lines.append(cells)
    for name, saved in savings.items():
        if all(row.get("saved_flops") is not None for row in saved):
            by_stage = [sum(row["saved_flops"] for row in saved if row["stage"] == stage) for stage in stages]
            divisor, prefix = numbers.prefix_for([sum(by_stage)])
            shown = [numbers.significant(flops / divisor) for flops in (*by_stage, sum(by_stage))]
            lines.append([f"{prefix}FLOPs saved, {name}", *shown])
    head = ["", *(f"stage {stage}" for stage in stages), "in all"]
    return joined([element("p", numbers.listed(list(savings)), class_="note"), table(head, lines)])
