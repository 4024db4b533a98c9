"""What oracles in PyTorch share: arrays as tensors and back, derivatives, sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def tensor(value: Any) -> Any:
    """A float64, int64 or bool tensor of an array; everything else as it is."""
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


def array(value: Tensor) -> np.ndarray:
    return value.detach().numpy()


def gradients(operation: Callable[..., Tensor], inputs: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """Derivatives of sum(operation(*inputs) * upstream)."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    return list(torch.autograd.grad(operation(*leaves), leaves, upstream))


def largest(value: Tensor) -> float:
    return float(value.abs().max()) if value.numel() else 0.0
