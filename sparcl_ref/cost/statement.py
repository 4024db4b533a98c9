"""Everything there is to say about a run's cost, as JSON values and as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.counts import living
from sparcl_ref.cost.flops import FLOPS_PER_MAC
from sparcl_ref.cost.memory import Memory, held_memory, sparse_engine_memory
from sparcl_ref.cost.predict import predict
from sparcl_ref.cost.savings import removals, savings
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import exact
from sparcl_ref.text import columns


def statement(spec: ModelSpec, config: Config, task_sizes: Sequence[int], *, name: str = "") -> dict[str, Any]:
    """The predicted cost of a run.

    Parameters
    ----------
    spec : ModelSpec
    config : Config
    task_sizes : sequence of int
    name : str
        What tables call the run; by default its method.

    Returns
    -------
    dict
        ``name, model, method, sparsity, epochs, task_sizes``; ``layers``, a record each; ``phase_macs`` and
        ``overhead_macs`` (`exact`); ``train_flops`` and ``memory_bytes`` by convention; ``nominal``; ``readings`` of
        gradient masking (`paper`); ``savings`` by convention and part; ``removals``; ``steps`` and ``pass_samples``.
    """
    prediction = predict(spec, config, task_sizes)
    readings = {name: paper.train_flops(spec, config, task_sizes, reading=name) for name in paper.READINGS}
    held, compressed = held_memory(spec, config), sparse_engine_memory(spec, config)
    return {
        "name": name or config.method,
        "model": {
            "name": spec.name,
            "input_shape": list(spec.input_shape),
            "classes": spec.classes,
            "parameters": spec.parameters,
            "forward_macs": spec.forward_macs,
        },
        "method": config.method,
        "sparsity": config.sparsity,
        "epochs": config.epochs,
        "task_sizes": list(task_sizes),
        "layers": _layers(spec, config, prediction.table.layer_macs()),
        "phase_macs": prediction.table.phase_macs(),
        "overhead_macs": dict(prediction.table.overhead_macs),
        "train_flops": {"paper": readings["half_of_dw"], "exact": prediction.train_flops},
        "nominal": prediction.nominal,
        "readings": readings if config.sparse and config.dgm else {},
        "savings": {
            convention: [dataclasses.asdict(part) for part in parts]
            for convention, parts in savings(spec, config, task_sizes).items()
        },
        "removals": [dataclasses.asdict(row) for row in removals(spec, config, task_sizes)],
        "memory_bytes": {
            "paper": paper.memory_bytes(spec, config),
            "exact": _memory(held),
            "exact_sparse_engine": _memory(compressed),
        },
        "steps": prediction.steps,
        "pass_samples": prediction.pass_samples,
    }


def _layers(spec: ModelSpec, config: Config, macs: dict[str, int]) -> list[dict[str, Any]]:
    alive = living(spec, config, exact(config.sparsity)) if config.sparse else {}
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "output_shape": list(layer.output_shape),
            "weights": layer.weights,
            "living": alive.get(layer.name, layer.weights),
            "forward_macs": layer.forward_macs,
            "train_flops": FLOPS_PER_MAC * macs.get(layer.name, 0),
        }
        for layer in spec.layers
    ]


def _memory(memory: Memory) -> dict[str, Any]:
    return {"total": memory.total_bytes, "moment": memory.moment, "parts": dict(memory.parts)}


def statement_text(record: dict[str, Any]) -> str:
    """A `statement` as a person reads it."""
    parts = [_heading(record), _layer_table(record), _phase_table(record), _total_lines(record), _savings_table(record)]
    if record["removals"]:
        parts.append(_removal_table(record))
    return "\n\n".join([*parts, _memory_table(record)])


def _heading(record: dict[str, Any]) -> str:
    model, tasks = record["model"], record["task_sizes"]
    shape = "x".join(map(str, model["input_shape"]))
    return (
        f"{model['name']} on {shape}, {model['classes']} classes: {model['parameters']:,} parameters, "
        f"{model['forward_macs']:,} MACs forward per sample\n"
        f"{record['name']}: {len(tasks)} task(s) of {', '.join(f'{n:,}' for n in sorted(set(tasks)))} "
        f"samples, {record['epochs']} epochs each, {record['steps']:,} steps"
    )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _layer_table(record: dict[str, Any]) -> str:
    whole = record["train_flops"]["exact"]
    rows = [
        (
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["output_shape"])),
            f"{layer['weights']:,}",
            f"{layer['living']:,}",
            f"{layer['forward_macs']:,}",
            f"{layer['train_flops']:.3e}",
            _share(layer["train_flops"], whole),
        )
        for layer in record["layers"]
    ]
    header = ("layer", "kind", "output", "weights", "living", "dense MACs", "train FLOPs (exact)", "share")
    return columns(header, rows, left=2)


def _phase_table(record: dict[str, Any]) -> str:
    whole = sum(record["phase_macs"].values())
    rows = [
        (name.replace("_", " "), f"{macs:.3e}", f"{FLOPS_PER_MAC * macs:.3e}", _share(macs, whole))
        for name, macs in record["phase_macs"].items()
        if macs
    ]
    beside = [
        (f"({name.replace('_', ' ')})", f"{macs:.3e}", f"{FLOPS_PER_MAC * macs:.3e}", "beside")
        for name, macs in record["overhead_macs"].items()
        if macs
    ]
    return columns(("phase (exact)", "MACs", "FLOPs", "share"), rows + beside)


def _total_lines(record: dict[str, Any]) -> str:
    totals = record["train_flops"]
    nominal = " (nominal: the masks depend on values)" if record["nominal"] else ""
    lines = [
        f"train FLOPs, exact convention: {totals['exact']:.4e}{nominal}",
        f"train FLOPs, paper convention: {totals['paper']:.4e}",
    ]
    lines += [f"  if {paper.READINGS[name]}: {flops:.4e}" for name, flops in record["readings"].items()]
    return "\n".join(lines)


def _savings_table(record: dict[str, Any]) -> str:
    pairs = zip(record["savings"]["exact"], record["savings"]["paper"], strict=True)
    rows = [
        (ours["name"], *(f"{part[key]:+.3e}" for part in (ours, theirs) for key in ("change_flops", "total_flops")))
        for ours, theirs in pairs
    ]
    return columns(("part", "exact: change", "total", "paper: change", "total"), rows)


def _removal_table(record: dict[str, Any]) -> str:
    """The ledger of removals, summed over tasks."""
    stages: dict[int, list[dict[str, Any]]] = {}
    for row in record["removals"]:
        stages.setdefault(row["stage"], []).append(row)
    rows = [
        (
            f"{stage}",
            f"{sum(row['removed'] for row in rows):,}",
            f"{sum(row['left'] for row in rows):,}",
            f"{sum(row['saved_flops'] for row in rows):.3e}",
        )
        for stage, rows in sorted(stages.items())
    ]
    return columns(("after stage", "samples removed", "left", "FLOPs saved (exact), all tasks"), rows, left=0)


def _memory_table(record: dict[str, Any]) -> str:
    memory = record["memory_bytes"]
    names = {"exact": "this engine", "exact_sparse_engine": "a sparse engine"}
    rows = [("paper convention", f"{memory['paper'] / 1e6:,.1f} MB", "")]
    for key, name in names.items():
        sizes = ", ".join(f"{part} {size / 1e6:.1f}" for part, size in memory[key]["parts"].items())
        rows.append((f"exact, {name}", f"{memory[key]['total'] / 1e6:,.1f} MB", f"  {memory[key]['moment']}: {sizes}"))
    return "memory\n" + "\n".join(f"  {name.ljust(22)}{size.rjust(12)}{parts}" for name, size, parts in rows)
