"""The cost functions as a run calls them: from its configuration, stream and model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.describe import describe
from sparcl_ref.cost.memory import held_memory, sparse_engine_memory
from sparcl_ref.cost.predict import Prediction, predict
from sparcl_ref.cost.savings import removals, savings

if TYPE_CHECKING:
    from sparcl_ref.models import Network
    from sparcl_ref.replay import ReservoirBuffer
    from sparcl_ref.streams import Stream


def task_sizes(stream: Stream) -> list[int]:
    """Training samples of each task."""
    return [len(task.train_index) for task in stream.training]


def paper_train_flops(config: Config, stream: Stream, model: Network) -> int:
    """Training FLOPs under the `paper` convention, see `sparcl_ref.cost.paper.train_flops`."""
    return paper.train_flops(describe(model), config, task_sizes(stream))


def predicted_cost(config: Config, stream: Stream, model: Network) -> Prediction:
    """What the run will cost under the `exact` convention, see `sparcl_ref.cost.predict.predict`."""
    return predict(describe(model), config, task_sizes(stream))


def memory_bytes(config: Config, model: Network, buffer: ReservoirBuffer | None = None) -> dict[str, int]:
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
        "exact": held_memory(spec, config, buffer=size).total_bytes,
        "exact_sparse_engine": sparse_engine_memory(spec, config, buffer=size).total_bytes,
    }


def cost_ledger(config: Config, stream: Stream, model: Network) -> dict[str, Any]:
    """Where the cost of a run comes from and what its removals of data save, as JSON values.

    Returns
    -------
    dict
        ``savings``, see `sparcl_ref.cost.savings.savings`, and ``removals``, see `sparcl_ref.cost.savings.removals`.
    """
    spec, sizes = describe(model), task_sizes(stream)
    parts = savings(spec, config, sizes)
    return {
        "savings": {name: [dataclasses.asdict(part) for part in every] for name, every in parts.items()},
        "removals": [dataclasses.asdict(row) for row in removals(spec, config, sizes)],
    }
