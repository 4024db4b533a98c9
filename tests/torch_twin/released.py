"""The eleven deviations of the published code (section 7), each as a function. Epochs count from 0, as they do
there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .masks import clamp, exact
from .tdm import Action


def _percentile(values: Tensor, fraction: float) -> float:
    """Linear-interpolated percentile over all entries; ValueError where one is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise ValueError("importance contains NaN or infinity and cannot be ranked")
    return float(np.percentile(values.detach().numpy(), 100 * float(fraction)))


def initial_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Rule 1: |w| above its percentile, strictly."""
    return weight.detach().abs() > _percentile(weight.detach().abs(), sparsity)


def mask_actions(
    epoch: int, *, epochs: int, delta_k: int, sparsity: float, p_inter: float, p_intra: float
) -> list[Action]:
    """Rule 2: grow to s - p_inter, later prune to s + p_intra and regrow to s, at last prune to s.

    The first in epoch 0 of every task, the second at multiples of delta_k below K - delta_k, the third at those from
    there on.
    """
    s, inter, intra = exact(sparsity), exact(p_inter), exact(p_intra)
    if epoch == 0:
        return [Action("expand", clamp(s - inter))]
    if epoch % delta_k != 0:
        return []
    if epoch < epochs - delta_k:
        return [Action("shrink", clamp(s + intra)), Action("expand", clamp(s))]
    return [Action("shrink", clamp(s))]


def above_threshold(importance: Tensor, target: float) -> Tensor:
    """Rule 3: importance above its percentile at the target sparsity, strictly."""
    return importance > _percentile(importance, target)


def importance(weight: Tensor, gradient: Tensor | None, coefficient: float) -> Tensor:
    """Rule 4: |w| + coefficient * |g|, g the whole loss's last gradient, masked already; |w| when there is none."""
    value = weight.detach().abs()
    return value if gradient is None else value + coefficient * gradient.abs()


def alive(weight: Tensor) -> Tensor:
    """Rule 5: what is not exactly zero lives."""
    return weight.detach() != 0


def growth_count(weight: Tensor, target: float) -> int:
    """Rule 5: int(zeros - target * n), zeros counted by value; never negative."""
    zeros = int((~alive(weight)).sum())
    return max(0, int(zeros - float(target) * weight.numel()))


def gradient_mask(gradient: Tensor, gradient_sparsity: float) -> Tensor:
    """Rule 6: |g| at or above its percentile over all entries of the layer, and not 0."""
    size = gradient.abs()
    return (size >= _percentile(size, gradient_sparsity)) & (gradient != 0)


def ddr_scores(flips: np.ndarray, ever_correct: np.ndarray, epochs: int) -> np.ndarray:
    """Rule 7: correct-to-wrong flips in the window, or the epochs of a task for a sample that was never correct."""
    return np.where(ever_correct, flips, epochs)


def frozen_entries(value: Tensor) -> Tensor | None:
    """Rule 8: living entries of a parameter with at least 10 % zeros in its initial value; None for any other."""
    zero = value.detach() == 0
    return ~zero if 10 * int(zero.sum()) >= zero.numel() else None


def full_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Rule 9: consecutive whole batches; a partial last one is skipped."""
    return [order[k : k + batch_size] for k in range(0, len(order) - batch_size + 1, batch_size)]


def replays(task: int, filled: int) -> bool:
    """Rule 10: replay from the second task on (replay_inputs of `Twin.step` carry the re-augmented images)."""
    return task > 1 and filled > 0


def default_initialisation(model: nn.Module, seed: int) -> None:
    """Rule 11: PyTorch's own initialisation of every layer, from a seed, leaving the global generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
