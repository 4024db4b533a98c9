"""The eleven deviations of the published code (section 7), each as a function. Epochs count from 0, as they do
there."""

from __future__ import annotations

import math
from fractions import Fraction

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
    """Rule 1: |w| above its percentile, strictly; all at sparsity 0, none from .999 on."""
    size = weight.detach().abs()
    if float(sparsity) == 0:
        return torch.ones_like(size, dtype=torch.bool)
    if float(sparsity) >= 0.999:
        return torch.zeros_like(size, dtype=torch.bool)
    return size > _percentile(size, sparsity)


def mask_actions(
    epoch: int, *, epochs: int, delta_k: int, sparsity: float, p_inter: float, p_intra: float
) -> list[Action]:
    """Rule 2: prune to s and grow to s - p_inter, later prune to s + p_intra and regrow to s, at last prune to s.

    The first in epoch 0 of every task, the second at multiples of delta_k below K - delta_k, the third at those from
    there on. The published code has a lower and an upper bound for each span; where they are equal it does not grow,
    and a target above 1 is a percentile above 100: a ValueError.
    """
    s, inter, intra = exact(sparsity), exact(p_inter), exact(p_intra)
    if s == 0 or epoch % delta_k != 0:
        return []
    spans = [(delta_k, s, s - inter), (epochs - delta_k, s + intra, s), (math.inf, s, s)]
    lower, upper = next((lower, upper) for end, lower, upper in spans if epoch < end)
    if lower > 1:
        raise ValueError(f"target {float(lower)} of epoch {epoch} is above 1")
    return [Action("shrink", lower), *([Action("expand", clamp(upper))] if lower != upper else [])]


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
    """Rule 8: living entries of a parameter with more than 10 % zeros in its initial value; None for any other.

    The published test of the fraction, in floating point; at exactly a tenth it says no.
    """
    living = value.detach() != 0
    return None if 1 - int(living.sum()) * 1.0 / living.numel() < 0.1 else living


def removed_per_stage(total: int, rho: float, cutoff: int) -> int:
    """Rule 7: int(N / stages), N = floor(rho * total + 1/2) the samples to go in all."""
    return int(math.floor(exact(rho) * total + Fraction(1, 2)) / cutoff)


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
