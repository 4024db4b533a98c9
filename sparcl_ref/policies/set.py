"""SET, sparse evolutionary training (Mocanu et al., Nature Communications 2018): small ones leave, random ones join."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref import masks
from sparcl_ref.masks import exact
from sparcl_ref.policies.base import Action
from sparcl_ref.policies.exchange import Exchange
from sparcl_ref.settings import setting
from sparcl_ref.sparcl.rule import Rng


def keep_of_each_sign(mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """The living less a share, truncated, of the positive and of the negative weights, the lowest scores first.

    A weight that is 0 counts among the positive [F].
    """
    kept = np.zeros_like(mask)
    for some in (mask & (weight < 0), mask & (weight >= 0)):
        living = int(np.count_nonzero(some))
        kept |= masks.shrink(some, scores, living - math.trunc(living * share))
    return kept


class SET(Exchange):
    """The smallest |w| leave, and as many random ones of those that are not kept join, at 0.

    ``set_form = rigl`` [V, google-research/rigl]: every ``delta_t`` steps, before the update, a share that fades.
    ``set_form = paper`` [V, the authors' code]: before every epoch but the first, of the positive and of the negative
    weights the share ``drop`` nearest to 0, always the same; there a weight that leaves and joins at once starts at a
    random value, here it keeps its own [F].
    """

    title = heads = "SET"

    @dataclass(frozen=True)
    class Settings(Exchange.Settings):
        set_form: str = setting("rigl", "of RigL's authors, or of the paper", choices=("rigl", "paper"))

        def idle(self) -> Iterator[tuple[str, str]]:
            yield from super().idle()
            if self.set_form == "paper":
                yield from ((name, "--set-form paper") for name in ("delta_t", "t_end", "mask_schedule"))

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        return super().remarks(settings) if settings.set_form == "rigl" else ["paper's form"]

    def actions(self, task: int, epoch: int, step: int = 0) -> tuple[Action, ...]:
        if self.settings.set_form == "rigl":
            return self.exchange_at((task, epoch, step), period=self.settings.delta_t)
        if step or (task, epoch) == (1, 1) or not (self.schedule.sparsity and self.settings.drop):
            return ()
        return (Action("exchange", exact(self.schedule.sparsity), self.settings.drop),)

    def drop(
        self, mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, *, active: int, sparsity: Fraction
    ) -> np.ndarray:
        if self.settings.set_form == "paper":
            return keep_of_each_sign(mask, weight, scores, self.settings.drop)
        return super().drop(mask, weight, scores, active=active, sparsity=sparsity)

    def grow(
        self,
        mask: np.ndarray,
        weight: np.ndarray,
        rng: Rng,
        *,
        active: int,
        sparsity: Fraction,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        return masks.grow(mask, active, rng)
