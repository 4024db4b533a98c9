"""What a run found, and what tables call it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref import metrics
from sparcl_ref.config import Config
from sparcl_ref.history import History


@dataclass(frozen=True)
class Result:
    """What a run found. Costs are by convention, "paper" and "exact", and None where a layer does not say its own."""

    #: Such as "SparCL-DER++ .90".
    name: str
    config: Config
    class_order: tuple[int, ...]
    #: Accuracy matrices, a row per epoch, removals, mask snapshots.
    history: History
    #: Achieved fraction of dead weights per sparsifiable parameter; empty for a dense method.
    layer_sparsity: dict[str, float]
    train_flops: dict[str, int | None]
    memory_bytes: dict[str, int | None]
    #: ``train_flops`` of the exact convention as forecast, and whether that is ``nominal``.
    predicted: dict[str, Any]
    #: What each part adds to or saves of the train FLOPs, by convention, see `sparcl_ref.cost.breakdown`.
    savings: dict[str, list[dict[str, Any]]]
    #: One row per removal: task, stage, removed, left, saved_flops (exact convention).
    data_removed: list[dict[str, int | None]]
    #: Updates made.
    steps: int
    wall_seconds: float
    #: What computed the layers: "numpy" or "numba".
    engine: str = "numpy"
    #: Parameter whose mask ``history.mask_alive`` shows, None for a dense method; and its shape.
    mask_layer: str | None = None
    mask_shape: tuple[int, ...] = ()

    @property
    def class_il_accuracy(self) -> float:
        """Mean over tasks after the last one, argmax over all classes; 0..1."""
        return metrics.average_accuracy(np.array(self.history.class_il_matrix))

    @property
    def task_il_accuracy(self) -> float:
        """The same, argmax over each task's own classes."""
        return metrics.average_accuracy(np.array(self.history.task_il_matrix))

    def record(self) -> dict[str, Any]:
        """The run as JSON values: an entry of ``methods`` in summary.json."""
        class_il = np.array(self.history.class_il_matrix)
        return {
            "name": self.name,
            "method": self.config.method,
            "sparsity": self.config.sparsity,
            "head": self.config.effective_head,
            "seed": self.config.seed,
            "class_order": list(self.class_order),
            "class_il_matrix": self.history.class_il_matrix,
            "task_il_matrix": self.history.task_il_matrix,
            "class_il_accuracy": self.class_il_accuracy,
            "task_il_accuracy": self.task_il_accuracy,
            "forgetting": metrics.forgetting(class_il),
            "backward_transfer": metrics.backward_transfer(class_il),
            "forward_transfer": metrics.forward_transfer(class_il),
            "learning_accuracy": metrics.learning_accuracy(class_il),
            "layer_sparsity": self.layer_sparsity,
            "train_flops": self.train_flops,
            "memory_bytes": self.memory_bytes,
            "predicted": self.predicted,
            "steps": self.steps,
            "savings": self.savings,
            "data_removed": self.data_removed,
            "wall_seconds": self.wall_seconds,
            "engine": self.engine,
            "config": self.config.to_json(),
            "warnings": self.config.warnings(),
        }

    def epoch_rows(self) -> list[dict[str, Any]]:
        """One row per epoch, for metrics.csv."""
        return [{"name": self.name, "seed": self.config.seed, **row} for row in self.history.epochs]

    def mask_snapshots(self) -> dict[str, Any] | None:
        """The mask of the largest sparsifiable layer over time; None for a dense method."""
        if self.mask_layer is None:
            return None
        size = math.prod(self.mask_shape)
        alive = np.stack([np.unpackbits(bits, count=size).astype(bool) for bits in self.history.mask_alive])
        labels = self.history.mask_labels
        return {"layer": self.mask_layer, "shape": list(self.mask_shape), "labels": labels, "alive": alive}

    def __str__(self) -> str:
        from sparcl_ref.report import aggregate, format_table

        return format_table(aggregate([self.record()]))
