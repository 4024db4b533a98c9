"""Bytes a run holds: what the reference engine holds, and what an engine with compressed weights would.

The reference engine keeps dense arrays and masks them, so sparsity saves it nothing; the second figure says what it
would save. The published convention is in `sparcl_ref.cost.paper`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import living, with_gradient
from sparcl_ref.cost.peak import PassPeak, pass_peak
from sparcl_ref.cost.schedule import needs_probe
from sparcl_ref.cost.spec import LayerSpec, ModelSpec
from sparcl_ref.layers import NotStatedError

INDEX_BYTES = 4
LABEL_BYTES = 8


@dataclass(frozen=True)
class Memory:
    """Bytes held at the fullest moment of a run.

    Attributes
    ----------
    parts : mapping of str to int
        What they are, at that moment.
    moment : str
        "pass" (forward and backward), "update" (optimiser and gradient masks) or "probe" (gradients for equation 1).
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


def buffer_bytes(spec: ModelSpec, config: Config, *, image_item_bytes: int = 1) -> int:
    """Bytes of a rehearsal buffer: raw image, label, logits and task number per sample; 0 without rehearsal."""
    if not config.rehearses:
        return 0
    sample = math.prod(spec.input_shape) * image_item_bytes + spec.classes * _item_bytes(config) + 2 * LABEL_BYTES
    return config.buffer_size * sample


def held_memory(
    spec: ModelSpec, config: Config, *, image_item_bytes: int = 1, buffer: int | None = None
) -> Memory | None:
    """What a run of the reference engine holds, data set and evaluation aside.

    Parameters
    ----------
    spec : ModelSpec
        With its layers, as `describe` gives it.
    config : Config
    image_item_bytes : int
        Bytes of a stored pixel: 1 for uint8.
    buffer : int, optional
        Bytes of the rehearsal buffer, if it is already there to be asked.

    Returns
    -------
    Memory or None
        Gradients of the current and of the replayed samples are kept apart until the update, for equation 3. None if
        a layer does not say what it needs.
    """
    one_pass = _one_pass(spec, config)
    if one_pass is None:
        return None
    item = _item_bytes(config)
    numbers = spec.parameters * item
    prunable = sum(layer.weights for layer in spec.sparsifiable)
    batch = config.batch_size
    always = {
        "weights": numbers + spec.buffer_entries * item,
        "gradients": numbers,
        "optimizer": numbers if config.momentum else 0,
        "masks": prunable * (2 if config.dgm else 1) if config.sparse else 0,
        "buffer": buffer_bytes(spec, config, image_item_bytes=image_item_bytes) if buffer is None else buffer,
        "batch": batch * math.prod(spec.input_shape) * (image_item_bytes + item),
    }
    passing = {"activations": one_pass.kept_bytes, "working_space": one_pass.peak_bytes - one_pass.kept_bytes}
    moments = {
        "pass": always | passing | {"gradients": numbers * (2 if config.rehearses else 1)},
        "update": always
        | {"gradients": numbers * (3 if config.rehearses else 2)}
        | {"working_space": max((_update_bytes(layer, config) for layer in spec.layers), default=0)},
    }
    if config.sparse and needs_probe(config):
        # The gradients that wait in the model, the running one, and the two sums of equation 1.
        moments["probe"] = always | passing | {"gradients": 2 * numbers + 2 * prunable * item}
    moments = {name: {part: size for part, size in parts.items() if size} for name, parts in moments.items()}
    totals = {name: sum(parts.values()) for name, parts in moments.items()}
    fullest = max(totals, key=totals.__getitem__)
    return Memory(parts=moments[fullest], moment=fullest, moments=totals)


def sparse_engine_memory(
    spec: ModelSpec, config: Config, *, image_item_bytes: int = 1, buffer: int | None = None
) -> Memory | None:
    """What an engine would hold that stores living weights only: values, indices, and gradients where one is formed.

    Activations, working space and buffer are those of `held_memory`. Counted at the sparsity of a task's first epochs,
    when most weights live. At a refresh of the gradient masks, gradients of all living weights pass through; they can
    do so a layer at a time and are not counted.
    """
    one_pass = _one_pass(spec, config)
    if one_pass is None:
        return None
    item = _item_bytes(config)
    active: dict[str, int] = {}
    if config.sparse:
        active = living(spec, config, config.make_policy().least_sparsity)
    grads = with_gradient(spec, config, active) if config.sparse else {}
    dense = spec.parameters - sum(spec.layer(name).weights for name in active)
    alive = sum(active.values())
    parts = {
        "weights": (dense + alive + spec.buffer_entries) * item,
        "indices": alive * INDEX_BYTES,
        "gradients": (dense + sum(grads.values())) * item,
        "optimizer": (dense + alive) * item if config.momentum else 0,
        "masks": -(-alive // 8) if config.sparse and config.dgm else 0,
        "buffer": buffer_bytes(spec, config, image_item_bytes=image_item_bytes) if buffer is None else buffer,
        "batch": config.batch_size * math.prod(spec.input_shape) * (image_item_bytes + item),
        "activations": one_pass.kept_bytes,
        "working_space": one_pass.peak_bytes - one_pass.kept_bytes,
    }
    parts = {part: size for part, size in parts.items() if size}
    return Memory(parts=parts, moment="pass", moments={"pass": sum(parts.values())})


def _one_pass(spec: ModelSpec, config: Config) -> PassPeak | None:
    """What a pass over a batch holds, if all layers say so."""
    if spec.body is None or spec.unknown:
        return None
    try:
        return pass_peak(spec.body, spec.input_shape, batch=config.batch_size, item_bytes=_item_bytes(config))
    except NotStatedError:
        return None


def _item_bytes(config: Config) -> int:
    return np.dtype(config.dtype).itemsize


def _update_bytes(layer: LayerSpec, config: Config) -> int:
    """Working space while a layer is updated, or its gradient mask chosen.

    The update holds a step and a new value; the choice a score with two terms and the dead entries.
    """
    chooses = config.sparse and config.dgm and layer.sparsifiable
    return layer.weights * (3 * _item_bytes(config) + 1 if chooses else 2 * _item_bytes(config))
