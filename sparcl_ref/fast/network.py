"""The compiled twin of a network."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from sparcl_ref.fast.compiler import Compiler
from sparcl_ref.fast.layout import Pool
from sparcl_ref.fast.nodes import Pass, enter, leave
from sparcl_ref.fast.update import sum_into
from sparcl_ref.models import Network

#: Gradient arrays kept per parameter: the one in use, those of an observation's two parts, one to spare.
KEPT_GRADIENTS = 4
#: References to an array that only `_spare` holds: its list, the loop variable, the argument of getrefcount.
UNUSED = 3


class FastNetwork(Network):
    """Same parameters, same running statistics, same interface; forward and backward are compiled.

    The two engines may take turns on one model. Buffers are reused from pass to pass.

    Parameters
    ----------
    model : Network
        The reference model, which stays usable.
    """

    def __init__(self, model: Network):
        super().__init__(model.name, model.body, input_shape=model.input_shape, classes=model.classes)
        self.dtype = self.parameters()[0].value.dtype
        compiler = Compiler(self.input_shape, self.dtype)
        self._output = compiler.add(model.body, compiler.input)
        compiler.fix_layouts()
        self._input = compiler.input
        self._nodes = compiler.nodes
        self._pool = Pool(self.dtype)
        self._run: Pass | None = None
        self._spare: list[list[np.ndarray]] = [[] for _ in self._parameters]

    def take_grads(self) -> list[np.ndarray]:
        """Hand over all gradients and start new ones at zero, in arrays that nobody else holds any more if possible.

        Fresh memory of a model's size costs as much as a small layer: the system has to map and clear every page.
        """
        taken = [parameter.grad for parameter in self._parameters]
        for parameter, spare in zip(self._parameters, self._spare, strict=True):
            parameter.grad = _unused(spare, parameter.value)
        return taken

    def set_grads(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> None:
        """Set every gradient to the sum of two, in the order of `parameters`."""
        for parameter, one, other in zip(self._parameters, first, second, strict=True):
            sum_into(parameter.grad.reshape(-1), one.reshape(-1), other.reshape(-1))

    def _forward(self, x, mode):
        if x.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise ValueError(f"{self.name}: input must have shape (N, {expected}), got {x.shape}")
        if x.dtype != self.dtype:
            raise TypeError(f"{self.name}: input is {x.dtype} but the parameters are {self.dtype}; convert one of them")
        if self._run is not None:
            self._run.close()
        run = self._run = Pass(len(x), mode, self.dtype.type(0), self._pool)
        enter(x, run.new(self._input), self._input.layout)
        for node in self._nodes:
            node.forward(run)
        logits = leave(run.arrays[self._output], self._output.layout, len(x))
        return logits.reshape(len(x), self.classes), True

    def _backward(self, dy, cache, need_dx):
        run = self._run
        enter(dy, run.new_grad(self._output)[0], self._output.gradient)
        needed = {self._input} if need_dx else set()
        for node in self._nodes:
            if need_dx or needed.intersection(node.inputs) or self._trains(node):
                needed.add(node.output)
        for node in reversed(self._nodes):
            node.backward(run, any(value in needed for value in node.inputs))
            run.drop(node.output)
        dx = leave(run.grads[self._input], self._input.gradient, run.batch) if need_dx else None
        run.close()
        self._run = None
        return dx

    @staticmethod
    def _trains(node) -> bool:
        return bool(getattr(node, "layer", None) is not None and node.layer.own_parameters())


def _unused(spare: list[np.ndarray], like: np.ndarray) -> np.ndarray:
    """Zeros, in an array of the list that nobody else refers to, or else in a new one."""
    for array in spare:
        if sys.getrefcount(array) <= UNUSED:
            array.fill(0)
            return array
    fresh = np.zeros_like(like)
    if len(spare) < KEPT_GRADIENTS:
        spare.append(fresh)
    return fresh
