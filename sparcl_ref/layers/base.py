"""What every layer shares: the contract of its forward and backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np

from sparcl_ref.layers.costs import Footprint, Load, MultiplyAdds, NotStatedError, Shape
from sparcl_ref.layers.parameter import Parameter
from sparcl_ref.layers.unchanged import Unchanged

Mode = Literal["train", "eval", "probe"]
MODES = ("train", "eval", "probe")


class Layer:
    """One differentiable step of a network.

    A layer implements ``_forward`` and ``_backward``; the public methods check the mode, keep the cache between
    them and refuse a backward pass that has no forward pass to belong to. What it says beside them, `output_shape`,
    `multiply_adds` and `footprint`, is asked for by nothing but the count of costs: a layer that has not said it trains
    all the same, and the cost of a network with it is unknown.
    """

    #: What tables of costs call it.
    kind: ClassVar[str] = "other"

    def __init__(self) -> None:
        self._cache: Any = None

    def forward(self, x: np.ndarray, *, mode: Mode) -> np.ndarray:
        """Compute the output and remember what `backward` needs.

        Arrays are kept by reference, not copied: neither the input, nor the output, nor a parameter may be changed
        before `backward`. Whether they were is checked within `sparcl_ref.layers.debug`; of parameters, those changes
        that they count are always noticed.

        Parameters
        ----------
        x : ndarray
            Input, first axis the batch. The output has its dtype.
        mode : {"train", "eval", "probe"}
            "probe" uses batch statistics like "train", but leaves running statistics alone and switches dropout off.

        Raises
        ------
        ValueError
            If the mode is unknown or the shape does not fit the layer.
        TypeError
            If the input is not floating point.
        """
        if mode not in MODES:
            raise ValueError(f"{self._label}: mode must be one of {', '.join(MODES)}, got {mode!r}")
        if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
            got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise TypeError(f"{self._label}: input must be a float32 or float64 array, got {got}")
        # A pass that fails half way leaves some layers below at the new input and some at the old one.
        self._cache = None
        y, cache = self._forward(x, mode)
        self._cache = (cache, y.shape, y.dtype, Unchanged.since_now(x, y, self._relied_on()))
        return y

    def backward(self, dy: np.ndarray, *, need_dx: bool = True) -> np.ndarray | None:
        """Propagate the gradient of a scalar loss from the output to the parameters and the input.

        Parameters
        ----------
        dy : ndarray
            dL/dy, shape of the output of the last `forward`.
        need_dx : bool
            False spares the gradient of the input, which nobody needs at a network's first layer, and returns None.

        Raises
        ------
        RuntimeError
            If no `forward` came before, or its backward pass has been taken already, or what it relies on has changed
            since then. In a layer made of layers, gradients of those behind the changed one have been added by then.
        ValueError
            If the shape of ``dy`` is not the output's.
        TypeError
            If its dtype is not, or the layer's own ``_backward`` gives no dL/dx that was asked for.
        """
        if self._cache is None:
            raise RuntimeError(
                f"{self._label}: backward needs a forward pass before it; call forward once per backward"
            )
        cache, shape, dtype, unchanged = self._cache
        if dy.shape != shape:
            raise ValueError(f"{self._label}: upstream gradient must have the output's shape {shape}, got {dy.shape}")
        if dy.dtype != dtype:
            raise TypeError(f"{self._label}: upstream gradient must have the output's dtype {dtype}, got {dy.dtype}")
        self._cache = None
        unchanged.check(self._label)
        dx = self._backward(dy, cache, need_dx)
        if need_dx and dx is None:
            raise TypeError(
                f"{self._label}: _backward must return the input's gradient where need_dx is true, got None"
            )
        return dx

    def forget(self) -> None:
        """Drop what the last `forward` kept for `backward`, which has to wait for another forward pass then."""
        self._cache = None

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, Any]:
        """Return the output and whatever `_backward` needs, by reference: arrays are never changed in place."""
        raise NotImplementedError  # pragma: no cover

    def _backward(self, dy: np.ndarray, cache: Any, need_dx: bool) -> np.ndarray | None:
        raise NotImplementedError  # pragma: no cover

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of one sample's output, given that of its input.

        Raises
        ------
        ValueError
            If the shape does not fit the layer.
        NotStatedError
            If the layer does not say.
        """
        raise NotStatedError(f"{self._label} does not say its output shape")

    def multiply_adds(self, shape: Shape) -> MultiplyAdds:
        """Multiply-adds of one sample of that shape, those of layers within aside; raises as `output_shape` does."""
        raise NotStatedError(f"{self._label} does not say its multiply-adds")

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        """Bytes for a batch of samples of that shape; raises as `output_shape` does."""
        raise NotStatedError(f"{self._label} does not say the memory it needs")

    def least_samples(self, shape: Shape) -> int:
        """The smallest batch of samples of that shape that train and probe mode accept."""
        return 1

    @property
    def fan_in(self) -> int | None:
        """Inputs of each output, which decide how parameters are drawn; None for a layer whose start is set."""
        return None

    def own_parameters(self) -> dict[str, Parameter]:
        """Local name ("weight", "bias") to parameter, without those of children."""
        return {}

    def _relied_on(self) -> Iterable[Parameter]:
        """The parameters that `_backward` reads itself, which are those that must not change before it."""
        return self.own_parameters().values()

    def own_buffers(self) -> dict[str, np.ndarray]:
        """Local name to array that belongs to the model's state but is not trained (running statistics)."""
        return {}

    def children(self) -> dict[str, Layer]:
        """Local name to layer; the name "" adds nothing to the dotted name."""
        return {}

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield (dotted name, layer) for this layer and everything below it, in forward order."""
        yield prefix, self
        for name, child in self.children().items():
            yield from child.named_layers(dotted(prefix, name))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter) in PyTorch's order."""
        for prefix, layer in self.named_layers():
            for name, parameter in layer.own_parameters().items():
                yield dotted(prefix, name), parameter

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (dotted name, array) of the running statistics."""
        for prefix, layer in self.named_layers():
            for name, array in layer.own_buffers().items():
                yield dotted(prefix, name), array

    @property
    def label(self) -> str:
        """How errors call this layer."""
        return self._label

    @property
    def _label(self) -> str:
        return type(self).__name__


class Uncounted(Layer):
    """A layer without multiply-adds that count: a few operations an entry, beside the products of weights."""

    def multiply_adds(self, shape: Shape) -> MultiplyAdds:
        return MultiplyAdds()


def dotted(*names: str) -> str:
    """Parts of a name joined; those that are "" add nothing."""
    return ".".join(name for name in names if name)
