"""Rules of the published code, as the twin has them, under the names of the conformance protocol."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import ddr, released
from .adapter_masks import grow
from .adapter_schedules import coded, stage

__all__ = [
    "flip_counts",
    "flip_score",
    "frozen_zeros",
    "grow_by_value",
    "grow_count_by_value",
    "keep_with_unpresented",
    "last_gradient_importance",
    "magnitude_initial_mask",
    "percentile_gradient_mask",
    "released_sparsities",
    "released_tdm_actions",
    "shrink_above_percentile",
    "truncated_ddr_sizes",
]


def magnitude_initial_mask(*, weight: Any, sparsity: str) -> Tensor:
    return released.initial_mask(torch.as_tensor(weight), Fraction(sparsity))


def released_tdm_actions(
    *, task: int, epoch: int, epochs: int, sparsity: str, delta_k: int, p_inter: str, p_intra: str
) -> tuple[list[int], list[float]]:
    steps = {"sparsity": sparsity, "p_inter": p_inter, "p_intra": p_intra}
    return coded(released.mask_actions(epoch - 1, epochs=epochs, delta_k=delta_k, **steps))


def released_sparsities(
    *, task: int, epochs: int, sparsity: str, delta_k: int, p_inter: str, p_intra: str
) -> list[float]:
    steps = {"sparsity": sparsity, "p_inter": p_inter, "p_intra": p_intra}
    now, found = float(sparsity), []
    for epoch in range(epochs):
        for action in released.mask_actions(epoch, epochs=epochs, delta_k=delta_k, **steps):
            now = float(action.target)
        found.append(now)
    return found


def shrink_above_percentile(*, weight: Any, importance: Any, sparsity: str) -> Tensor:
    above = released.above_threshold(torch.as_tensor(importance), float(sparsity))
    return above & released.alive(torch.as_tensor(weight))


def last_gradient_importance(*, weight: Any, last_grad: Any) -> Tensor:
    return released.importance(torch.as_tensor(weight), torch.as_tensor(last_grad), 0.5)


def grow_count_by_value(*, weight: Any, sparsity: str) -> int:
    return released.growth_count(torch.as_tensor(weight), float(sparsity))


def grow_by_value(*, weight: Any, sparsity: str, joining: Any) -> Tensor:
    alive = released.alive(torch.as_tensor(weight))
    active = int(alive.sum()) + grow_count_by_value(weight=weight, sparsity=sparsity)
    return grow(mask=alive, active=active, joining=joining)


def percentile_gradient_mask(*, grad: Any, sparsity: str) -> Tensor:
    return released.gradient_mask(torch.as_tensor(grad), float(sparsity))


def flip_counts(*, samples: int, positions: Any, correct: Any) -> tuple[np.ndarray, np.ndarray]:
    statistics = stage(samples, positions, correct)
    return statistics.flips, statistics.ever_correct


def flip_score(*, flips: Any, ever_correct: Any, epochs: int) -> np.ndarray:
    return released.ddr_scores(np.asarray(flips), np.asarray(ever_correct), epochs)


def truncated_ddr_sizes(*, samples: int, rho: str, cutoff: int) -> list[int]:
    each = released.removed_per_stage(samples, rho, cutoff)
    return [samples - stage * each for stage in range(cutoff + 1)]


def keep_with_unpresented(*, scores: Any, presented: Any, keep: int) -> np.ndarray:
    scores, places = np.asarray(scores), np.arange(len(scores))
    seen = np.asarray(presented)
    stays, _ = ddr.remove(places[seen], scores, len(scores) - keep)
    return np.union1d(stays, places[~seen])


def frozen_zeros(*, value: Any) -> Tensor:
    value = torch.as_tensor(value)
    entries = released.frozen_entries(value)
    return torch.ones(value.shape, dtype=torch.bool) if entries is None else entries
