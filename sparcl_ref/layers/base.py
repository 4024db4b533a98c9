"""What every layer shares: parameters, each the one owner of its masks, and the forward/backward contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

Mode = Literal["train", "eval", "probe"]
MODES = ("train", "eval", "probe")


class Parameter:
    """A trainable array, its gradient, and the masks that say which of its entries live.

    Attributes
    ----------
    name : str
        Dotted name, equal to the key in PyTorch's ``state_dict`` of the same model.
    value, grad : ndarray
        Same shape and dtype. Backward passes *add* to ``grad``.
    sparsifiable : bool
        Whether SparCL may prune it: convolution and linear weights except the stem, 1x1 shortcuts and the classifier.
    slots : dict of str to ndarray
        Optimiser state that lives and dies with the value, such as ``"momentum"``.
    mask : ndarray of bool or None
        Living entries, read-only; None means that all live. Changed by `set_mask` only.
    grad_mask : ndarray of bool or None
        Living entries whose gradient is formed, read-only, a subset of ``mask``; None means "as ``mask``".
        Changed by `set_grad_mask` only.
    version : int
        Goes up at every change of either mask, so that an engine knows when to rebuild what it derived from them.
    """

    __slots__ = ("_grad_mask", "_mask", "grad", "name", "slots", "sparsifiable", "value", "version")

    def __init__(self, name: str, value: np.ndarray, *, sparsifiable: bool = False):
        self.name = name
        self.value = value
        self.grad = np.zeros_like(value)
        self.sparsifiable = sparsifiable
        self.slots: dict[str, np.ndarray] = {}
        self._mask: np.ndarray | None = None
        self._grad_mask: np.ndarray | None = None
        self.version = 0

    def __repr__(self) -> str:
        return f"Parameter({self.name}, shape={self.value.shape}, dtype={self.value.dtype}, active={self.active})"

    @property
    def mask(self) -> np.ndarray | None:
        return self._mask

    @property
    def grad_mask(self) -> np.ndarray | None:
        return self._grad_mask

    @property
    def effective_grad_mask(self) -> np.ndarray | None:
        """Where the gradient is formed: ``grad_mask`` if set, else ``mask``; None means everywhere."""
        return self._mask if self._grad_mask is None else self._grad_mask

    @property
    def active(self) -> int:
        """Number of living entries."""
        return self.value.size if self._mask is None else int(np.count_nonzero(self._mask))

    @property
    def grad_active(self) -> int:
        """Number of entries whose gradient is formed."""
        mask = self.effective_grad_mask
        return self.value.size if mask is None else int(np.count_nonzero(mask))

    def set_mask(self, mask: np.ndarray | None) -> None:
        """Say which entries live; the others become exactly +0.0 in value, gradient and optimiser state.

        The gradient mask falls back to "as mask": a choice among the old living says nothing about the new.

        Parameters
        ----------
        mask : ndarray of bool, shape of ``value``, or None

        Raises
        ------
        TypeError
            If the mask is not boolean.
        ValueError
            If its shape differs from the value's.
        """
        self._mask = self._checked(mask, "mask")
        self._grad_mask = None
        self.version += 1
        self.clear_dead()

    def set_grad_mask(self, grad_mask: np.ndarray | None) -> None:
        """Say for which living entries a gradient is formed.

        Parameters
        ----------
        grad_mask : ndarray of bool, shape of ``value``, or None
            None stands for "as mask".

        Raises
        ------
        TypeError
            If the mask is not boolean.
        ValueError
            If its shape differs from the value's, or it is set where ``mask`` is not.
        """
        checked = self._checked(grad_mask, "gradient mask")
        if checked is not None and self._mask is not None and np.any(checked & ~self._mask):
            raise ValueError(f"{self.name}: the gradient mask must be a subset of the mask; it is set on dead entries")
        self._grad_mask = checked
        self.version += 1

    def add_grad(self, dw: np.ndarray) -> None:
        """Add a gradient where one is formed; everywhere else ``grad`` stays exactly +0.0."""
        self.grad += dw
        mask = self.effective_grad_mask
        if mask is not None:
            # Assigned, not multiplied: x * 0 is -0.0 for negative x and NaN for an infinite one.
            self.grad[~mask] = 0.0

    def clear_dead(self) -> None:
        """Assign +0.0 to the dead entries of value, gradient and optimiser state."""
        if self._mask is not None:
            dead = ~self._mask
            for array in (self.value, self.grad, *self.slots.values()):
                array[dead] = 0.0

    def take_grad(self) -> np.ndarray:
        """Hand over the gradient and start a new one at zero, so that two losses' gradients can be told apart."""
        taken = self.grad
        self.grad = np.zeros_like(self.value)
        return taken

    def state(self) -> dict[str, Any]:
        """Everything needed to go on from here; arrays are copies."""
        return {
            "value": self.value.copy(),
            "grad": self.grad.copy(),
            "slots": {key: array.copy() for key, array in self.slots.items()},
            "mask": None if self._mask is None else self._mask.copy(),
            "grad_mask": None if self._grad_mask is None else self._grad_mask.copy(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, keeping the value's array object (engines share it)."""
        if np.shape(state["value"]) != self.value.shape:
            raise ValueError(f"{self.name}: expected shape {self.value.shape}, got {np.shape(state['value'])}")
        self.value[...] = state["value"]
        self.grad[...] = state["grad"]
        self.slots = {key: np.array(array, dtype=self.value.dtype) for key, array in state["slots"].items()}
        self.set_mask(state["mask"])
        self.set_grad_mask(state["grad_mask"])

    def _checked(self, mask: np.ndarray | None, what: str) -> np.ndarray | None:
        if mask is None:
            return None
        mask = np.asarray(mask)
        if mask.dtype != np.bool_:
            raise TypeError(f"{self.name}: the {what} must be an array of bool, got dtype {mask.dtype}")
        if mask.shape != self.value.shape:
            raise ValueError(f"{self.name}: the {what} must have shape {self.value.shape}, got {mask.shape}")
        frozen = mask.copy()
        frozen.flags.writeable = False
        return frozen


class Layer:
    """One differentiable step of a network.

    A layer implements ``_forward`` and ``_backward``; the public methods check the mode, keep the cache between
    them and refuse a backward pass that has no forward pass to belong to.
    """

    def __init__(self) -> None:
        self._cache: Any = None

    def forward(self, x: np.ndarray, *, mode: Mode) -> np.ndarray:
        """Compute the output and remember what `backward` needs.

        Parameters
        ----------
        x : ndarray
            Input, first axis the batch. The output has its dtype.
        mode : {"train", "eval", "probe"}
            "probe" uses batch statistics like "train", but leaves running statistics alone and switches dropout off.

        Returns
        -------
        ndarray

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
        self._cache = (cache, y.shape, y.dtype)
        return y

    def backward(self, dy: np.ndarray, *, need_dx: bool = True) -> np.ndarray | None:
        """Propagate the gradient of a scalar loss from the output to the parameters and the input.

        Parameters
        ----------
        dy : ndarray
            dL/dy, shape of the output of the last `forward`.
        need_dx : bool
            False spares the gradient of the input, which nobody needs at a network's first layer.

        Returns
        -------
        ndarray or None
            dL/dx, or None if it was not asked for.

        Raises
        ------
        RuntimeError
            If no `forward` came before, or its backward pass has been taken already.
        ValueError
            If the shape of ``dy`` is not the output's.
        TypeError
            If its dtype is not.
        """
        if self._cache is None:
            raise RuntimeError(
                f"{self._label}: backward needs a forward pass before it; call forward once per backward"
            )
        cache, shape, dtype = self._cache
        expect_gradient_shape(self._label, dy, shape)
        if dy.dtype != dtype:
            raise TypeError(f"{self._label}: upstream gradient must have the output's dtype {dtype}, got {dy.dtype}")
        self._cache = None
        return self._backward(dy, cache, need_dx)

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, Any]:
        """Return the output and whatever `_backward` needs, by reference: arrays are never changed in place."""
        raise NotImplementedError  # pragma: no cover

    def _backward(self, dy: np.ndarray, cache: Any, need_dx: bool) -> np.ndarray | None:
        raise NotImplementedError  # pragma: no cover

    def own_parameters(self) -> dict[str, Parameter]:
        """Local name ("weight", "bias") to parameter, without those of children."""
        return {}

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
            yield from child.named_layers(".".join(part for part in (prefix, name) if part))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter) in PyTorch's order."""
        for prefix, layer in self.named_layers():
            for name, parameter in layer.own_parameters().items():
                yield f"{prefix}.{name}" if prefix else name, parameter

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (dotted name, array) of the running statistics."""
        for prefix, layer in self.named_layers():
            for name, array in layer.own_buffers().items():
                yield f"{prefix}.{name}" if prefix else name, array

    @property
    def _label(self) -> str:
        """How errors call this layer."""
        return type(self).__name__


def expect_gradient_shape(label: str, dy: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an upstream gradient that does not have the output's shape.

    Raises
    ------
    ValueError
        Naming the layer, the expected and the given shape.
    """
    if dy.shape != shape:
        raise ValueError(f"{label}: upstream gradient must have the output's shape {shape}, got {dy.shape}")
