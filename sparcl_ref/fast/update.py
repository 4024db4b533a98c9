"""The update, in single passes over memory by all threads.

The reference forms several temporaries of the model's size per step. Here every array is read and written once; the
numbers are the same, bit for bit, since each entry's operations and their order are.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from sparcl_ref.fast.gradients import PIECE, packed_gradient
from sparcl_ref.fast.jit import compiled
from sparcl_ref.fast.threads import TURN
from sparcl_ref.layers import Parameter
from sparcl_ref.optimizers import SGD


@compiled(parallel=True, fastmath={"reassoc"})
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


@compiled(parallel=True)
def _descend(value, grad, velocity, alive, masked, rate, momentum, decay, nesterov):
    """One SGD step in place; ``masked`` says whether ``alive`` is to be looked at."""
    zero = rate - rate
    for piece in prange(-(-value.size // PIECE)):
        first, last = piece * PIECE, min(value.size, (piece + 1) * PIECE)
        # Slices, not sums of indices: those would be checked for their sign, and loops would not become vectors.
        w, dw = value[first:last], grad[first:last]
        if momentum > zero:
            speed = velocity[first:last]
            for i in range(last - first):
                g = dw[i] + decay * w[i] if decay > zero else dw[i]
                v = momentum * speed[i] + g
                speed[i] = v
                w[i] -= rate * (g + momentum * v if nesterov else v)
        else:
            for i in range(last - first):
                g = dw[i] + decay * w[i] if decay > zero else dw[i]
                w[i] -= rate * g
        if masked:
            lives = alive[first:last]
            for i in range(last - first):
                w[i] = w[i] if lives[i] else zero
                dw[i] = dw[i] if lives[i] else zero
            if momentum > zero:
                speed = velocity[first:last]
                for i in range(last - first):
                    speed[i] = speed[i] if lives[i] else zero


@compiled(parallel=True)
def _descend_packed(value, index, grad, rate):
    """``value[index] -= rate * grad``; no index may occur twice."""
    for k in prange(len(index)):
        value[index[k]] -= rate * grad[k]


class CompiledSGD(SGD):
    """`sparcl_ref.optimizers.SGD` with the step compiled: same interface, same state, same numbers."""

    def step(self, lr: float) -> None:
        with TURN:
            super().step(lr)

    def is_finite(self, parameter: Parameter) -> bool:
        packed = packed_gradient(parameter)
        return bool(_all_finite(parameter.grad.reshape(-1) if packed is None else packed.values))

    def descend(self, parameter: Parameter, lr: float) -> None:
        kind = parameter.value.dtype.type
        packed = packed_gradient(parameter)
        if packed is not None and not self.momentum and not self.weight_decay:
            # Without either, only entries with a gradient move, and the dead are zero already.
            _descend_packed(parameter.value.reshape(-1), packed.index, packed.values, kind(lr))
            return
        if self.momentum and "momentum" not in parameter.slots:
            parameter.slots["momentum"] = np.zeros_like(parameter.value)
        velocity = parameter.slots.get("momentum", parameter.grad)
        alive = np.zeros(1, dtype=bool) if parameter.mask is None else parameter.mask
        _descend(
            parameter.value.reshape(-1), parameter.grad.reshape(-1), velocity.reshape(-1), alive.reshape(-1),
            parameter.mask is not None, kind(lr), kind(self.momentum), kind(self.weight_decay), self.nesterov,
        )  # fmt: skip
