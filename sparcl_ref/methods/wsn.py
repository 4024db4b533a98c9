"""WSN, winning subnetworks (Kang et al., ICML 2022): a task learns which weights to use, and moves only free ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.finite import check_scores
from sparcl_ref.layers import Parameter
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.isolation import IsolationMethod
from sparcl_ref.methods.records import Batch, Entries, Extent, Observation, Occasion, TaskData
from sparcl_ref.methods.score_mask import (
    first_scores,
    product,
    score_gradient,
    score_mask,
    used_entries,
    weight_gradient,
)
from sparcl_ref.methods.substitute import substituted
from sparcl_ref.settings import OwnSettings, setting


class WSN(IsolationMethod):
    """Weights and biases before the classifier take part as m w; m is `score_mask` of their trained scores a.

    w and a learn together, by CE over the task's own classes, with one optimiser that each task starts anew [V]. After
    a task m is kept, by the last scores [F]; the code keeps that of the last forward pass, one update older. What any
    task uses is frozen: later ones may use it and not move it. Scores go on from task to task [V]. The classifier has
    rows for each task and no mask [V]; batch-norm trains in every task, and each keeps its own [F], where the code's
    has no parameters and no running statistics. Its choice of an epoch by validation is left out. Products are formed
    densely, forward and backward, since scores of unused entries learn, too; so they are counted.
    """

    title = "WSN"

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        layer_share: float = setting(0.5, "c, fraction of each layer that a task uses", above=0, at_most=1)

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        rng = np.random.default_rng(0) if self.own_rng is None else self.own_rng
        #: Each parameter that takes part by a mask, and its scores.
        self.scored: list[tuple[Parameter, Parameter]] = []
        for _, layer in self.model.named_layers():
            if layer.fan_in is None or layer is self.classifier:
                continue
            for parameter in layer.own_parameters().values():
                _check_used(parameter.name, parameter.value.shape, self.settings)
                drawn = first_scores(parameter.value.shape, layer.fan_in, rng, parameter.value.dtype)
                self.scored.append((parameter, Parameter(f"{parameter.name} scores", drawn)))
                parameter.forms_frozen = True

    @classmethod
    def living(cls, settings: Any, entries: Entries, occasion: Occasion) -> Mapping[str, tuple[int, int]]:
        for name in entries.weights[:-1]:
            _check_used(name, (entries.sizes[name], 1), settings)
        found = {name: (size, size) for name, size in entries.sizes.items()}
        return found | cls._living_rows(entries)

    @classmethod
    def own_entries(cls, settings: Any, extent: Extent) -> int:
        return sum(extent.weights[:-1]) + sum(extent.biases[:-1])

    def own_parameters(self) -> list[Parameter]:
        return [scores for _, scores in self.scored]

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        found = {"scores": cls.own_entries(settings, extent) * extent.item_bytes}
        if base := dict(super().archive_bytes(settings, extent)):
            tasks, biases = len(extent.sizes), extent.biases[:-1]  # which are in masks, too
            base["task_masks"] += tasks * sum(-(-size // 8) for size in biases)
            base["task_values"] -= tasks * sum(biases) * extent.item_bytes
        return base | found

    def begin_task(self, data: TaskData) -> None:
        self._open_rows(data.task.classes)
        self._forget_momentum()
        for scores in self.own_parameters():
            scores.slots.clear()

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        masks = self._masks()
        with self._subnetwork(masks):
            step = self._learn(batch, functools.partial(cross_entropy, labels=batch.labels, classes=batch.classes))
        gradients = dict(zip([p.name for p in self.model.parameters()], step.current_grads, strict=True))
        for parameter, scores in self.scored:
            of_product, mask = gradients[parameter.name], masks[parameter.name]
            scores.grad[...] = score_gradient(of_product, parameter.value, scores.value)
            moved = mask if parameter.frozen is None else mask & ~parameter.frozen
            gradients[parameter.name] = weight_gradient(of_product, moved)
        step.current_grads = [*gradients.values()]
        return self._finish(step)

    def end_task(self, data: TaskData) -> None:
        masks = self._masks()
        self.archive.keep(self.model, data.task.number, data.task.classes, masks)
        for parameter, _ in self.scored:
            used = masks[parameter.name]
            parameter.freeze(used if parameter.frozen is None else parameter.frozen | used)

    def predict(self, x: np.ndarray, *, task: int | None = None) -> np.ndarray:
        if task in self.archive.tasks:
            return super().predict(x, task=task)
        with self._subnetwork(self._masks()):
            return self.model.forward(x, mode="eval")

    def _masks(self) -> dict[str, np.ndarray]:
        check_scores({scores.name: scores.value for _, scores in self.scored}, "entries")
        return {p.name: score_mask(scores.value, self.settings.layer_share) for p, scores in self.scored}

    def _subnetwork(self, masks: Mapping[str, np.ndarray]) -> AbstractContextManager[None]:
        """Meanwhile the network computes with m w."""
        return substituted({p: product(p.value, masks[p.name]) for p, _ in self.scored})

    def state(self) -> dict[str, Any]:
        return super().state() | {"scores": {p.name: scores.value.copy() for p, scores in self.scored}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        for parameter, scores in self.scored:
            scores.value[...] = state["scores"][parameter.name]
            scores.changed()


def _check_used(name: str, shape: tuple[int, ...], settings: Any) -> None:
    """Refuse a share that leaves a weight, of two dimensions or more, without an entry in use."""
    size, share = math.prod(shape), settings.layer_share
    if len(shape) > 1 and not used_entries(size, share):
        raise ValueError(
            f"--layer-share {share:g} of wsn uses none of the {size} entries of {name}; choose a larger one"
        )
