"""Wrong optimizer steps and learning rates."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong


def step(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay, *, fault=""):
    mask = np.ones(value.shape, bool) if mask is None else mask
    grad_mask = mask if grad_mask is None else grad_mask
    g = np.where(grad_mask, grad, 0.0) if fault != "gradient mask ignored" else np.where(mask, grad, 0.0)
    if fault != "decoupled":
        g = g + weight_decay * value
    if fault == "mask stops decay":
        g = np.where(grad_mask, g, 0.0)
    v = momentum * velocity + (lr * g if fault == "rate inside" else g)
    if fault == "dampened":
        v = momentum * velocity + (1 - momentum) * g
    if fault == "mask stops momentum":
        v = np.where(grad_mask, v, 0.0)
    move = (lr * g if fault == "rate inside" else g) + momentum * v if nesterov else v
    if fault == "nesterov ignored":
        move = v
    if fault == "old velocity":
        move = g + momentum * velocity if nesterov else v
    new = value - (move if fault == "rate inside" else lr * move)
    if fault == "decoupled":
        new = new - lr * weight_decay * value
    if fault == "product":
        return new * mask, v * mask
    return np.where(mask, new, 0.0), v if fault == "momentum unmasked" else np.where(mask, v, 0.0)


def rate(schedule, base, epoch, epochs, milestones, gamma, *, shift=0, inclusive=False, floor=False):
    if schedule == "constant":
        return base
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * (epoch - 1 + shift) / epochs)) / 2
    if milestones is None:
        half, rest = epochs / 2, 3 * epochs / 4
        milestones = (half // 1, rest // 1) if floor else (math.ceil(half), math.ceil(rest))
    return base * gamma ** sum(m <= epoch if inclusive else m < epoch for m in milestones)


def entry(name, mistake, fault):
    return Wrong(name, "optimizer", "sgd_step", mistake, partial(step, fault=fault))


WRONG = (
    entry("sgd-momentum-unmasked", "the mask is applied to weights but not to momentum", "momentum unmasked"),
    entry("sgd-mask-product", "the mask is multiplied, which leaves -0.0", "product"),
    entry("sgd-gradient-mask-ignored", "silenced gradients count", "gradient mask ignored"),
    entry("sgd-mask-stops-decay", "the gradient mask stops weight decay too", "mask stops decay"),
    entry("sgd-mask-stops-momentum", "the gradient mask stops momentum too", "mask stops momentum"),
    entry("sgd-decoupled", "weight decay does not pass through momentum", "decoupled"),
    entry("sgd-rate-inside", "the rate is part of the velocity", "rate inside"),
    entry("sgd-dampened", "new gradients weigh 1 - mu", "dampened"),
    entry("sgd-nesterov-ignored", "Nesterov's variant is plain momentum", "nesterov ignored"),
    entry("sgd-nesterov-old", "Nesterov's variant looks ahead with the old velocity", "old velocity"),
    Wrong("rate-cosine-late", "optimizer", "learning_rate", "the cosine starts a step late", partial(rate, shift=1)),
    Wrong(
        "rate-step-early", "optimizer", "learning_rate", "a step falls an epoch early", partial(rate, inclusive=True)
    ),
    Wrong("rate-floor", "optimizer", "learning_rate", "default milestones are rounded down", partial(rate, floor=True)),
)
