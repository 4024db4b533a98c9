"""What a run costs, as JSON values: everything for a table, and the few figures that a result holds.

What is unknown, because a layer does not say its own cost, is None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.breakdown import removals, savings
from sparcl_ref.cost.counts import living
from sparcl_ref.cost.describe import describe
from sparcl_ref.cost.flops import FLOPS_PER_MAC
from sparcl_ref.cost.memory import Memory, held_memory, sparse_engine_memory
from sparcl_ref.cost.predict import Prediction, predict
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import exact

if TYPE_CHECKING:
    from sparcl_ref.models import Network
    from sparcl_ref.replay import ReservoirBuffer
    from sparcl_ref.streams import Stream


def cost_record(spec: ModelSpec, config: Config, task_sizes: Sequence[int], *, name: str = "") -> dict[str, Any]:
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
        gradient masking (`paper`); ``savings`` by convention and part; ``removals``; ``steps`` and ``pass_samples``;
        ``unknown``, the reason why figures are None, or "".
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
        "unknown": spec.unknown,
        "phase_macs": None if spec.unknown else prediction.table.phase_macs(),
        "overhead_macs": None if spec.unknown else dict(prediction.table.overhead_macs),
        "train_flops": {"paper": readings["half_of_dw"], "exact": prediction.train_flops},
        "nominal": prediction.nominal,
        "readings": readings if config.sparse and config.dgm else {},
        **_breakdown(spec, config, task_sizes),
        "memory_bytes": {
            "paper": paper.memory_bytes(spec, config),
            "exact": _memory(held),
            "exact_sparse_engine": _memory(compressed),
        },
        "steps": prediction.steps,
        "pass_samples": prediction.pass_samples,
    }


def _layers(spec: ModelSpec, config: Config, macs: dict[str, int]) -> list[dict[str, Any]]:
    alive = {} if config.sparsity is None else living(spec, config, exact(config.sparsity))
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


def task_sizes(stream: Stream) -> list[int]:
    """Training samples of each task."""
    return [len(task.train_index) for task in stream.training]


def paper_train_flops(config: Config, stream: Stream, model: Network) -> int | None:
    """Training FLOPs under the `paper` convention, see `sparcl_ref.cost.paper.train_flops`."""
    return paper.train_flops(describe(model), config, task_sizes(stream))


def predicted_cost(config: Config, stream: Stream, model: Network) -> Prediction:
    """What the run will cost under the `exact` convention, see `sparcl_ref.cost.predict.predict`."""
    return predict(describe(model), config, task_sizes(stream))


def memory_bytes(config: Config, model: Network, buffer: ReservoirBuffer | None = None) -> dict[str, int | None]:
    """Bytes under each convention.

    Returns
    -------
    dict
        "paper", see `sparcl_ref.cost.paper.memory_bytes`; "exact", what the reference engine holds at the fullest
        moment; "exact_sparse_engine", what an engine with compressed weights would hold.
    """
    spec = describe(model)
    size = None if buffer is None else buffer.nbytes
    return {
        "paper": paper.memory_bytes(spec, config),
        "exact": _memory(held_memory(spec, config, buffer=size))["total"],
        "exact_sparse_engine": _memory(sparse_engine_memory(spec, config, buffer=size))["total"],
    }


def cost_ledger(config: Config, stream: Stream, model: Network) -> dict[str, Any]:
    """Where the cost of a run comes from and what its removals of data save, as JSON values.

    Returns
    -------
    dict
        ``savings`` and ``removals``, see the functions of these names in `sparcl_ref.cost.breakdown`.
    """
    return _breakdown(describe(model), config, task_sizes(stream))


def _breakdown(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> dict[str, Any]:
    parts = savings(spec, config, task_sizes)
    return {
        "savings": {name: [dataclasses.asdict(part) for part in every] for name, every in parts.items()},
        "removals": [dataclasses.asdict(row) for row in removals(spec, config, task_sizes)],
    }
