"""Mask schedule, data removal and buffer of the twin under the names of the conformance protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import buffer, ddr, masks, tdm
from .config import Config
from .removal import Removal

__all__ = [
    "completed_stage",
    "ddr_keep",
    "ddr_sizes",
    "misclassification_counts",
    "reservoir_add",
    "reservoir_fill",
    "reservoir_slot",
    "tdm_actions",
    "tdm_active_counts",
    "trained_samples",
]

NONE = -1


def coded(actions: Sequence[tdm.Action]) -> tuple[list[int], list[float]]:
    """Kinds as 0 for shrink and 1 for expand, and targets as numbers."""
    return [int(action.kind == "expand") for action in actions], [float(action.target) for action in actions]


def tdm_actions(
    *, task: int, epoch: int, sparsity: str, delta_k: int, p_inter: str, p_intra: str
) -> tuple[list[int], list[float]]:
    shifts = {"p_inter": p_inter, "p_intra": p_intra}
    return coded(tdm.actions(task, epoch, delta_k=delta_k, sparsity=sparsity, **shifts))


def tdm_active_counts(
    *, n: int, task: int, epochs: int, sparsity: str, delta_k: int, p_inter: str, p_intra: str
) -> list[int]:
    now, counts = masks.exact(sparsity), []
    for epoch in range(1, epochs + 1):
        for action in tdm.actions(task, epoch, delta_k=delta_k, sparsity=sparsity, p_inter=p_inter, p_intra=p_intra):
            now = action.target
        counts.append(masks.active_count(n, now))
    return counts


def ddr_sizes(*, samples: int, rho: str, cutoff: int) -> list[int]:
    return ddr.sizes(samples, rho, cutoff)


def stage(samples: int, positions: Any, correct: Any) -> Removal:
    """Statistics after presentations one by one: a stage may present a sample often."""
    statistics = Removal(Config())
    statistics.begin(samples)
    for position, right in zip(np.asarray(positions), np.asarray(correct), strict=True):
        statistics.count(np.array([position]), np.array([right]))
    return statistics


def misclassification_counts(*, samples: int, positions: Any, correct: Any) -> np.ndarray:
    return stage(samples, positions, correct).misclassified


def completed_stage(*, epoch: int, epochs: int, delta_k: int, cutoff: int) -> int:
    found = ddr.finished_stage(epoch, delta_k=delta_k, epochs=epochs)
    return NONE if found is None or found > cutoff else found


def ddr_keep(*, counts: Any, keep: int) -> np.ndarray:
    counts = np.asarray(counts)
    return ddr.remove(np.arange(len(counts)), counts, len(counts) - keep)[0]


def trained_samples(*, samples: int, epochs: int, delta_k: int, rho: str, cutoff: int) -> int:
    sizes = ddr.sizes(samples, rho, cutoff)
    return sum(sizes[min((epoch - 1) // delta_k, cutoff)] for epoch in range(1, epochs + 1))


def reservoir_slot(*, presented: int, capacity: int, draw: int) -> int:
    slot = buffer.reservoir_slot(presented, capacity, draw)
    return NONE if slot is None else slot


def reservoir_add(*, presented: int, capacity: int, draws: Any) -> tuple[list[int], int]:
    ranks = range(presented, presented + len(draws))
    slots = [
        reservoir_slot(presented=rank, capacity=capacity, draw=int(draw))
        for rank, draw in zip(ranks, draws, strict=True)
    ]
    return slots, ranks.stop


def reservoir_fill(*, capacity: int, batch_sizes: Sequence[int], uniforms: Any) -> np.ndarray:
    holds = buffer.Buffer(capacity)
    for size in batch_sizes:
        numbers = np.arange(holds.seen, holds.seen + size)
        blank = np.zeros((size, 1))
        holds.add(blank, numbers, blank, 1, np.floor(np.asarray(uniforms)[numbers] * (numbers + 1)))
    holding = np.full(capacity, NONE)
    holding[: len(holds)] = holds.content().get("labels", ())
    return holding
