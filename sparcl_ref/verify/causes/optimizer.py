"""Known mistakes in optimiser steps and learning rates."""

from __future__ import annotations

import math

import numpy as np

from sparcl_ref.verify.adapters import numpy_training as right
from sparcl_ref.verify.causes.cause import Cause, instead

_SGD = ("value", "velocity")


def _sgd(*, silences="gradient", lr_inside=False, decoupled=False, multiply=False, dampened=False):
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
        gain = lr * g if lr_inside else g
        new_velocity = momentum * velocity + ((1 - momentum) * gain if dampened else gain)
        if silences == "velocity":
            new_velocity = np.where(heard, new_velocity, 0.0)
        step = gain + momentum * new_velocity if nesterov else new_velocity
        new_value = value - (step if lr_inside else lr * step)
        if decoupled:
            new_value = new_value - lr * weight_decay * value
        if silences == "update":
            new_value = np.where(heard, new_value, value)
            new_velocity = np.where(heard, new_velocity, velocity)
        found = {"value": new_value, "velocity": new_velocity} if momentum else {"value": new_value}
        return {name: array * alive if multiply else np.where(alive, array, 0.0) for name, array in found.items()}

    return outputs


def _dead_not_cleared(name, decays=False, hears=False):
    """The output keeps what it had at dead entries, where a velocity may go on with weight decay and gradient."""

    def outputs(**given):
        if given["mask"] is None:
            raise ValueError("nothing is dead")
        step = dict(zip(_SGD, right.sgd_step(**{k: _copy(v) for k, v in given.items()}), strict=True))
        loose = dict(zip(_SGD, right.sgd_step(**{k: _copy(v) for k, v in given.items()} | {"mask": None}), strict=True))
        goes_on = given["momentum"] * given["velocity"] + decays * given["weight_decay"] * given["value"]
        kept = goes_on + (given["grad"] if hears else 0.0) if name == "velocity" else loose[name]
        return {name: np.where(given["mask"], step[name], kept)}

    return outputs


def _copy(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def _cosine(phase):
    """A cosine schedule with another phase."""

    def outputs(schedule, base, epoch, epochs, **_):
        if schedule != "cosine":
            raise ValueError("another schedule")
        return {"rate": base * (1 + math.cos(math.pi * phase(epoch, epochs))) / 2}

    return outputs


def _steps(earlier=0, rounded=math.ceil):
    """Milestones that are reached some epochs earlier, or whose default is rounded otherwise."""

    def outputs(schedule, base, epoch, epochs, milestones, gamma):
        if schedule != "step":
            raise ValueError("another schedule")
        reached = milestones or (rounded(epochs / 2), rounded(3 * epochs / 4))
        return {"rate": base * gamma ** sum(milestone < epoch + earlier for milestone in reached)}

    return outputs


CAUSES = (
    *(Cause("sgd_step", "velocity not masked: it lives on at dead entries",
            _dead_not_cleared("velocity", decays, hears))
      for decays in (False, True) for hears in (False, True)),
    Cause("sgd_step", "dead weights not set to zero after the step", _dead_not_cleared("value")),
    Cause("sgd_step", "multiplied by the mask, which leaves -0.0 and NaN", _sgd(multiply=True)),
    Cause("sgd_step", "the gradient mask stops momentum and weight decay as well", _sgd(silences="update")),
    Cause("sgd_step", "the gradient mask stops weight decay as well", _sgd(silences="decay")),
    Cause("sgd_step", "the gradient mask clears the velocity", _sgd(silences="velocity")),
    Cause("sgd_step", "the gradient mask ignored", _sgd(silences="nothing")),
    Cause("sgd_step", "dampened: new gradients weigh 1 - momentum", _sgd(dampened=True)),
    Cause("sgd_step", "the learning rate inside the velocity (Sutskever's convention)", _sgd(lr_inside=True)),
    Cause("sgd_step", "weight decay decoupled from the gradient, as in AdamW", _sgd(decoupled=True)),
    Cause("sgd_step", "weight decay left out", instead(right.sgd_step, *_SGD, weight_decay=lambda given: 0.0)),
    Cause("sgd_step", "plain momentum where Nesterov's is asked, or the old velocity in it, which is the same",
          instead(right.sgd_step, *_SGD, nesterov=lambda given: False)),
    Cause("learning_rate", "epochs of the cosine counted from 0", _cosine(lambda epoch, epochs: epoch / epochs)),
    Cause("learning_rate", "a cosine that reaches zero in the last epoch",
          _cosine(lambda epoch, epochs: (epoch - 1) / max(1, epochs - 1))),
    Cause("learning_rate", "a milestone reached an epoch early: epochs counted from 0", _steps(earlier=1)),
    Cause("learning_rate", "default milestones rounded down", _steps(rounded=math.floor)),
)  # fmt: skip
