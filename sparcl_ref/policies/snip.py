"""SNIP (Lee et al., ICLR 2019): one batch says which weights live, for good."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from sparcl_ref import masks
from sparcl_ref.layers import Parameter
from sparcl_ref.masks import exact
from sparcl_ref.policies.base import Action, Policy
from sparcl_ref.sparcl.rule import Rng, Scores, SizedProbe


def connection_sensitivity(weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """|w dL/dw|: how much the loss would change if the weight were taken away, to first order."""
    return np.abs(weight * gradient)


class SNIP(Policy):
    """The largest |w dL/dw| stay, by the first batch of task 1 through the dense network, which updates nothing.

    The budgets of the run decide what is ranked together: each layer by itself at given ratios [V,
    google-research/rigl], or with ``budgets = global`` all layers together, as in the paper. That the batch is spent is
    rigl's, too [V]. A layer left without a weight ends the run.
    """

    title = heads = "SNIP"
    single = True
    by_step = True
    spends = "snip"

    @property
    def initial_sparsity(self) -> Fraction:
        return Fraction(0)

    def init(self, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
        return np.ones(weight.shape, dtype=bool)

    def actions(self, task: int, epoch: int, step: int = 0) -> tuple[Action, ...]:
        s = exact(self.schedule.sparsity)
        return (Action("shrink", s),) if s and (task, epoch, step) == (1, 1, 0) else ()

    def scores(self, parameters: Sequence[Parameter], probe: SizedProbe, rng: Rng) -> Scores:
        return [connection_sensitivity(parameter.value, parameter.grad) for parameter in parameters]

    def drop(
        self, mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, *, active: int, sparsity: Fraction
    ) -> np.ndarray:
        return masks.shrink(mask, scores, active)

    def accept(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if not parameter.active:
                raise ValueError(
                    f"SNIP leaves no weight of {parameter.name} alive at sparsity {self.schedule.sparsity:g}, so that "
                    "nothing could be learned; choose a lower --sparsity, or other --budgets"
                )
