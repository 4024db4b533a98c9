"""Bytes a run holds: what the reference engine holds, and what an engine with compressed weights would.

The reference engine keeps dense arrays and masks them, so sparsity saves it nothing; the second figure says what it
would save. The published convention is in `sparcl_ref.cost.paper`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import counts_at
from sparcl_ref.cost.extent import extent_of, own_entries
from sparcl_ref.cost.peak import pass_peak
from sparcl_ref.cost.spec import LayerSpec, ModelSpec
from sparcl_ref.layers import NotStatedError
from sparcl_ref.replay import slot_dtype

INDEX_BYTES = 4


@dataclass(frozen=True)
class Memory:
    """Bytes held at the fullest moment of a run.

    Attributes
    ----------
    parts : mapping of str to int
        What they are, at that moment.
    moment : str
        "pass" (forward and backward), "update" (optimiser and gradient masks), "probe" (gradients for equation 1),
        "masks" (a step that a policy spends on them) or "phase" (a step of the method's own at the end of a task).
    moments : mapping of str to int
        Total of each moment.
    """

    parts: Mapping[str, int]
    moment: str
    moments: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        """Sum of the parts."""
        return sum(self.parts.values())


def held_memory(
    spec: ModelSpec, config: Config, *, image_item_bytes: int = 1, task_sizes: Sequence[int] = ()
) -> Memory | None:
    """What a run of the reference engine holds, data set and evaluation aside; None if a layer does not say its needs.

    Gradients of the current and of the replayed samples are kept apart until the update, for equation 3. A pixel is
    stored in ``image_item_bytes``, 1 for uint8. Without ``task_sizes`` nothing is counted that a method
    keeps of each task.
    """
    passing = _passing(spec, config)
    if passing is None:
        return None
    item = _item_bytes(config)
    numbers, beside = spec.parameters * item, own_entries(spec, config) * item
    parts = 2 if config.rehearses and not config.method_class.joins_passes else 1
    prunable = sum(layer.weights for layer in spec.sparsifiable)
    always = {
        "weights": numbers + spec.buffer_entries * item,
        "gradients": numbers + beside,
        "optimizer": numbers + beside if config.momentum else 0,
        "masks": _mask_bytes(spec, config),
        **_samples(spec, config, image_item_bytes),
        **_archive(spec, config, task_sizes),
    }
    moments = {
        "pass": always | passing | {"gradients": numbers * parts + beside},
        "update": always
        | {"gradients": numbers * (parts + 1) + beside}
        | {"working_space": max((_update_bytes(layer, config) for layer in spec.layers), default=0)},
    }
    if config.sparse and config.make_policy().probes:
        # The gradients that wait in the model, the running one, and the two sums of equation 1.
        moments["probe"] = always | passing | {"gradients": 2 * numbers + 2 * prunable * item + beside}
    if config.sparse and config.policy_class.spends:
        # The step's gradient and its parts, as before an update, and the scores of all weights.
        largest = max((layer.weights for layer in spec.sparsifiable), default=0)
        space = {"working_space": (prunable + 2 * largest) * item}
        moments["masks"] = always | {"gradients": numbers * (parts + 1) + beside} | space
    if own := config.method_class.phase_bytes(config.method_settings, extent_of(spec, config, task_sizes)):
        moments["phase"] = always | passing | {"gradients": numbers + beside} | dict(own)
    return _fullest(moments)


def sparse_engine_memory(
    spec: ModelSpec, config: Config, *, image_item_bytes: int = 1, task_sizes: Sequence[int] = ()
) -> Memory | None:
    """What an engine would hold that stores living weights only: values, indices, and gradients where one is formed.

    Activations, working space and buffer are those of `held_memory`. Counted at the sparsity of a task's first epochs,
    when most weights live. At a refresh of the gradient masks, gradients of all living weights pass through; they can
    do so a layer at a time and are not counted.
    """
    passing = _passing(spec, config)
    if passing is None:
        return None
    item = _item_bytes(config)
    masks = counts_at(spec, config, config.make_policy().least_sparsity if config.sparse else 0).usual
    dense = spec.parameters - sum(spec.layer(name).weights for name in masks.active)
    alive, beside = sum(masks.active.values()), own_entries(spec, config)
    parts = {
        "weights": (dense + alive + spec.buffer_entries) * item,
        "indices": alive * INDEX_BYTES,
        "gradients": (dense + sum(masks.grad_active.values()) + beside) * item,
        "optimizer": (dense + alive + beside) * item if config.momentum else 0,
        "masks": -(-alive // 8) if config.sparse and config.dgm else 0,
        **_samples(spec, config, image_item_bytes),
        **_archive(spec, config, task_sizes),
        **passing,
    }
    return _fullest({"pass": parts})


def _fullest(moments: Mapping[str, Mapping[str, int]]) -> Memory:
    totals = {name: sum(parts.values()) for name, parts in moments.items()}
    fullest = max(totals, key=totals.__getitem__)
    parts = {part: size for part, size in moments[fullest].items() if size}
    return Memory(parts=parts, moment=fullest, moments=totals)


def _mask_bytes(spec: ModelSpec, config: Config) -> int:
    """A byte for each entry of each mask; what is frozen has one, and one more for what is not."""
    if config.method_class.own_masks:
        return 2 * spec.parameters + sum(layer.weights for layer in spec.weight_layers[:-1])
    return sum(layer.weights for layer in spec.sparsifiable) * (2 if config.dgm else 1) if config.sparse else 0


def _samples(spec: ModelSpec, config: Config, image_item_bytes: int) -> dict[str, int]:
    """Bytes of the rehearsal buffer, and of a batch: raw and as the network's input."""
    pixel = np.dtype((np.void, image_item_bytes))
    slots = config.buffer_size if config.rehearses else 0
    buffer = slots * slot_dtype(spec.input_shape, pixel, spec.classes, config.dtype).itemsize
    numbers = config.batch_size * math.prod(spec.input_shape)
    return {"buffer": buffer, "batch": numbers * (image_item_bytes + _item_bytes(config))}


def _archive(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> dict[str, int]:
    """What the method holds beside network and buffer, dense whatever the engine."""
    extent = extent_of(spec, config, task_sizes)
    return dict(config.method_class.archive_bytes(config.method_settings, extent))


def _passing(spec: ModelSpec, config: Config) -> dict[str, int] | None:
    """What a pass over a batch holds beside that, if all layers say so."""
    if spec.body is None or spec.unknown:
        return None
    try:
        batch = config.batch_size
        if config.rehearses and config.method_class.joins_passes:
            batch += min(config.effective_replay_batch_size, config.buffer_size)
        peak = pass_peak(spec.body, spec.input_shape, batch=batch, item_bytes=_item_bytes(config))
    except NotStatedError:
        return None
    return {"activations": peak.kept_bytes, "working_space": peak.peak_bytes - peak.kept_bytes}


def _item_bytes(config: Config) -> int:
    return np.dtype(config.dtype).itemsize


def _update_bytes(layer: LayerSpec, config: Config) -> int:
    """Working space while a layer is updated, or its gradient mask chosen.

    The update holds a step and a new value; the choice a score with two terms and the dead entries.
    """
    chooses = config.sparse and config.dgm and layer.sparsifiable
    return layer.weights * (3 * _item_bytes(config) + 1 if chooses else 2 * _item_bytes(config))
