"""Stochastic gradient descent and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sparcl_ref.layers.checks import as_number
from sparcl_ref.layers.parameter import Parameter

SCHEDULES = ("constant", "cosine", "step")


def sgd_update(
    value: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray | None,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray | None]:
    r"""One step of gradient descent, as a pure function.

    With learning rate eta, momentum mu, weight decay lambda and v_0 = 0,

    .. math::
        g_t &= \nabla L(w_{t-1}) + \lambda w_{t-1} \\
        v_t &= \mu v_{t-1} + g_t \\
        d_t &= g_t + \mu v_t \text{ (Nesterov)}, \quad v_t \text{ (otherwise)} \\
        w_t &= w_{t-1} - \eta d_t

    This is PyTorch's convention: eta scales the step, not what the velocity collects. Sutskever et al. (2013) put it
    inside, v_t = mu v_{t-1} - eta g_t and w_t = w_{t-1} + v_t. While eta is constant that velocity is -eta times this
    one and the weights agree; after a change of eta theirs still carries the old rate and fades it out, whereas here
    the new rate counts at once. PyTorch starts with v_1 = g_1, which v_0 = 0 gives as well, as there is no dampening.

    Parameters
    ----------
    value, grad : ndarray
        w_{t-1} and the gradient of the loss there; same shape and dtype.
    velocity : ndarray or None
        v_{t-1}; None stands for zeros.

    Returns
    -------
    value, velocity : ndarray
        w_t and v_t, both new. The velocity is None if ``momentum`` is 0, because then v_t = g_t need not be kept.
    """
    # A NumPy number would widen float32 weights.
    lr, momentum, weight_decay = float(lr), float(momentum), float(weight_decay)
    step = grad + weight_decay * value if weight_decay else grad
    if not momentum:
        return value - lr * step, None
    velocity = step.copy() if velocity is None else momentum * velocity + step
    step = step + momentum * velocity if nesterov else velocity
    return value - lr * step, velocity


class SGD:
    """Stochastic gradient descent with momentum, Nesterov's variant and weight decay; the rule is `sgd_update`'s.

    Masks need no rule of their own here. The gradient is +0.0 wherever none is formed, so a gradient mask silences the
    gradient only: velocity and weight decay of living weights go on. Dead entries are assigned +0.0 in value,
    gradient and velocity after each step; frozen ones keep value and velocity to the bit.

    Engines override `is_finite` and `descend`.

    Parameters
    ----------
    parameters : iterable of Parameter
        At least one, all with different names. The velocity is kept in ``parameter.slots["momentum"]``, where
        `Parameter.set_mask` reaches it; a parameter that has one already goes on with it.
    momentum : float
        mu, 0 <= mu < 1.
    nesterov : bool
        Needs ``momentum`` > 0.
    weight_decay : float
        lambda >= 0, the factor of the added gradient lambda * w (an L2 penalty of lambda / 2 * |w|^2). Applied to
        every parameter given.

    Raises
    ------
    ValueError
        If a setting is out of its range, or there are no parameters, or two share a name.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ):
        self.parameters = list(parameters)
        self.momentum = _non_negative("momentum", momentum)
        self.nesterov = bool(nesterov)
        self.weight_decay = _non_negative("weight_decay", weight_decay)
        if self.momentum >= 1:
            raise ValueError(f"momentum must be less than 1, or the velocity never fades; got {momentum}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum greater than 0, got 0; set momentum or leave nesterov out")
        if not self.parameters:
            raise ValueError("SGD needs at least one parameter, got none")
        names = [parameter.name for parameter in self.parameters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"parameter names must differ, or state() cannot tell them apart; repeated: {twice}")

    def step(self, lr: float) -> None:
        """Update every parameter from its gradient, at a learning rate >= 0. The gradients are left in place.

        Raises
        ------
        ValueError
            If the learning rate is negative, infinite or NaN.
        FloatingPointError
            If a gradient holds NaN or infinity; the parameter is named and nothing has been changed. (Not a
            ValueError: the request was fine, the training diverged.)
        """
        lr = _non_negative("learning rate", lr)
        self.check_gradients(lr)
        for parameter in self.parameters:
            kept = parameter.frozen_entries()
            self.descend(parameter, lr)
            parameter.restore_frozen(kept)
            parameter.changed()

    def check_gradients(self, lr: float) -> None:
        """Raise a FloatingPointError if a gradient holds NaN or infinity, naming the parameter and the rate."""
        for parameter in self.parameters:
            if not self.is_finite(parameter):
                bad = np.count_nonzero(~np.isfinite(parameter.grad))
                raise FloatingPointError(
                    f"{parameter.name}: {bad} of {parameter.grad.size} gradient entries are NaN or infinite; the "
                    f"training diverged: lower the learning rate (now {lr:g}) or check the data"
                )

    def is_finite(self, parameter: Parameter) -> bool:
        """Whether a gradient holds neither NaN nor infinity."""
        return bool(np.isfinite(parameter.grad).all())

    def descend(self, parameter: Parameter, lr: float) -> None:
        """Update one parameter, its dead entries to +0.0; what this does to frozen entries is undone."""
        value, velocity = sgd_update(
            parameter.value,
            parameter.grad,
            parameter.slots.get("momentum"),
            lr=lr,
            **self._settings(),
        )
        parameter.value[...] = value  # in place: engines share the array
        if velocity is not None:
            parameter.slots["momentum"] = velocity
        parameter.clear_dead()

    def state(self) -> dict[str, Any]:
        """Settings, and the velocity of each parameter that has one, by name; arrays are copies."""
        return {
            "settings": self._settings(),
            "momentum": {p.name: p.slots["momentum"].copy() for p in self.parameters if "momentum" in p.slots},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned; a parameter without a velocity there starts again at zero.

        Raises
        ------
        ValueError
            If it was taken with other settings, or names or shapes do not fit the parameters; nothing has been changed.
        """
        if state["settings"] != self._settings():
            raise ValueError(f"optimiser state was taken with {state['settings']}, but this SGD has {self._settings()}")
        velocities = state["momentum"]
        if unknown := sorted(velocities.keys() - {parameter.name for parameter in self.parameters}):
            raise ValueError(f"optimiser state holds parameters that are not here: {', '.join(unknown)}")
        for parameter in self.parameters:
            shape = np.shape(velocities.get(parameter.name, parameter.value))
            if shape != parameter.value.shape:
                raise ValueError(f"{parameter.name}: velocity must have shape {parameter.value.shape}, got {shape}")
        for parameter in self.parameters:
            parameter.slots.pop("momentum", None)
            if parameter.name in velocities:
                parameter.slots["momentum"] = np.array(velocities[parameter.name], dtype=parameter.value.dtype)
            parameter.clear_dead()

    def _settings(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov, "weight_decay": self.weight_decay}


def learning_rate(
    schedule: str, base: float, *, epoch: int, epochs: int, milestones: Sequence[int] | None = None, gamma: float = 0.1
) -> float:
    r"""Learning rate of a whole epoch.

    ========  ===========================================================================
    constant  base
    cosine    base * (1 + cos(pi * (epoch - 1) / epochs)) / 2
    step      base * gamma ** (number of milestones m with m < epoch)
    ========  ===========================================================================

    The cosine starts at ``base`` and would reach 0 right after the last epoch (Loshchilov and Hutter, 2017, without
    restarts).

    Parameters
    ----------
    schedule : {"constant", "cosine", "step"}
    base : float
        Rate of the first epoch, >= 0.
    epoch, epochs : int
        Which epoch, counted from 1, of how many.
    milestones : sequence of int, optional
        For "step": after how many epochs the rate falls, increasing, from 1 up. By default after one half and three
        quarters of the epochs, rounded up (He et al., 2016, on CIFAR-10).
    gamma : float
        For "step": the factor by which it falls, >= 0.

    Raises
    ------
    ValueError
        If the schedule is unknown or a number is out of its range.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"lr_schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    base = _non_negative("learning rate", base)
    if not 1 <= epoch <= epochs:
        raise ValueError(f"epoch must lie in 1..epochs = 1..{epochs}, got {epoch}")
    if schedule == "constant":
        return base
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
    if milestones is None:
        milestones = (math.ceil(epochs / 2), math.ceil(3 * epochs / 4))
    elif list(milestones) != sorted(set(milestones)) or min(milestones, default=1) < 1:
        raise ValueError(f"milestones must increase, starting at 1 or later, got {list(milestones)}")
    return base * _non_negative("gamma", gamma) ** sum(milestone < epoch for milestone in milestones)


def _non_negative(what: str, number: float) -> float:
    # Python's float, because a float64 scalar of NumPy would turn float32 weights into float64.
    number = as_number("SGD", what, number)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{what} must be a finite number >= 0, got {number}")
    return number
