"""GMP, gradual magnitude pruning (Zhu & Gupta 2018): from dense to sparse along a cubic ramp."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from sparcl_ref import masks
from sparcl_ref.masks import exact
from sparcl_ref.policies.base import Action, Policy
from sparcl_ref.settings import OwnSettings, setting
from sparcl_ref.sparcl.rule import Rng


def cubic_sparsity(now: int, *, steps: int, final: Fraction) -> Fraction:
    """final (1 - (1 - now / steps)^3), exactly: dense at 0, at its final value from ``steps`` on."""
    left = 1 - Fraction(now, steps) if now < steps else Fraction(0)
    return final * (1 - left**3)


class GMP(Policy):
    """The smallest |w| leave over the middle half of all steps, every ``delta_t`` of them and at its end.

    The run is dense before, and masks stay afterwards. The ramp goes over the run, not over each task: what is gone
    does not come back [F].
    """

    title = heads = "GMP"
    single = True
    by_step = True

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        delta_t: int = setting(100, "steps between changes of the mask", at_least=1)

    @property
    def initial_sparsity(self) -> Fraction:
        return Fraction(0)

    @property
    def mean_sparsity(self) -> Fraction:
        steps = self.schedule.progress(1, 1, 0, once=True)[1]
        ramp, end = self._ramp(steps)
        moments = [*ramp, end, steps]
        spent = [self._at(now, steps) * (then - now) for now, then in pairwise(moments)]
        return sum(spent, Fraction(0)) / steps if steps else self._at(0, 0)

    def init(self, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
        return np.ones(weight.shape, dtype=bool)

    def actions(self, task: int, epoch: int, step: int = 0) -> tuple[Action, ...]:
        now, steps = self.schedule.progress(task, epoch, step, once=True)
        ramp, end = self._ramp(steps)
        due = now in ramp or now == end
        return (Action("shrink", self._at(now, steps)),) if due and steps and self.schedule.sparsity else ()

    def _ramp(self, steps: int) -> tuple[range, int]:
        """The steps before which weights leave, and the last of them."""
        begin, end = steps // 4, 3 * steps // 4
        return range(begin + self.settings.delta_t, end, self.settings.delta_t), end

    def _at(self, now: int, steps: int) -> Fraction:
        """The sparsity from a step of the ramp on."""
        begin, end = steps // 4, 3 * steps // 4
        return cubic_sparsity(now - begin, steps=end - begin, final=exact(self.schedule.sparsity))

    def drop(
        self, mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, *, active: int, sparsity: Fraction
    ) -> np.ndarray:
        return masks.shrink(mask, scores, active)
