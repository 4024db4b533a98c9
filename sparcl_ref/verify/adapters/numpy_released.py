"""The rules of the published code under the protocol's names."""

from __future__ import annotations

import numpy as np

from sparcl_ref.masks import exact
from sparcl_ref.sparcl import released
from sparcl_ref.sparcl.released import (
    flip_score,
    grow_count_by_value,
    last_gradient_importance,
    magnitude_initial_mask,
    percentile_gradient_mask,
    shrink_above_percentile,
)
from sparcl_ref.sparcl.structured import best_patterns as _best_patterns
from sparcl_ref.verify.adapters.numpy_rules import coded, stage

__all__ = [
    "best_patterns",
    "flip_counts",
    "flip_score",
    "frozen_zeros",
    "grow_by_value",
    "grow_count_by_value",
    "last_gradient_importance",
    "magnitude_initial_mask",
    "percentile_gradient_mask",
    "released_sparsities",
    "released_tdm_actions",
    "shrink_above_percentile",
]


def released_tdm_actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra):
    return coded(_actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra))


def released_sparsities(task, epochs, sparsity, delta_k, p_inter, p_intra):
    now, sparsities = exact(sparsity), []
    for epoch in range(1, epochs + 1):
        for action in _actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra):
            now = action.sparsity
        sparsities.append(float(now))
    return sparsities


def _actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    return released.released_tdm_actions(task, epoch, epochs=epochs, **settings)


def grow_by_value(weight, sparsity, joining):
    return released.grow_by_value(weight, sparsity, joining)


def flip_counts(samples, positions, correct):
    statistics = stage(samples, positions, correct)
    return statistics.flips, statistics.ever_correct


def frozen_zeros(value):
    mask = released.frozen_zeros(value)
    return np.ones(value.shape, dtype=bool) if mask is None else mask


def best_patterns(weight):
    return _best_patterns(weight)
