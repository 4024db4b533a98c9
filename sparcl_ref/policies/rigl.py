"""RigL, rigging the lottery (Evci et al., ICML 2020): the smallest leave, those with the largest gradient join."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from sparcl_ref import masks
from sparcl_ref.layers import Parameter
from sparcl_ref.policies.base import Action
from sparcl_ref.policies.exchange import Exchange
from sparcl_ref.sparcl.rule import Rng, Scores, SizedProbe


def grow_by_gradient(mask: np.ndarray, gradient: np.ndarray, active: int) -> np.ndarray:
    """The mask and the largest |gradient| outside it, until ``active`` live; among equals the lower index joins.

    Raises
    ------
    ValueError
        If more live already, or a gradient outside the mask is NaN or infinite.
    """
    return mask | masks.shrink(~mask, np.abs(gradient), active - int(np.count_nonzero(mask)))


class RigL(Exchange):
    """The smallest |w| leave, and of those not kept as many of the largest |dL/dw| join, at 0.

    L is the whole loss of the step, new and replayed samples, with dead weights at 0 [F, for a stream]. That step
    updates nothing, and ``delta_t`` updates follow it before the next one [V, the authors' code]. Their noise of 1e-5
    on |w| is left out [F]. A step costs (3 f_s delta_t + 2 f_s + f_D) / (delta_t + 1) on average, with f_s and f_D a
    forward pass of the sparse and of the dense network (appendix on FLOPs).
    """

    title = heads = "RigL"
    spends = "growth"

    def actions(self, task: int, epoch: int, step: int = 0) -> tuple[Action, ...]:
        return self.exchange_at((task, epoch, step), period=self.settings.delta_t + 1)

    def growth_scores(self, parameters: Sequence[Parameter], probe: SizedProbe, rng: Rng) -> Scores:
        return [parameter.grad for parameter in parameters]

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
        assert scores is not None
        return grow_by_gradient(mask, scores, active)
