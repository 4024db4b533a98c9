"""What a run found: its measures, its costs, and what it has trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparcl_ref import metrics
from sparcl_ref.config import Config
from sparcl_ref.history import History
from sparcl_ref.text import columns, one_line

if TYPE_CHECKING:
    from sparcl_ref.saved import Learner

#: Measures that are a fraction, and what people call them.
MEASURES = {
    "class_il_accuracy": "Class-IL accuracy",
    "task_il_accuracy": "Task-IL accuracy",
    "newest_task_accuracy": "newest task, Class-IL",
    "learning_accuracy": "learning accuracy",
    "forgetting": "forgetting",
    "backward_transfer": "backward transfer",
    "forward_transfer": "forward transfer",
}
#: What an earlier version's record may lack.
UNSAID: dict[str, Any] = {"layer_sparsity": {}, "predicted": {}, "savings": {}, "engine": "numpy", "weights": None}


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
    #: The most memory that the process held, libraries and data set included; None where the system does not say.
    peak_memory_bytes: int | None = None
    #: ``seconds`` and ``peak_memory_bytes`` as forecast by a trial; None without one.
    expected: dict[str, float | None] = field(default_factory=lambda: {"seconds": None, "peak_memory_bytes": None})
    #: Parameter whose mask ``history.mask_alive`` shows, None for a dense method; and its shape.
    mask_layer: str | None = None
    mask_shape: tuple[int, ...] = ()

    #: What was trained, to predict with or to save; None for a result that was read from a file or came from a worker.
    learner: Learner | None = field(default=None, compare=False, repr=False)
    #: The file of its weights, for `sparcl_ref.load`, if there is one.
    weights: str | None = None

    @property
    def class_il_matrix(self) -> np.ndarray:
        """Accuracy after each task (row 0: untrained) on each task (column), argmax over all classes; 0..1."""
        return np.array(self.history.class_il_matrix)

    @property
    def task_il_matrix(self) -> np.ndarray:
        """The same, argmax over each task's own classes."""
        return np.array(self.history.task_il_matrix)

    @property
    def class_il_accuracy(self) -> float:
        """Mean over tasks after the last one, argmax over all classes; 0..1."""
        return metrics.average_accuracy(self.class_il_matrix)

    @property
    def task_il_accuracy(self) -> float | None:
        """The same, argmax over each task's own classes; None where tasks have none of their own."""
        return metrics.average_accuracy(self.task_il_matrix) if len(self.task_il_matrix) else None

    @property
    def forgetting(self) -> float | None:
        """How far Class-IL accuracy has fallen from its best, -1..1; like the transfers None for joint training."""
        return metrics.forgetting(self.class_il_matrix)

    @property
    def backward_transfer(self) -> float | None:
        """What later tasks did to the Class-IL accuracy on earlier ones, -1..1."""
        return metrics.backward_transfer(self.class_il_matrix)

    @property
    def forward_transfer(self) -> float | None:
        """What earlier tasks did for one not seen yet, in Class-IL accuracy, -1..1."""
        return metrics.forward_transfer(self.class_il_matrix)

    @property
    def learning_accuracy(self) -> float | None:
        """Class-IL accuracy on each task right after it was learned, mean over tasks; 0..1."""
        return metrics.learning_accuracy(self.class_il_matrix)

    @property
    def newest_task_accuracy(self) -> float:
        """Class-IL accuracy on the last task after it was learned: the plasticity that is left; 0..1."""
        return float(self.class_il_matrix[-1, -1])

    def record(self) -> dict[str, Any]:
        """The run as JSON values: an entry of ``methods`` in summary.json."""
        return {
            "name": self.name,
            "method": self.config.method,
            "family": self.config.family,
            "sparsity": self.config.sparsity,
            "head": self.config.effective_head,
            "seed": self.config.seed,
            "class_order": list(self.class_order),
            "class_il_matrix": self.history.class_il_matrix,
            "task_il_matrix": self.history.task_il_matrix or None,
            "class_il_accuracy": self.class_il_accuracy,
            "task_il_accuracy": self.task_il_accuracy,
            "forgetting": self.forgetting,
            "backward_transfer": self.backward_transfer,
            "forward_transfer": self.forward_transfer,
            "learning_accuracy": self.learning_accuracy,
            "layer_sparsity": self.layer_sparsity,
            "train_flops": self.train_flops,
            "memory_bytes": self.memory_bytes,
            "predicted": self.predicted,
            "steps": self.steps,
            "savings": self.savings,
            "data_removed": self.data_removed,
            "wall_seconds": self.wall_seconds,
            # What no repetition gives to the bit stands here and in wall_seconds.
            "on_this_machine": {
                "seconds": {"forecast": self.expected["seconds"], "measured": self.wall_seconds},
                "peak_memory_bytes": {
                    "forecast": self.expected["peak_memory_bytes"],
                    "measured": self.peak_memory_bytes,
                },
            },
            "engine": self.engine,
            "weights": self.weights,
            "config": self.config.to_json(),
            "warnings": self.config.warnings(),
        }

    @classmethod
    def from_record(
        cls,
        record: Mapping[str, Any],
        *,
        epochs: Sequence[dict[str, Any]] = (),
        mask: Mapping[str, Any] | None = None,
    ) -> Result:
        """Read back what `record` wrote, and if given, the rows of `epoch_rows` and what `mask_snapshots` gave.

        Raises
        ------
        ValueError
            If something in the record is missing or of another kind, or its method or policy is not registered.
        """
        try:
            history = History(
                class_il_matrix=[list(row) for row in record["class_il_matrix"]],
                task_il_matrix=[list(row) for row in record["task_il_matrix"] or []],
                epochs=[{key: value for key, value in row.items() if key not in ("name", "seed")} for row in epochs],
                data_removed=[dict(row) for row in record.get("data_removed", ())],
            )
            if mask is not None:
                history.mask_labels = list(mask["labels"])
                history.mask_alive = [np.packbits(alive) for alive in mask["alive"]]
            metrics.checked_matrix(history.class_il_matrix)
            if history.task_il_matrix:
                metrics.checked_matrix(history.task_il_matrix)
            here = record.get("on_this_machine") or {}
            return cls(
                name=record["name"],
                expected={key: (here.get(key) or {}).get("forecast") for key in ("seconds", "peak_memory_bytes")},
                peak_memory_bytes=(here.get("peak_memory_bytes") or {}).get("measured"),
                config=Config.from_json({**record["config"]}),
                class_order=tuple(record["class_order"]),
                history=history,
                data_removed=[dict(row) for row in record.get("data_removed", ())],
                mask_layer=None if mask is None else mask["layer"],
                mask_shape=() if mask is None else tuple(mask["shape"]),
                **{key: record[key] for key in ("train_flops", "memory_bytes", "wall_seconds", "steps")},
                # Summaries of version 0.1 lack some of these.
                **{key: record.get(key, unsaid) for key, unsaid in UNSAID.items()},
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a run's record: {type(error).__name__}: {one_line(error)}") from error

    def with_weights(self, path: Path | None) -> Result:
        """Without its network, which is written to ``path`` if there is one; OSError if it cannot be."""
        bare = replace(self, learner=None)
        if path is None or self.learner is None:
            return bare
        self.learner.save(path)
        return replace(bare, weights=f"{path.parent.name}/{path.name}")

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
        shown = {title: getattr(self, name) for name, title in MEASURES.items()}
        rows = [(title, f"{100 * value:.1f} %") for title, value in shown.items() if value is not None]
        for name, unit, size in (("train_flops", "GFLOPs", 1e9), ("memory_bytes", "MB", 1e6)):
            known = {key: value for key, value in getattr(self, name).items() if value is not None}
            rows += [(f"{name.split('_')[0]}, {key}", f"{value / size:.2f} {unit}") for key, value in known.items()]
        rows.append(("time", f"{self.wall_seconds:.1f} s"))
        after = [
            (f"after task {task}" if len(self.class_il_matrix) > 2 else "trained", *(f"{100 * r:.1f}" for r in row))
            for task, row in enumerate(self.class_il_matrix[1:], start=1)
        ]
        header = ("Class-IL, %", *(f"task {task}" for task in range(1, len(after[0]))))
        head = f"{self.name}: {self.config.dataset}, {self.config.model}, seed {self.config.seed}"
        lines = [head, "", *(f"{title:27} {value:>14}" for title, value in rows)]
        matrix = columns(header, after)
        wide = f"class_il_matrix has the accuracy on each of {len(header) - 1} tasks after each."
        return "\n".join([*lines, "", matrix if len(matrix.split("\n")[0]) <= 80 else wide])
