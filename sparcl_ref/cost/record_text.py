"""What a run costs, as text."""

from __future__ import annotations

from typing import Any

from sparcl_ref.cost.flops import FLOPS_PER_MAC
from sparcl_ref.cost.paper import READINGS
from sparcl_ref.text import columns, folded


def cost_text(record: dict[str, Any], *, width: int | None = None) -> str:
    """A `cost_record` as a person reads it, in lines of at most so many characters where that is possible."""
    tables = [] if record["unknown"] else [_layer_table(record, width), _phase_table(record)]
    parts = [_heading(record), *tables, _total_lines(record), _savings_table(record, width)]
    if record["removals"]:
        parts.append(_removal_table(record, width))
    text = "\n\n".join([*parts, _memory_table(record)])
    return text if width is None else folded(text, width)


def _figure(value: float | None, how: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{how}}{unit}"


def _heading(record: dict[str, Any]) -> str:
    model, tasks = record["model"], record["task_sizes"]
    return (
        f"{model['name']} on {_shape(model['input_shape'])}, {model['classes']} classes: {model['parameters']:,} "
        f"parameters, {_figure(model['forward_macs'], ',')} MACs forward per sample"
        f"{record['unknown'] and ': ' + record['unknown']}\n"
        f"{record['name']}: {len(tasks)} task(s) of {', '.join(f'{n:,}' for n in sorted(set(tasks)))} "
        f"samples, {record['epochs']} epochs each, {record['steps']:,} steps"
    )


def _shape(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _layer_table(record: dict[str, Any], width: int | None) -> str:
    whole = record["train_flops"]["exact"]
    rows = [
        (
            layer["name"],
            layer["kind"],
            _shape(layer["output_shape"]),
            *(f"{layer[count]:,}" for count in ("weights", "living", "forward_macs")),
            f"{layer['train_flops']:.3e}",
            _share(layer["train_flops"], whole),
        )
        for layer in record["layers"]
    ]
    header = ("layer", "kind", "output", "weights", "living", "dense MACs", "train FLOPs (exact)", "share")
    return columns(header, rows, left=2, width=width)


def _phase_table(record: dict[str, Any]) -> str:
    whole = sum(record["phase_macs"].values())
    phases = [(name.replace("_", " "), macs, _share(macs, whole)) for name, macs in record["phase_macs"].items()]
    beside = [(f"({name.replace('_', ' ')})", macs, "beside") for name, macs in record["overhead_macs"].items()]
    rows = [
        (name, f"{macs:.3e}", f"{FLOPS_PER_MAC * macs:.3e}", share) for name, macs, share in phases + beside if macs
    ]
    return columns(("phase (exact)", "MACs", "FLOPs", "share"), rows)


def _total_lines(record: dict[str, Any]) -> str:
    totals = record["train_flops"]
    nominal = " (nominal: masks or the buffer depend on values)" if record["nominal"] else ""
    lines = [
        f"train FLOPs, exact convention: {_figure(totals['exact'], '.4e')}{nominal}",
        f"train FLOPs, paper convention: {_figure(totals['paper'], '.4e')}",
    ]
    lines += [f"  if {READINGS[name]}: {_figure(flops, '.4e')}" for name, flops in record["readings"].items()]
    return "\n".join(lines)


def _savings_table(record: dict[str, Any], width: int | None) -> str:
    rows = [
        (
            ours["name"],
            *(_figure(part[key], "+.3e") for part in (ours, theirs) for key in ("change_flops", "total_flops")),
        )
        for ours, theirs in zip(record["savings"]["exact"], record["savings"]["paper"], strict=True)
    ]
    return columns(("part", "exact: change", "total", "paper: change", "total"), rows, width=width)


def _removal_table(record: dict[str, Any], width: int | None) -> str:
    """The ledger of removals, summed over tasks."""
    stages: dict[int, list[dict[str, Any]]] = {}
    for row in record["removals"]:
        stages.setdefault(row["stage"], []).append(row)
    rows = [
        (
            f"{stage}",
            f"{sum(row['removed'] for row in rows):,}",
            f"{sum(row['left'] for row in rows):,}",
            _figure(None if record["unknown"] else sum(row["saved_flops"] for row in rows), ".3e"),
        )
        for stage, rows in sorted(stages.items())
    ]
    return columns(
        ("after stage", "samples removed", "left", "FLOPs saved (exact), all tasks"), rows, left=0, width=width
    )


def _memory_table(record: dict[str, Any]) -> str:
    memory = record["memory_bytes"]
    rows, details = [("paper convention", _megabytes(memory["paper"]))], []
    for name, held in (("this engine", memory["exact"]), ("a sparse engine", memory["exact_sparse_engine"])):
        sizes = ", ".join(f"{part} {size / 1e6:.1f}" for part, size in held["parts"].items())
        rows.append((f"exact, {name}", _megabytes(held["total"])))
        details += [f"{name}, {held['moment']}: {sizes}"] if sizes else []
    return "\n".join([columns(("memory", "total"), rows), *details])


def _megabytes(size_bytes: int | None) -> str:
    return _figure(None if size_bytes is None else size_bytes / 1e6, ",.1f", " MB")
