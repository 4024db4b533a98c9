"""Stochastic gradient descent with momentum, Nesterov momentum and weight decay, for weights of which some are dead."""

from __future__ import annotations

import torch
from torch import Tensor


def clear(tensor: Tensor, living: Tensor | None) -> None:
    """Assign +0.0 to the dead entries, in place (multiplying would leave -0.0 and NaN)."""
    if living is not None:
        with torch.no_grad():
            tensor[~living] = 0.0


def sgd_step(
    value: Tensor,
    gradient: Tensor,
    velocity: Tensor,
    living: Tensor | None,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """One update in place.

    g = gradient + weight_decay * value;  velocity = momentum * velocity + g;  value -= lr * d, where d is velocity, or
    g + momentum * velocity with Nesterov. A silenced gradient is a zero in `gradient`: decay and momentum go on.
    Entries outside `living` (None: all live) end at +0.0 in value and velocity.
    """
    with torch.no_grad():
        g = gradient + weight_decay * value
        velocity.mul_(momentum).add_(g)
        value.sub_(lr * (g + momentum * velocity if nesterov else velocity))
    clear(value, living)
    clear(velocity, living)
