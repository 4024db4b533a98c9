"""The optimiser's step under masks, and learning rates."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from sparcl_ref import optimizers
from sparcl_ref.layers import Parameter
from sparcl_ref.optimizers import learning_rate
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead


def sgd_step(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay, *, engine=optimizers.SGD):
    """One step of a parameter with its masks; ``engine`` is the optimiser's class."""
    parameter = Parameter("weight", value)
    parameter.slots["momentum"] = velocity
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    parameter.add_grad(grad)
    engine([parameter], momentum=momentum, nesterov=nesterov, weight_decay=weight_decay).step(lr)
    return parameter.value, parameter.slots["momentum"]


def _sgd(
    value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay,
    *, silences="gradient", lr_inside=False, decoupled=False, multiply=False, dampened=False, bare=False, norm=math.inf,
):  # fmt: skip
    """A step written out, with parts of it done otherwise; ``silences`` says what the gradient mask stops."""
    alive = np.ones(value.shape, dtype=bool) if mask is None else mask
    heard = alive if grad_mask is None else grad_mask
    value, velocity = (np.where(alive, array, 0.0) for array in (value, velocity))
    g = np.where(alive if silences == "nothing" else heard, grad, 0.0)
    g = grad * heard if multiply else g
    g = g * min(1.0, norm / max(math.sqrt(float((g**2).sum())), 1e-300))
    ahead = g
    if not decoupled:
        g = g + weight_decay * value
    if silences in ("decay", "update"):
        g = np.where(heard, g, 0.0)
    gain = lr * g if lr_inside else g
    new_velocity = momentum * velocity + ((1 - momentum) * gain if dampened else gain)
    if silences == "velocity":
        new_velocity = np.where(heard, new_velocity, 0.0)
    step = (ahead if bare else gain) + momentum * new_velocity if nesterov else new_velocity
    new_value = value - (step if lr_inside else lr * step)
    if decoupled:
        new_value = new_value - lr * weight_decay * value
    if silences == "update":
        new_value = np.where(heard, new_value, value)
        new_velocity = np.where(heard, new_velocity, velocity)
    found = {"value": new_value, "velocity": new_velocity} if momentum else {"value": new_value}
    return {name: array * alive if multiply else np.where(alive, array, 0.0) for name, array in found.items()}


def _dead_not_cleared(name, decays, hears, right, **given):
    """The output keeps what it had at dead entries, where a velocity may go on with weight decay and gradient."""
    step, loose = right(**given), right(**given | {"mask": None})
    goes_on = given["momentum"] * given["velocity"] + decays * given["weight_decay"] * given["value"]
    kept = goes_on + (given["grad"] if hears else 0.0) if name == "velocity" else loose[name]
    return {} if given["mask"] is None else {name: np.where(given["mask"], step[name], kept)}


def _cosine(phase, schedule, base, epoch, epochs, **_):
    """A cosine schedule with another phase."""
    rate = base * (1 + math.cos(math.pi * phase(epoch, epochs))) / 2
    return {"rate": rate} if schedule == "cosine" else {}


def _steps(earlier, rounded, schedule, base, epoch, epochs, milestones, gamma):
    """Milestones that are reached some epochs earlier, or whose default is rounded otherwise."""
    reached = milestones or (rounded(epochs / 2), rounded(3 * epochs / 4))
    rate = base * gamma ** sum(milestone < epoch + earlier for milestone in reached)
    return {"rate": rate} if schedule == "step" else {}


FUNCTIONS = (
    specify("sgd_step", "optimizer", sgd_step, "method, sections 3 and 5; PyTorch's convention of momentum",
        "g = (grad where grad_mask is set, else 0) + lambda value; velocity = mu velocity + g; value -= eta "
        "velocity, or eta (g + mu velocity) with Nesterov; dead entries of value and velocity are then assigned "
        "+0.0. The gradient mask silences the gradient only: momentum and weight decay of living weights go on",
        Argument("value", "float, any shape: the weights"),
        Argument("grad", "float, shape of value: dense; where entries are dead or silenced it may hold NaN"),
        Argument("velocity", "float, shape of value; zeros before the first step"),
        Argument("mask", "bool, shape of value, or None: the living entries; None means all", None),
        Argument("grad_mask", "bool, subset of mask, or None: whose gradient counts; None means mask", None),
        Argument("lr", "float: eta"), Argument("momentum", "float: mu", 0.0), Argument("nesterov", "bool", False),
        Argument("weight_decay", "float: lambda", 0.0),
        Output("value", "float, shape of value"),
        Output("velocity", "float, shape of value; not compared if momentum is 0"),
        *(Mistake("velocity not masked: it lives on at dead entries",
            partial(_dead_not_cleared, "velocity", decays, hears), of_right=True)
            for decays in (False, True) for hears in (False, True)),
        Mistake("dead weights not set to zero after the step",
            partial(_dead_not_cleared, "value", False, False), of_right=True),
        Mistake("multiplied by the mask, which leaves -0.0 and NaN", partial(_sgd, multiply=True)),
        Mistake("the gradient mask stops momentum and weight decay as well", partial(_sgd, silences="update")),
        Mistake("the gradient mask stops weight decay as well", partial(_sgd, silences="decay")),
        Mistake("the gradient mask clears the velocity", partial(_sgd, silences="velocity")),
        Mistake("the gradient mask ignored", partial(_sgd, silences="nothing")),
        Mistake("dampened: new gradients weigh 1 - momentum", partial(_sgd, dampened=True)),
        Mistake("the learning rate inside the velocity (Sutskever's convention)", partial(_sgd, lr_inside=True)),
        Mistake("weight decay decoupled from the gradient, as in AdamW", partial(_sgd, decoupled=True)),
        *(Mistake("the gradient clipped by its norm", partial(_sgd, norm=norm)) for norm in (1, 10, 100)),
        Mistake("Nesterov's look-ahead with the gradient alone: weight decay left out of it", partial(_sgd, bare=True)),
        instead("weight decay left out", weight_decay=0.0),
        instead("plain momentum where Nesterov's is asked, or the old velocity in it, which is the same",
            nesterov=False),
    ),
    specify("learning_rate", "optimizer", learning_rate, "Loshchilov and Hutter, 2017; He et al., 2016",
        "constant: base; cosine: base (1 + cos(pi (epoch - 1) / epochs)) / 2; step: base gamma^(number of "
        "milestones below epoch)",
        Argument("schedule", '"constant", "cosine" or "step"'), Argument("base", "float: rate of the first epoch"),
        Argument("epoch", "int, from 1"), Argument("epochs", "int"),
        Argument("milestones",
            "list of int: after how many epochs the rate falls; None for ceil(epochs / 2) and ceil(3 epochs / 4)",
            None),
        Argument("gamma", "float: by which factor", 0.1),
        Output("rate", "float"),
        Mistake("epochs of the cosine counted from 0", partial(_cosine, lambda epoch, epochs: epoch / epochs)),
        Mistake("a cosine that reaches zero in the last epoch",
            partial(_cosine, lambda epoch, epochs: (epoch - 1) / max(1, epochs - 1))),
        Mistake("a milestone reached an epoch early: epochs counted from 0", partial(_steps, 1, math.ceil)),
        Mistake("default milestones rounded down", partial(_steps, 0, math.floor)),
        instead("an empty list of milestones taken for the default",
            milestones=lambda given: given["milestones"] or None),
    ),
)  # fmt: skip
