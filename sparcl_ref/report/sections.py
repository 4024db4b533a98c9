"""The page's sections on what was measured: results, entries one by one, data removed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparcl_ref.report import numbers
from sparcl_ref.report.markup import Cell, Markup, cell, element, joined, scrolling, table
from sparcl_ref.report.numbers import Spread
from sparcl_ref.report.style import LIGHT, looks
from sparcl_ref.report.stylesheet import HEAT_STEPS
from sparcl_ref.report.table import CONVENTIONS, Record, Row, cost_reference, group_by_entry, is_joint, times_fewer


def results(rows: Sequence[Row]) -> Markup:
    """The table of all entries, with a two-storey heading."""
    reference = cost_reference(rows)
    flops_per, flops_prefix = numbers.prefix_for(row.train_flops[name].mean for row in rows for name in CONVENTIONS)
    bytes_per, bytes_prefix = numbers.prefix_for(row.memory_bytes[name].mean for row in rows for name in CONVENTIONS)
    span = 4 if reference else 2
    groups = [
        ("", 2),
        ("accuracy, %", 2),
        ("points", 1),
        (f"train {flops_prefix}FLOPs", span),
        (f"memory, {bytes_prefix}B", 2),
        ("time", 1),
    ]
    names = ["Method", "Sparsity", "Class-IL", "Task-IL", "Forgetting"]
    for convention in CONVENTIONS:
        names += [convention, "fewer"] if reference else [convention]
    names += [*CONVENTIONS, "seconds"]
    head = element(
        "thead",
        element(
            "tr",
            *(
                element("th", text, colspan=width, scope="colgroup", class_="group" if text else None)
                for text, width in groups
            ),
        ),
        element("tr", *(element("th", text, scope="col") for text in names)),
    )
    top = {
        key: max((getattr(row, key).mean for row in rows), default=0)
        for key in ("class_il_accuracy", "task_il_accuracy")
    }
    lines = []
    for index, row in enumerate(rows):
        cells = [element("th", swatch(index, rows), row.name, scope="row"), cell(numbers.sparsity(row.sparsity))]
        for key, best in top.items():
            value = getattr(row, key)
            bar = element("span", element("i", style=f"width:{100 * value.mean:.1f}%"), class_="bar")
            cells.append(
                cell(
                    joined([_mean_and_std(value), bar]),
                    class_="top" if numbers.percent(value.mean) == numbers.percent(best) else None,
                )
            )
        cells.append(cell(_mean_and_std(row.forgetting)))
        for convention in CONVENTIONS:
            cells.append(cell(_scaled(row.train_flops[convention], flops_per)))
            if reference:
                times = times_fewer(row, reference, convention)
                cells.append(cell(numbers.ratio(times) + ("" if times is None else "×"), class_="times"))
        cells += [cell(_scaled(row.memory_bytes[convention], bytes_per)) for convention in CONVENTIONS]
        cells.append(cell(numbers.seconds(row.wall_seconds.mean)))
        lines.append(element("tr", *cells, class_=f"entry-{index}"))
    note = (
        f"Fewer: how many times fewer train FLOPs than {reference.name}."
        if reference
        else "No dense DER++ was run, so nothing to count times fewer from."
    )
    body = element("table", head, element("tbody", *lines), class_="results")
    return joined(
        [element("h2", "Results"), scrolling(body), element("p", note, " Bold: highest of its column.", class_="note")]
    )


def swatch(index: int, rows: Sequence[Row]) -> Markup:
    """The mark by which figures know an entry."""
    hollow = looks(rows, LIGHT)[index].dash != "-"
    return element("span", class_=f"swatch entry-{index}" + (" hollow" if hollow else ""), aria_hidden="true")


def _mean_and_std(value: Spread) -> Markup:
    tail = "" if value.std is None else element("span", f" ±{numbers.percent(value.std)}", class_="std")
    return joined([numbers.percent(value.mean), tail])


def _scaled(value: Spread, divisor: float) -> str:
    return numbers.significant(None if value.mean is None else value.mean / divisor)


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
        listing.append(element("div", element("dt", "Updates"), element("dd", f"{row.steps.mean:,.0f}")))
        listing.append(element("div", element("dt", "Head"), element("dd", row.head)))
        listing.append(element("div", element("dt", "Seeds"), element("dd", ", ".join(map(str, row.seeds)))))
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
    return cell(numbers.percent(value), class_=f"h{round(HEAT_STEPS * value)}" + (" ahead" if ahead else ""))


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
    parts = [
        element("h2", "Data removed"),
        element(
            "p",
            "Dynamic data removal drops the samples the network finds easiest. Gone in each stage → left after it:",
        ),
    ]
    for written, savings in ledgers.items():
        parts.append(_ledger(json.loads(written), savings))
    return joined(parts)


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
        if all("saved_flops" in row for row in saved):
            by_stage = [sum(row["saved_flops"] for row in saved if row["stage"] == stage) for stage in stages]
            divisor, prefix = numbers.prefix_for([sum(by_stage)])
            shown = [numbers.significant(flops / divisor) for flops in (*by_stage, sum(by_stage))]
            lines.append([f"{prefix}FLOPs saved, {name}", *shown])
    head = ["", *(f"stage {stage}" for stage in stages), "in all"]
    return joined([element("p", numbers.listed(list(savings)), class_="note"), table(head, lines)])
