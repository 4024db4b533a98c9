"""What a run costs, as JSON values: everything for a table, and the few figures that a result holds.

What is unknown, because a layer does not say its own cost, is None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.breakdown import removals, savings
from sparcl_ref.cost.counts import counts_at
from sparcl_ref.cost.flops import FLOPS_PER_MAC
from sparcl_ref.cost.memory import Memory, held_memory, sparse_engine_memory
from sparcl_ref.cost.predict import predict
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import exact


def cost_record(
    spec: ModelSpec, config: Config, task_sizes: Sequence[int], *, name: str = "", image_item_bytes: int = 1
) -> dict[str, Any]:
    """The predicted cost of a run, which tables call ``name``, by default its method.

    A pixel is stored in ``image_item_bytes``, 1 for uint8.

    Returns
    -------
    dict
        ``name, model, method, sparsity, epochs, task_sizes``; ``layers``, a record each; ``phase_macs`` and
        ``overhead_macs`` (`exact`); ``train_flops`` and ``memory_bytes`` by convention; ``nominal``; ``readings`` of
        gradient masking (`paper`); ``savings`` by convention and part; ``removals``; ``steps`` and ``pass_samples``;
        ``unknown``, the reason why figures are None, or "".
    """
    prediction = predict(spec, config, task_sizes)
    table = prediction.table
    readings = {name: paper.train_flops(spec, config, task_sizes, reading=name) for name in paper.READINGS}
    parts = savings(spec, config, task_sizes)
    known: Any = {"image_item_bytes": image_item_bytes, "task_sizes": task_sizes}
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
        "layers": _layers(spec, config, table.layer_macs()),
        "unknown": spec.unknown,
        "phase_macs": None if spec.unknown else table.phase_macs(),
        "overhead_macs": None if spec.unknown else dict(table.overhead_macs),
        "train_flops": {"paper": readings["half_of_dw"], "exact": prediction.train_flops},
        "nominal": prediction.nominal,
        "readings": readings if config.sparse and config.dgm else {},
        "savings": {name: [dataclasses.asdict(part) for part in every] for name, every in parts.items()},
        "removals": [dataclasses.asdict(row) for row in removals(spec, config, task_sizes)],
        "memory_bytes": {
            "paper": paper.memory_bytes(spec, config),
            "exact": _memory(held_memory(spec, config, **known)),
            "exact_sparse_engine": _memory(sparse_engine_memory(spec, config, **known)),
        },
        "steps": prediction.steps,
        "pass_samples": prediction.pass_samples,
    }


def _layers(spec: ModelSpec, config: Config, macs: dict[str, int]) -> list[dict[str, Any]]:
    alive = counts_at(spec, config, exact(config.sparsity or 0)).usual.active
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


def _memory(memory: Memory | None) -> dict[str, Any]:
    if memory is None:
        return {"total": None, "moment": None, "parts": {}}
    return {"total": memory.total_bytes, "moment": memory.moment, "parts": dict(memory.parts)}
