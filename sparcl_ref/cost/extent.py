"""What a method's memory and updates are measured by, from a run's settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.cost.sizes import held_after
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.methods import Extent


def extent_of(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> Extent:
    """The `Extent` of a run; ``task_sizes`` may be empty where they are not known."""
    method, sizes = config.method_class, tuple(task_sizes)
    by_tasks = method.rehearses and method.fills == "tasks"
    return Extent(
        parameters=spec.parameters,
        statistics=spec.buffer_entries,
        classes=spec.classes,
        features=spec.layers[-1].weight_shape[-1] if spec.layers else 0,
        sizes=sizes,
        held=tuple(held_after(config, sizes[:tasks]) for tasks in range(len(sizes) + 1)) if by_tasks else (),
        item_bytes=np.dtype(config.dtype).itemsize,
        weights=tuple(layer.weights for layer in spec.weight_layers),
        biases=tuple(layer.bias for layer in spec.weight_layers),
    )


def own_entries(spec: ModelSpec, config: Config) -> int:
    """Entries that the optimiser updates beside the network's."""
    return config.method_class.own_entries(config.method_settings, extent_of(spec, config, ()))
