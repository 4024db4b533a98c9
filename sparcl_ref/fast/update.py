"""Gradient bookkeeping and the update, in single passes over memory by all threads.

The reference forms several temporaries of the model's size per step. Here every array is read and written once; the
numbers are the same, bit for bit, since each entry's operations and their order are.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from sparcl_ref import optimizers

#: Entries per piece of work.
PIECE = 1 << 15


@njit(parallel=True, cache=True, fastmath={"reassoc"})
def _all_finite(x):
    pieces = -(-x.size // PIECE)
    good = np.ones(pieces, dtype=np.bool_)
    for piece in prange(pieces):
        part = x[piece * PIECE : (piece + 1) * PIECE]
        # Times 0 is 0 for every finite number and NaN for the others, and so is the sum.
        total = part[0] - part[0]
        for value in part:
            total += value * 0
        good[piece] = total == 0
    return good.all()


@njit(parallel=True, cache=True)
def _descend(value, grad, velocity, alive, masked, rate, momentum, decay, nesterov):
    """One SGD step in place; ``masked`` says whether ``alive`` is to be looked at."""
    zero = rate - rate
    for piece in prange(-(-value.size // PIECE)):
        first, last = piece * PIECE, min(value.size, (piece + 1) * PIECE)
        if momentum > zero:
            for i in range(first, last):
                g = grad[i] + decay * value[i] if decay > zero else grad[i]
                v = momentum * velocity[i] + g
                velocity[i] = v
                value[i] -= rate * (g + momentum * v if nesterov else v)
        else:
            for i in range(first, last):
                g = grad[i] + decay * value[i] if decay > zero else grad[i]
                value[i] -= rate * g
        if masked:
            for i in range(first, last):
                value[i] = value[i] if alive[i] else zero
                grad[i] = grad[i] if alive[i] else zero
            if momentum > zero:
                for i in range(first, last):
                    velocity[i] = velocity[i] if alive[i] else zero


@njit(parallel=True, cache=True)
def sum_into(target, first, second):
    """``target = first + second``."""
    for piece in prange(-(-target.size // PIECE)):
        for i in range(piece * PIECE, min(target.size, (piece + 1) * PIECE)):
            target[i] = first[i] + second[i]


class SGD(optimizers.SGD):
    """`sparcl_ref.optimizers.SGD` with the step compiled: same interface, same state, same numbers."""

    def step(self, lr: float) -> None:
        lr = optimizers._non_negative("learning rate", lr)
        for parameter in self.parameters:
            if not _all_finite(parameter.grad.reshape(-1)):
                super().step(lr)  # words the error
        for parameter in self.parameters:
            kind = parameter.value.dtype.type
            if self.momentum and "momentum" not in parameter.slots:
                parameter.slots["momentum"] = np.zeros_like(parameter.value)
            velocity = parameter.slots.get("momentum", parameter.grad)
            masked = parameter.mask is not None
            alive = parameter.mask if masked else np.zeros(1, dtype=bool)
            _descend(
                parameter.value.reshape(-1), parameter.grad.reshape(-1), velocity.reshape(-1), alive.reshape(-1),
                masked, kind(lr), kind(self.momentum), kind(self.weight_decay), self.nesterov,
            )  # fmt: skip
