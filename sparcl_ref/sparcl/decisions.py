"""Both sides of each decision on which the paper and its published code differ, as the fields of `Rules` ask for it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref import masks
from sparcl_ref.layers import Parameter
from sparcl_ref.sparcl import ddr, dgm, released, structured, tdm
from sparcl_ref.sparcl.importance import cgi, cwi
from sparcl_ref.sparcl.rule import Probe, Rng, Rule, Scores, rule


@rule()
def initial_mask_random(weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """A uniformly random mask with an exact budget."""
    return masks.random_mask(weight.shape, active, rng)


@rule(counts=False)
def initial_mask_magnitude(weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """The initial weights above a percentile of their magnitude."""
    return released.magnitude_initial_mask(weight, sparsity)


def schedule_paper(task: int, epoch: int, *, epochs: int, **settings: Any) -> tuple[tdm.Action, ...]:
    """Algorithm 1, which takes an expansion back within its task."""
    if settings["sparsity"]:
        tdm.check_schedule(epochs=epochs, delta_k=settings["delta_k"], p_inter=settings["p_inter"])
    return tdm.tdm_actions(task, epoch, **settings)


def schedule_released(task: int, epoch: int, *, epochs: int, **settings: Any) -> tuple[tdm.Action, ...]:
    """The published code's, which takes an expansion back one epoch later, so that delta_k may be 1."""
    if settings["sparsity"]:
        tdm.check_schedule(epochs=epochs, delta_k=settings["delta_k"], p_inter=settings["p_inter"], least=1)
    return released.released_tdm_actions(task, epoch, epochs=epochs, **settings)


@rule()
def shrink_budget(
    mask: np.ndarray, weight: np.ndarray, importance: np.ndarray, *, active: int, sparsity: Fraction
) -> np.ndarray:
    """Exactly the budget stays alive."""
    return masks.shrink(mask, importance, active)


@rule(counts=False)
def shrink_percentile(
    mask: np.ndarray, weight: np.ndarray, importance: np.ndarray, *, active: int, sparsity: Fraction
) -> np.ndarray:
    """What is above a percentile of all entries stays alive."""
    return released.shrink_above_percentile(weight, importance, sparsity)


@rule()
def grow_budget(mask: np.ndarray, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """Dead weights join until exactly the budget lives."""
    return masks.grow(mask, active, rng)


@rule(counts=False)
def grow_value(mask: np.ndarray, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """Zeros join, counted by value."""
    return released.grow_by_value(weight, sparsity, rng)


@rule(probes=True)
def importance_probe(parameters: Sequence[Parameter], probe: Probe, rng: Rng, *, alpha: float, beta: float) -> Scores:
    """Equation 1 on probe gradients."""
    return [
        cwi(parameter.value, current, memory, alpha=alpha, beta=beta)
        for parameter, current, memory in zip(parameters, *probe(parameters), strict=True)
    ]


@rule()
def importance_last_gradient(parameters: Sequence[Parameter], probe: Probe, rng: Rng, **unused: float) -> Scores:
    """Magnitude and the gradient left by the last step."""
    return [released.last_gradient_importance(parameter.value, parameter.grad) for parameter in parameters]


@rule()
def importance_magnitude(parameters: Sequence[Parameter], probe: Probe, rng: Rng, **unused: float) -> Scores:
    """|w| alone."""
    return [np.abs(parameter.value) for parameter in parameters]


@rule()
def importance_random(parameters: Sequence[Parameter], probe: Probe, rng: Rng, **unused: float) -> Scores:
    """Chance."""
    return [rng.random(parameter.value.shape) for parameter in parameters]


def negated(importance: Rule) -> Rule:
    """The least important first to stay: what choosing badly costs."""
    return dataclasses.replace(importance, apply=functools.partial(_negative, importance.apply))


def _negative(importance: Callable[..., Scores], *args: Any, **settings: Any) -> Scores:
    return [-score for score in importance(*args, **settings)]


#: What ranks the weights when a mask shrinks, made from the profile's rule: "cwi" is that rule itself, the others are
#: there to find out what it is worth.
IMPORTANCES: dict[str, Callable[[Rule], Rule]] = {
    "cwi": lambda profile: profile,
    "negated_cwi": negated,
    "magnitude": lambda profile: importance_magnitude,
    "random": lambda profile: importance_random,
}


@rule()
def gradient_mask_cgi(
    mask: np.ndarray, current: np.ndarray, replay: np.ndarray, *, sparsity: Fraction, alpha: float, beta: float
) -> np.ndarray:
    """The most important living weights by equation 3."""
    return dgm.gradient_mask(mask, cgi(current, replay, alpha=alpha, beta=beta), sparsity)


@rule(counts=False)
def gradient_mask_percentile(
    mask: np.ndarray, current: np.ndarray, replay: np.ndarray, *, sparsity: Fraction, alpha: float, beta: float
) -> np.ndarray:
    """Gradients at or above a percentile of the whole gradient."""
    return released.percentile_gradient_mask(current + replay, sparsity) & mask


def score_misclassified(statistics: ddr.StageStatistics, epochs: int) -> np.ndarray:
    """How often a sample was misclassified."""
    return statistics.wrong


def score_flips(statistics: ddr.StageStatistics, epochs: int) -> np.ndarray:
    """How often a sample was forgotten."""
    return released.flip_score(statistics.flips, statistics.ever_correct, epochs)


def keep_by_score(scores: np.ndarray, statistics: ddr.StageStatistics, keep: int) -> np.ndarray:
    """Any sample can go."""
    return ddr.ddr_keep(scores, keep)


def keep_unpresented(scores: np.ndarray, statistics: ddr.StageStatistics, keep: int) -> np.ndarray:
    """A sample that was not presented in the stage stays."""
    return released.keep_with_unpresented(scores, statistics.presented, keep)


@rule()
def freeze_nothing(value: np.ndarray) -> np.ndarray | None:
    """No parameter is frozen."""
    return None


@rule(counts=False)
def freeze_zeros(value: np.ndarray) -> np.ndarray | None:
    """Parameters that start with many zeros stay zero there."""
    return released.frozen_zeros(value)


def by_norms(kind: structured.Structure) -> dict[str, Rule]:
    """The rules of a structured kind, which read life from values and rank by norms: no probe is taken for them."""
    grow = keep_mask if kind.grow is None else functools.partial(_grow_units, kind.grow)
    return {
        "initial_mask": Rule(functools.partial(_best_units, kind.shrink), counts=False),
        "importance": importance_magnitude,
        "shrink": Rule(functools.partial(_best_living_units, kind.shrink), counts=False),
        "grow": Rule(grow, counts=False),
    }


def _best_units(shrink: Callable[..., np.ndarray], weight: np.ndarray, rng: Rng, **target: Any) -> np.ndarray:
    extreme = released.extreme_initial_mask(weight, target["sparsity"])
    return shrink(weight, target["sparsity"]) if extreme is None else extreme


def _best_living_units(
    shrink: Callable[..., np.ndarray], mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, **target: Any
) -> np.ndarray:
    return shrink(weight, target["sparsity"])


def _grow_units(
    grow: Callable[..., np.ndarray], mask: np.ndarray, weight: np.ndarray, rng: Rng, **target: Any
) -> np.ndarray:
    return grow(weight, target["sparsity"], rng)


def keep_mask(mask: np.ndarray, weight: np.ndarray, rng: Rng, **target: Any) -> np.ndarray:
    """Nothing joins."""
    return mask
