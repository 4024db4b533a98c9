"""The compiled twin of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcl_ref.fast.compiler import Compiler
from sparcl_ref.fast.gradients import Packing, Part, TakenGradients, packed_gradient, set_sum
from sparcl_ref.fast.jit import expect_compiler
from sparcl_ref.fast.layout import Pool
from sparcl_ref.fast.nodes import Pass, enter, leave
from sparcl_ref.fast.threads import TURN, single_threaded
from sparcl_ref.layers import Parameter
from sparcl_ref.models import Network


class FastNetwork(Network):
    """Same parameters, same running statistics, same interface; forward and backward are compiled.

    The two engines may take turns on one model. Layers without a compiled form run as reference layers between two
    reorderings. Buffers are reused from pass to pass; ``nodes`` are the steps of one, in order of the forward pass.

    Raises
    ------
    RuntimeError
        If Numba has been told not to compile.
    ValueError
        If a layer expects another shape than the one before it gives, or no layer has a parameter.
    """

    def __init__(self, model: Network):
        expect_compiler()
        if not isinstance(model, Network):
            raise TypeError(f"the compiled engine takes a Network, got {type(model).__name__}")
        if not model.parameters():
            raise ValueError(f"{model.name}: a network without parameters has nothing to compile; use it as it is")
        channels, rows, columns = model.input_shape
        super().__init__(model.name, model.body, input_shape=(channels, rows, columns), classes=model.classes)
        self.dtype = self.parameters()[0].value.dtype
        self._packings = {parameter: Packing(parameter) for parameter in self._parameters}
        compiler = Compiler((channels, rows, columns), self.dtype, self._packings)
        self._output = compiler.add(model.body, compiler.input)
        compiler.fix_layouts()
        self._input = compiler.input
        self.nodes = compiler.nodes
        self._pool = Pool(self.dtype)
        self._run: Pass | None = None

    def _relied_on(self) -> Sequence[Parameter]:
        return self._parameters

    def zero_grads(self) -> None:
        for packing in self._packings.values():
            packing.start()

    def take_grads(self) -> TakenGradients:
        """Hand over all gradients and start new ones at zero; masked ones stay packed until they are looked at."""
        parts = [packed_gradient(parameter) or parameter.grad for parameter in self._parameters]
        self.zero_grads()
        return TakenGradients(parts, [p.value.shape for p in self._parameters])

    def set_grads(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray] | None = None) -> None:
        def parts(gradients: Sequence[np.ndarray]) -> Sequence[Part]:
            return gradients.parts if isinstance(gradients, TakenGradients) else gradients

        others = [None] * len(first) if second is None else parts(second)
        with TURN:
            for parameter, one, other in zip(self._parameters, parts(first), others, strict=True):
                set_sum(parameter, one, other)

    def _forward(self, x, mode):
        if x.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise ValueError(f"{self.name}: input must have shape (N, {expected}), got {x.shape}")
        if x.dtype != self.dtype:
            raise TypeError(f"{self.name}: input is {x.dtype} but the parameters are {self.dtype}; convert one of them")
        if self._run is not None:
            self._run.close()
            self._run = None
        if not len(x):  # nothing to compute, and batch-norm's refusal is the reference's to word
            return super()._forward(x, mode)
        run = self._run = Pass(len(x), mode, self.dtype.type(0), self._pool)
        enter(x, run.new(self._input), self._input.layout)
        for node in self.nodes:
            node.forward(run)
        logits = leave(run.arrays[self._output], self._output.layout, len(x))
        return logits.reshape(len(x), self.classes), True

    def forward(self, x, *, mode):
        with TURN, single_threaded():
            return super().forward(x, mode=mode)

    def backward(self, dy, *, need_dx=True):
        with TURN, single_threaded():
            return super().backward(dy, need_dx=need_dx)

    def _backward(self, dy, cache, need_dx):
        run = self._run
        if run is None:  # an empty batch
            return super()._backward(dy, cache, need_dx)
        enter(dy, run.new_grad(self._output)[0], self._output.gradient)
        needed = {self._input} if need_dx else set()
        for node in self.nodes:
            trains = node.layer is not None and any(True for _ in node.layer.named_parameters())
            if need_dx or needed.intersection(node.inputs) or trains:
                needed.add(node.output)
        for node in reversed(self.nodes):
            if node.output in needed:
                node.backward(run, any(value in needed for value in node.inputs))
            run.drop(node.output)
        dx = leave(run.grads[self._input], self._input.gradient, run.batch) if need_dx else None
        run.close()
        self._run = None
        return dx
