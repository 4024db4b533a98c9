"""LPS, Learn-Prune-Share (Wang et al., ICDM 2020): a task's weights are pulled towards few, and earlier ones chosen."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.layers.base import Mode
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.admm import Pulled, few_weights, is_due, kept_multipliers, kept_weights, ones_and_zeros, rate
from sparcl_ref.methods.isolation import IsolationMethod
from sparcl_ref.methods.lps_settings import LPSSettings
from sparcl_ref.methods.records import Batch, Entries, Occasion, Passes, TaskData
from sparcl_ref.methods.score_mask import product
from sparcl_ref.methods.substitute import substituted
from sparcl_ref.optimizers import SGD

#: Of each shared weight, its entries: those that earlier tasks own, or that are kept.
Chosen = Mapping[Parameter, np.ndarray]


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

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "end_task" and settings.acts(occasion.task, occasion.tasks):
            least = (occasion.size % occasion.batch_size or occasion.batch_size) if occasion.task == 1 else 0
            pulled, retrained = settings.epochs_of(occasion.epochs)
            for kind, epochs in (("admm", settings.rho_num * pulled), ("retraining", retrained)):
                yield Passes(kind, epochs * occasion.size, charged=True, least=least if epochs else 0)

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
        self.settings.share(data.task.number, data.tasks)
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

    def end_task(self, data: TaskData) -> None:
        task, settings = data.task.number, self.settings
        owned = {parameter: self.archive.owners(parameter) > 0 for parameter in self.shared}
        new, used = {parameter: ~one for parameter, one in owned.items()}, owned
        if settings.acts(task, data.tasks):
            share = settings.share(task, data.tasks) if settings.prunes(task, data.tasks) else None
            multipliers = self._pull(data, owned, share)
            if share is not None:
                new = {p: kept_weights(p.value, one, share) for p, one in owned.items()}
            ratio = settings.adaptive_ratio
            used = owned | {p: kept_multipliers(m.value, owned[p], ratio) for p, m in multipliers.items()}
            self._cut_and_retrain(data, owned, new, used)
        self._forget_momentum()
        self.archive.keep(self.model, task, data.task.classes, {p.name: new[p] | used[p] for p in self.shared})

    def _pull(self, data: TaskData, owned: Chosen, share: Fraction | None) -> dict[Parameter, Parameter]:
        """The periods of ADMM; returns the multipliers of each weight, none where nothing is shared by choice."""
        settings, multipliers = self.settings, dict[Parameter, Parameter]()
        weights, choices = list[Pulled](), list[Pulled]()
        for parameter, one in owned.items():
            if share is not None:
                weights.append(Pulled(parameter, ~one, functools.partial(few_weights, owned=one, share=share)))
            if settings.shares_by_choice(data.task.number):
                own = multipliers[parameter] = Parameter(f"{parameter.name} of m", np.ones_like(parameter.value))
                own.freeze(~one)
                cut = functools.partial(ones_and_zeros, owned=one, share=settings.adaptive_ratio)
                choices.append(Pulled(own, one, cut))
        self._forget_momentum()
        descent = SGD([*self.model.parameters(), *multipliers.values()], momentum=0.9)
        for period in range(settings.rho_num):
            for pulled in (*weights, *choices):
                pulled.start()
            for epoch in range(1, settings.epochs_of(data.epochs)[0] + 1):
                for group, every in ((weights, settings.admm_epochs), (choices, settings.mask_admm_epochs)):
                    for pulled in group if is_due(epoch, every) else ():
                        pulled.move()
                lr = rate(epoch, highest=settings.prune_lr, every=settings.admm_epochs)
                for batch in self._shuffled(data):
                    self._gradients(batch, multipliers)
                    for pulled in (*weights, *choices):
                        pulled.add(settings.rho * 10**period)
                    descent.step(lr)
                self.on_pass("admm", len(data))
        return multipliers

    def _gradients(self, batch: Batch, multipliers: Mapping[Parameter, Parameter]) -> None:
        """Of CE, for weights, and by dL/dm = dL/d(m w) w for multipliers."""
        self.model.zero_grads()
        with substituted({p: m.value * p.value for p, m in multipliers.items()}):
            logits = self.model.forward(batch.x, mode=self.mode)
            self.model.backward(cross_entropy(logits, batch.labels, classes=batch.classes)[1], need_dx=False)
        for parameter, own in multipliers.items():
            own.grad[...] = 0.0
            own.add_grad(parameter.grad * parameter.value)

    def _cut_and_retrain(self, data: TaskData, owned: Chosen, new: Chosen, used: Chosen) -> None:
        """Retrain new weights, with all at 0 that is neither new nor used; owned ones have their values afterwards."""
        values = {parameter: parameter.value.copy() for parameter in self.shared}
        for parameter in self.shared:
            parameter.value[...] = product(parameter.value, new[parameter] | used[parameter])
            parameter.changed()
            parameter.freeze(~new[parameter])
        for parameter in self.rest:
            parameter.freeze(np.ones(parameter.value.shape, dtype=bool))
        self._retrain(data, epochs=self.settings.epochs_of(data.epochs)[1], lr=self.settings.prune_lr)
        for parameter, value in values.items():
            parameter.value[owned[parameter]] = value[owned[parameter]]
            parameter.changed()
