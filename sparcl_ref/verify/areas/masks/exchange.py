"""What a mask does to a parameter."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref import masks
from sparcl_ref.layers import Parameter
from sparcl_ref.verify.areas.masks.selection import ALGORITHM, JOINING, MASK
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake


def apply_mask(value, grad, velocity, mask):
    parameter = _parameter(value, velocity)
    parameter.grad[...] = grad
    parameter.set_mask(mask)
    return parameter.value, parameter.grad, parameter.slots["momentum"]


def _parameter(value, velocity) -> Parameter:
    parameter = Parameter("weight", value)
    parameter.slots["momentum"] = velocity
    return parameter


def _multiplied(value, grad, velocity, mask):
    return {"value": value * mask, "grad": grad * mask, "velocity": velocity * mask}


def _untouched(name):
    return lambda right, **given: right(**given) | {name: given[name]}


def exchange(value, velocity, mask, importance, keep, active, joining):
    parameter = _parameter(value, velocity)
    parameter.set_mask(mask)
    parameter.set_mask(masks.shrink(parameter.mask, importance, keep))
    parameter.set_mask(masks.grow(parameter.mask, active, joining))
    return parameter.value, parameter.slots["momentum"], parameter.mask


def _removed_keep_velocity(right, **given):
    return right(**given) | {"velocity": np.where(given["mask"], given["velocity"], 0.0)}


def _not_zeroed(names, right, **given):
    """Weights that were removed and redrawn keep what they had."""
    found = right(**given)
    redrawn = found["mask"] & given["mask"]
    return found | {name: np.where(redrawn, given[name], found[name]) for name in names}


FUNCTIONS = (
    specify("apply_mask", "masks", apply_mask,
        f"{ALGORITHM}: only active weights have values, gradients and optimiser state",
        "dead entries are assigned +0.0 in value, gradient and optimiser state; multiplying would leave -0.0 and NaN",
        Argument("value", "float, any shape"), Argument("grad", "float, shape of value"),
        Argument("velocity", "float, shape of value: the optimiser's momentum"), MASK,
        exactly("value", "float, shape of value"), exactly("grad", "float, shape of value"),
        exactly("velocity", "float, shape of value"),
        Mistake("multiplied by the mask, which leaves -0.0 and NaN", _multiplied),
        Mistake("mask not applied to the velocity", _untouched("velocity"), of_right=True),
        Mistake("mask not applied to the gradient", _untouched("grad"), of_right=True),
        Mistake("mask not applied to the value", _untouched("value"), of_right=True),
    ),
    specify("exchange", "masks", exchange, f"{ALGORITHM}, intra-task adjustment",
        "shrink by importance, then the drawn entries join with value and velocity 0, also those that the shrink "
        "has just removed",
        Argument("value", "float, any shape"), Argument("velocity", "float, shape of value"), MASK,
        Argument("importance", "float, shape of value"), Argument("keep", "int: entries alive after the shrink"),
        Argument("active", "int: entries alive after the expansion"), JOINING,
        exactly("value", "float, shape of value"), exactly("velocity", "float, shape of value"),
        exactly("mask", "bool, shape of value"),
        Mistake("velocity of redrawn weights not zeroed", partial(_not_zeroed, ["velocity"]), of_right=True),
        Mistake("value of redrawn weights not zeroed", partial(_not_zeroed, ["value"]), of_right=True),
        Mistake("redrawn weights keep value and velocity",
            partial(_not_zeroed, ["value", "velocity"]), of_right=True),
        Mistake("removed weights keep their velocity", _removed_keep_velocity, of_right=True),
        uses=("apply_mask", "shrink", "grow"),
    ),
)  # fmt: skip
