"""LPS, Learn-Prune-Share (Wang et al., ICDM 2020): a task's weights are pulled towards few, and earlier ones chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.layers.base import Mode
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.admm import kept_weights, rate
from sparcl_ref.methods.isolation import IsolationMethod
from sparcl_ref.methods.lps_pulling import Chosen, Pulling
from sparcl_ref.methods.lps_settings import LPSSettings
from sparcl_ref.methods.phases import Phase, PhaseStep
from sparcl_ref.methods.records import Batch, Entries, Extent, Occasion, Passes, TaskData
from sparcl_ref.methods.score_mask import product
from sparcl_ref.methods.substitute import substituted
from sparcl_ref.optimizers import SGD


class LPS(IsolationMethod):
    """Learn, with the weights A of earlier tasks fixed and in use; prune and share by ADMM; retrain; A grows.

    After a task's epochs, CE + rho/2 sum ||w - z + u||^2 pulls its weights towards its share of each layer
    (`few_weights`); the layers compute with m w on A, where w is fixed and multipliers m, from 1 on, are pulled towards
    ones and zeros (`ones_and_zeros`), in periods of ten times the rho of the one before. Then both are cut, and the
    task's new weights alone are retrained; free weights start each task anew [V]. Owned entries count as zeros in the
    layer's percentile [V for the cut; F for z]. The last task keeps all that is free [V]. Biases and batch-norm train
    in the first task, without its retraining, and are fixed from then on [V for biases], statistics too [F]. Periods
    and retraining take SGD with momentum .9, without augmentation [F]. All is computed densely [V], and counted so.
    """

    title = "LPS"
    Settings = LPSSettings
    settings: LPSSettings

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        for parameter in self.shared:
            parameter.forms_frozen = True  # multipliers learn by them
        #: The task and how many there are, once one has begun.
        self.place = (0, 0)
        #: While weights and multipliers are pulled.
        self.pulling: Pulling | None = None
        #: While new weights are retrained: by name, which earlier ones take part, and the values of all of those.
        self.aside: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "end_task" and settings.acts(occasion.task, occasion.tasks):
            least = (occasion.size % occasion.batch_size or occasion.batch_size) if occasion.task == 1 else 0
            pulled, retrained = settings.epochs_of(occasion.epochs)
            for kind, epochs in (("admm", settings.rho_num * pulled), ("retraining", retrained)):
                if epochs:
                    yield Passes(kind, epochs * occasion.size, charged=True, least=least, epochs=epochs)

    @classmethod
    def phase_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        """Of the task whose variables and those before it take most: z and u, multipliers, their momentum, Y and K."""
        weights, tasks = sum(extent.weights[:-1]), len(extent.sizes) or 3  # several, where they are not known
        found = []
        for task in range(1, tasks + 1):
            chosen = weights * settings.shares_by_choice(task)
            arrays = 2 * weights * settings.prunes(task, tasks) + 4 * chosen
            shared = {"admm": arrays * extent.item_bytes, "optimizer": extent.parameters * extent.item_bytes}
            shared |= {"gradients": (extent.parameters + chosen) * extent.item_bytes}
            found += [cls._archived(extent, task - 1) | shared] if settings.acts(task, tasks) else []
        return max(found, key=lambda parts: sum(parts.values()), default={})

    @classmethod
    def living(cls, settings: Any, entries: Entries, occasion: Occasion) -> Mapping[str, tuple[int, int]]:
        settings.share(occasion.task, occasion.tasks)  # refused, if it is
        learning = entries.sizes if occasion.task == 1 else entries.weights
        found = {name: (size, size if name in learning else 0) for name, size in entries.sizes.items()}
        return found | cls._living_rows(entries)

    @property
    def mode(self) -> Mode:
        return "eval" if self.archive.tasks else "train"

    def begin_task(self, data: TaskData) -> None:
        self.place = data.task.number, data.tasks
        self.settings.share(*self.place)  # refused, if it is
        if self.archive.tasks:
            self._draw_free()
        self._hold_earlier(data.task.classes)

    def _draw_free(self) -> None:
        """Draw the weights anew that no task owns."""
        before = self.model.state_dict()
        assert self.own_rng is not None
        self.fresh(self.model, self.own_rng)
        drawn = self.model.state_dict()
        mixed = {p.name: np.where(self.archive.owners(p) > 0, before[p.name], drawn[p.name]) for p in self.shared}
        self.model.load_state_dict(before | mixed)

    def phases(self, data: TaskData) -> Sequence[Phase]:
        settings = self.settings
        if not settings.acts(data.task.number, data.tasks):
            return ()
        pulled, retrained = settings.epochs_of(data.epochs)
        return [
            Phase(kind, epochs, data.batch_size, "--prune-lr")
            for kind, epochs in (("admm", settings.rho_num * pulled), ("retraining", retrained))
        ]

    def begin_phase(self, data: TaskData, kind: str) -> None:
        self._forget_momentum()
        if kind == "admm":
            self.pulling = Pulling(self._owned(), self.settings, *self.place)
        else:
            self._cut()

    def phase_step(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        settings, batch, pulling = self.settings, data.take(part), self.pulling
        if pulling is None:
            self._retrain(batch, lr=settings.prune_lr)
            return
        period, before = divmod(at.epoch - 1, settings.epochs_of(data.epochs)[0])
        if at.step == 0:
            pulling.begin_epoch(before + 1)
        self._gradients(batch, pulling.multipliers)
        pulling.add(period)
        descent = SGD([*self.model.parameters(), *pulling.multipliers.values()], momentum=0.9)
        descent.step(rate(before + 1, highest=settings.prune_lr, every=settings.admm_epochs))
        self.on_pass("admm", len(part))

    def _gradients(self, batch: Batch, multipliers: Mapping[Parameter, Parameter]) -> None:
        """Of CE, for weights, and by dL/dm = dL/d(m w) w for multipliers."""
        self.model.zero_grads()
        with substituted({p: m.value * p.value for p, m in multipliers.items()}):
            logits = self.model.forward(batch.x, mode=self.mode)
            self.model.backward(cross_entropy(logits, batch.labels, classes=batch.classes)[1], need_dx=False)
        for parameter, own in multipliers.items():
            own.grad[...] = 0.0
            own.add_grad(parameter.grad * parameter.value)

    def _cut(self) -> None:
        """Let new weights alone be trained on, with all at 0 that is neither new nor used."""
        assert self.pulling is not None
        owned, used, (task, tasks) = self.pulling.owned, self.pulling.used(), self.place
        self.aside = {parameter.name: (used[parameter], parameter.value[one]) for parameter, one in owned.items()}
        for parameter, one in owned.items():
            new = ~one
            if self.settings.prunes(task, tasks):
                new = kept_weights(parameter.value, one, self.settings.share(task, tasks))
            parameter.value[...] = product(parameter.value, new | used[parameter])
            parameter.changed()
            parameter.freeze(~new)
        for parameter in self.rest:
            parameter.freeze(np.ones(parameter.value.shape, dtype=bool))
        self.pulling = None

    def end_task(self, data: TaskData) -> None:
        masks = {}
        for parameter, one in self._owned().items():
            new, used = ~one, one
            if self.aside:
                used, values = self.aside[parameter.name]
                new = np.zeros_like(one) if parameter.frozen is None else ~parameter.frozen
                parameter.value[one] = values
                parameter.changed()
            masks[parameter.name] = new | used
        self.aside = {}
        self.model.zero_grads()
        self._forget_momentum()
        self.archive.keep(self.model, data.task.number, data.task.classes, masks)

    def _owned(self) -> Chosen:
        return {parameter: self.archive.owners(parameter) > 0 for parameter in self.shared}

    def state(self) -> dict[str, Any]:
        aside = {name: [used.copy(), values.copy()] for name, (used, values) in self.aside.items()}
        pulling = None if self.pulling is None else self.pulling.state()
        return super().state() | {"place": list(self.place), "pulling": pulling, "aside": aside}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        task, tasks = state["place"]
        self.place = task, tasks
        self.aside = {name: (np.array(used), np.array(values)) for name, (used, values) in state["aside"].items()}
        self.pulling = None
        if state["pulling"] is not None:
            self.pulling = Pulling(self._owned(), self.settings, *self.place)
            self.pulling.load_state(state["pulling"])
