"""How many weights live, and how many get a gradient, at a sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from sparcl_ref.config import Config
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import budget, budgets
from sparcl_ref.sparcl.dgm import gradient_sparsity


@dataclass(frozen=True, eq=False)
class Counts:
    """Living weights, and weights whose gradient is formed, by layer; layers not named are dense.

    Compared by identity: `epoch_plans` makes each of the few that occur in a run once.
    """

    active: Mapping[str, int]
    grad_active: Mapping[str, int]


def living(spec: ModelSpec, config: Config, sparsity: float | Fraction) -> dict[str, int]:
    """Living weights of each sparsifiable layer at a sparsity.

    For budgets "global" each layer gets its proportional share, which a run need not: importance decides there.
    """
    layers = spec.sparsifiable
    if not layers:
        return {}
    kind = "uniform" if config.budgets == "global" else config.budgets
    numbers = budgets([layer.weight_shape for layer in layers], sparsity, kind)
    return {layer.name: number for layer, number in zip(layers, numbers, strict=True)}


def with_gradient(spec: ModelSpec, config: Config, active: Mapping[str, int]) -> dict[str, int]:
    """Weights whose gradient is formed between refreshes: s + q of each layer is masked, or as much as is dead."""
    if not config.dgm or config.sparsity is None:
        return dict(active)
    masked = gradient_sparsity(config.sparsity, config.dgm_q)
    return {layer.name: min(active[layer.name], budget(layer.weights, masked)) for layer in spec.sparsifiable}


class AtSparsity(NamedTuple):
    """Masks at one sparsity: with gradient masks as between refreshes, and without any."""

    usual: Counts
    ungated: Counts


class MaskCounts:
    """Counts of living weights by sparsity, each worked out once."""

    def __init__(self, spec: ModelSpec, config: Config):
        self.spec = spec
        self.config = config
        self._known: dict[Fraction, AtSparsity] = {}

    def at(self, sparsity: Fraction) -> AtSparsity:
        """The counts at a sparsity; all layers dense for a method without SparCL."""
        if sparsity not in self._known:
            active = living(self.spec, self.config, sparsity) if self.config.sparse else {}
            grads = with_gradient(self.spec, self.config, active) if self.config.sparse else {}
            self._known[sparsity] = AtSparsity(Counts(active, grads), Counts(active, active))
        return self._known[sparsity]


def is_nominal(config: Config) -> bool:
    """Whether a run may differ from what these counts say.

    So it is with budgets shared by all layers, with rules that keep what passes a threshold instead of a number, and
    with policies that move within an epoch, because counts are those of whole epochs.
    """
    by_value = config.budgets == "global" or not config.rules.counts
    return config.sparse and (by_value or config.policy_class.by_step)
