"""Sparse trainers in PyTorch: SNIP's choice, RigL's drop and grow."""

from __future__ import annotations

import torch
from torch import Tensor

from . import masks


def snip(weight: Tensor, gradient: Tensor, count: int) -> Tensor:
    """Entries of largest saliency."""
    saliency = (weight * gradient).reshape(-1).abs()
    kept, _ = masks.top(saliency, torch.ones_like(saliency, dtype=torch.bool), count)
    return kept.reshape(weight.shape)


def rigl_share(step: int, end: int, highest: float) -> float:
    """f_decay of the paper, nothing after its end."""
    angle = torch.tensor(torch.pi * min(step, end) / end, dtype=torch.float64)
    return 0.5 * highest * (1.0 + torch.cos(angle).item())


def rigl(value: Tensor, velocity: Tensor, mask: Tensor, gradient: Tensor, share: float) -> tuple[Tensor, ...]:
    """Value, velocity and mask after a drop by size and a growth by gradient."""
    alive, size = mask.reshape(-1), value.reshape(-1).abs()
    count = int(int(alive.sum()) * share)
    kept, _ = masks.top(size, alive, int(alive.sum()) - count)
    joined, _ = masks.top(gradient.reshape(-1).abs(), ~kept, count)
    after = (kept | joined).reshape(mask.shape)
    return value.where(after, torch.zeros_like(value)), velocity.where(after, torch.zeros_like(velocity)), after
