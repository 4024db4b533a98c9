"""What LPS holds while it pulls a task's weights and multipliers: projections, dual variables, and multipliers."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.methods.admm import Pulled, Split, few_weights, is_due, kept_multipliers, ones_and_zeros
from sparcl_ref.methods.lps_settings import LPSSettings

#: Of each shared weight, its entries: those that earlier tasks own, or that are kept.
Chosen = Mapping[Parameter, np.ndarray]


class Pulling:
    """The variables of a task's periods, as they are before the first.

    Attributes
    ----------
    multipliers : dict of Parameter to Parameter
        Of each shared weight, where the task chooses among those of earlier ones; else empty.
    """

    def __init__(self, owned: Chosen, settings: LPSSettings, task: int, tasks: int):
        self.settings, self.owned = settings, owned
        self.multipliers: dict[Parameter, Parameter] = {}
        self._weights, self._choices = list[Pulled](), list[Pulled]()
        for parameter, one in owned.items():
            if settings.prunes(task, tasks):
                cut = functools.partial(few_weights, owned=one, share=settings.share(task, tasks))
                self._weights.append(Pulled(parameter, ~one, cut))
            if settings.shares_by_choice(task):
                own = self.multipliers[parameter] = Parameter(f"{parameter.name} of m", np.ones_like(parameter.value))
                own.freeze(~one)
                cut = functools.partial(ones_and_zeros, owned=one, share=settings.adaptive_ratio)
                self._choices.append(Pulled(own, one, cut))

    @property
    def _all(self) -> Sequence[Pulled]:
        return (*self._weights, *self._choices)

    def begin_epoch(self, epoch: int) -> None:
        """Start anew in the first epoch of a period, take a dual step where one is due in another."""
        settings = self.settings
        for group, every in ((self._weights, settings.admm_epochs), (self._choices, settings.mask_admm_epochs)):
            for pulled in group:
                if epoch == 1:
                    pulled.start()
                elif is_due(epoch, every):
                    pulled.move()

    def add(self, period: int) -> None:
        """Add the gradients of all pulls; periods count from 0."""
        for pulled in self._all:
            pulled.add(self.settings.rho * 10**period)

    def used(self) -> dict[Parameter, np.ndarray]:
        """Which weights of earlier tasks the task takes part with: those of the highest multipliers, or all."""
        ratio = self.settings.adaptive_ratio
        chosen = {p: kept_multipliers(m.value, self.owned[p], ratio) for p, m in self.multipliers.items()}
        return {**self.owned, **chosen}

    def state(self) -> dict[str, Any]:
        own = self.multipliers.items()
        multipliers = {p.name: [m.value.copy(), *(array.copy() for array in m.slots.values())] for p, m in own}
        return {"multipliers": multipliers, "splits": [[z.copy(), u.copy()] for z, u in (p.split for p in self._all)]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        for parameter, own in self.multipliers.items():
            value, *momentum = state["multipliers"][parameter.name]
            own.value[...] = value
            own.slots = dict(zip(("momentum",), map(np.array, momentum), strict=False))
            own.changed()
        for pulled, split in zip(self._all, state["splits"], strict=True):
            pulled.split = Split(*map(np.array, split))
