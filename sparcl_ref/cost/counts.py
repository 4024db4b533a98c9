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

    Compared by identity: `epoch_plans` makes each of the few that occur in a run once. ``still`` entries of other
    parameters have no gradient.
    """

    active: Mapping[str, int]
    grad_active: Mapping[str, int]
    still: int = 0


class AtSparsity(NamedTuple):
    """Masks at one sparsity: with gradient masks as between refreshes, and without any."""

    usual: Counts
    ungated: Counts


def counts_at(spec: ModelSpec, config: Config, sparsity: float | Fraction) -> AtSparsity:
    """The counts of a run's masks at a sparsity; all layers are dense for a method without SparCL.

    For budgets "global" each layer gets its proportional share, which a run need not: importance decides there. Between
    refreshes the gradients of s + q of each layer are masked, or as many as are dead.
    """
    layers = spec.sparsifiable
    if config.sparsity is None or not layers:
        return AtSparsity(Counts({}, {}), Counts({}, {}))
    kind = "uniform" if config.budgets == "global" else config.budgets
    numbers = budgets([layer.weight_shape for layer in layers], sparsity, kind)
    active = {layer.name: number for layer, number in zip(layers, numbers, strict=True)}
    masked = gradient_sparsity(config.sparsity, config.dgm_q) if config.dgm else 0
    formed = {layer.name: min(active[layer.name], budget(layer.weights, masked)) for layer in layers}
    return AtSparsity(Counts(active, formed), Counts(active, active))


def counts_of(spec: ModelSpec, living: Mapping[str, tuple[int, int]]) -> Counts:
    """The counts of masks that a method says itself, for every parameter; see `Method.living`."""
    layers = {layer.name: living[layer.parameter] for layer in spec.layers if layer.parameter in living}
    others = living.keys() - {layer.parameter for layer in spec.layers}
    return Counts(
        active={name: alive for name, (alive, _) in layers.items()},
        grad_active={name: formed for name, (_, formed) in layers.items()},
        still=sum(spec.parameter_sizes[name] - living[name][1] for name in others),
    )
