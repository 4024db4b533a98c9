"""Known mistakes in optimiser steps and learning rates."""

from __future__ import annotations

import math

import numpy as np

from sparcl_ref.verify.adapters import numpy_training as right
from sparcl_ref.verify.causes.cause import Cause, instead

_SGD = ("value", "velocity")


def _sgd(*, silences="gradient", lr_inside=False, decoupled=False, multiply=False, dampened=False, old_velocity=False):
    """A step written out, with parts of it done otherwise; ``silences`` says what the gradient mask stops."""

    def outputs(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay):
        alive = np.ones(value.shape, dtype=bool) if mask is None else mask
        heard = alive if grad_mask is None else grad_mask
        value, velocity = (np.where(alive, array, 0.0) for array in (value, velocity))
        g = np.where(alive if silences == "nothing" else heard, grad, 0.0)
        g = grad * heard if multiply else g
        if not decoupled:
            g = g + weight_decay * value
        if silences in ("decay", "update"):
            g = np.where(heard, g, 0.0)
        if dampened:
            g = (1 - momentum) * g
        gain = lr * g if lr_inside else g
        new_velocity = momentum * velocity + gain
        if silences == "velocity":
            new_velocity = np.where(heard, new_velocity, 0.0)
        step = gain + momentum * (velocity if old_velocity else new_velocity) if nesterov else new_velocity
        new_value = value - (step if lr_inside else lr * step)
        if decoupled:
            new_value = new_value - lr * weight_decay * value
        if silences == "update":
            new_value = np.where(heard, new_value, value)
            new_velocity = np.where(heard, new_velocity, velocity)
        found = {"value": new_value, "velocity": new_velocity} if momentum else {"value": new_value}
        return {name: array * alive if multiply else np.where(alive, array, 0.0) for name, array in found.items()}

    return outputs


def _dead_not_cleared(name):
    """The output keeps what it had at dead entries."""

    def outputs(**given):
        step = dict(zip(_SGD, right.sgd_step(**{k: _copy(v) for k, v in given.items()}), strict=True))
        loose = dict(zip(_SGD, right.sgd_step(**{k: _copy(v) for k, v in given.items()} | {"mask": None}), strict=True))
        kept = given["momentum"] * given["velocity"] if name == "velocity" else loose[name]
        return {name: np.where(given["mask"], step[name], kept)}

    return outputs


def _copy(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def _rate(change):
    """A cosine schedule with another phase, or milestones that count otherwise."""

    def outputs(schedule, base, epoch, epochs, milestones, gamma):
        if schedule == "cosine":
            phase = {"from zero": epoch / epochs, "to zero": (epoch - 1) / max(1, epochs - 1)}[change]
            return {"rate": base * (1 + math.cos(math.pi * phase)) / 2}
        if schedule == "step" and change == "from zero":
            reached = milestones or (math.ceil(epochs / 2), math.ceil(3 * epochs / 4))
            return {"rate": base * gamma ** sum(milestone <= epoch for milestone in reached)}
        raise ValueError("another schedule")

    return outputs


CAUSES = (
    Cause("sgd_step", "velocity not masked: it lives on at dead entries", _dead_not_cleared("velocity")),
    Cause("sgd_step", "dead weights not set to zero after the step", _dead_not_cleared("value")),
    Cause("sgd_step", "multiplied by the mask, which leaves -0.0 and NaN", _sgd(multiply=True)),
    Cause("sgd_step", "the gradient mask stops momentum and weight decay as well", _sgd(silences="update")),
    Cause("sgd_step", "the gradient mask stops weight decay as well", _sgd(silences="decay")),
    Cause("sgd_step", "the gradient mask clears the velocity", _sgd(silences="velocity")),
    Cause("sgd_step", "the gradient mask ignored", _sgd(silences="nothing")),
    Cause("sgd_step", "dampened: new gradients weigh 1 - momentum", _sgd(dampened=True)),
    Cause("sgd_step", "Nesterov's step with the old velocity", _sgd(old_velocity=True)),
    Cause("sgd_step", "the learning rate inside the velocity (Sutskever's convention)", _sgd(lr_inside=True)),
    Cause("sgd_step", "weight decay decoupled from the gradient, as in AdamW", _sgd(decoupled=True)),
    Cause("sgd_step", "weight decay left out", instead(right.sgd_step, *_SGD, weight_decay=lambda given: 0.0)),
    Cause("sgd_step", "plain momentum where Nesterov's is asked",
          instead(right.sgd_step, *_SGD, nesterov=lambda given: False)),
    Cause("learning_rate", "epochs counted from 0", _rate("from zero")),
    Cause("learning_rate", "a cosine that reaches zero in the last epoch", _rate("to zero")),
)  # fmt: skip
