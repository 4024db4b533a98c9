"""What SET and RigL share: every so many steps some weights leave and as many join, ever fewer as training goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref import masks
from sparcl_ref.masks import exact
from sparcl_ref.policies.base import Action, Policy
from sparcl_ref.settings import OwnSettings, setting


def cosine_share(now: int, *, end: float, highest: float) -> float:
    """highest / 2 (1 + cos(pi now / end)): all of it at 0, nothing from the end on (Evci et al. 2020, section 3)."""
    return highest / 2 * (1 + math.cos(math.pi * now / end)) if now < end else 0.0


class Exchange(Policy):
    """At step t a share of the living weights, `cosine_share` of ``drop``, gives way; the smallest |w| go first.

    Their number is truncated, and ties keep the lower index. One that leaves and joins at once keeps value and momentum
    [V, the authors' code of RigL]; others join at 0. ``mask_schedule = per_task`` counts t from each task's begin, so
    that the cosine restarts, ``once`` over the whole run [F: the paper has one task].
    """

    single = True
    by_step = True

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        delta_t: int = setting(100, "steps between changes of the mask", at_least=1)
        drop: float = setting(0.3, "largest share of the living weights that is replaced", at_least=0, at_most=1)
        t_end: float = setting(0.75, "share of the steps after which masks stay", above=0, at_most=1)
        mask_schedule: str = setting(
            "per_task", "whether the share fades over each task or over the run", choices=("per_task", "once")
        )

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.drop == 0:
                yield from ((name, "--drop 0") for name in ("delta_t", "t_end", "mask_schedule"))

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        return ["once"] if settings.mask_schedule == "once" else []

    def exchange_at(self, place: tuple[int, int, int], *, period: int) -> tuple[Action, ...]:
        """The exchange at every ``period``-th step from the first on, while the share is not 0."""
        now, steps = self.schedule.progress(*place, once=self.settings.mask_schedule == "once")
        if now % period or not self.schedule.sparsity:
            return ()
        share = cosine_share(now, end=self.settings.t_end * steps, highest=self.settings.drop)
        return (Action("exchange", exact(self.schedule.sparsity), share),) if share else ()

    def drop(
        self, mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, *, active: int, sparsity: Fraction
    ) -> np.ndarray:
        return masks.shrink(mask, scores, active)
