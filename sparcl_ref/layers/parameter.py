"""Parameters, each the one owner of its masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class PackedGradient:
    """The gradient of some entries of a parameter; of all others it is +0.0.

    Attributes
    ----------
    index : ndarray of int, shape (n,)
        Flat indices, ascending.
    values : ndarray of float, shape (n,)
    """

    index: np.ndarray
    values: np.ndarray

    def spread(self, shape: tuple[int, ...]) -> np.ndarray:
        """As an array of the parameter's shape."""
        grad = np.zeros(shape, dtype=self.values.dtype)
        grad.reshape(-1)[self.index] = self.values
        return grad


class Parameter:
    """A trainable array, its gradient, and the masks that say which of its entries live.

    Attributes
    ----------
    name : str
        Dotted name, equal to the key in PyTorch's ``state_dict`` of the same model.
    value, grad : ndarray
        Same shape and dtype. Backward passes *add* to ``grad``.
    packed_grad : PackedGradient or None
        The gradient as the numbers of a few entries, while an engine keeps it so; reading ``grad`` spreads it out.
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

    __slots__ = ("_grad", "_grad_mask", "_mask", "_packed", "name", "slots", "sparsifiable", "value", "version")

    def __init__(self, name: str, value: np.ndarray, *, sparsifiable: bool = False):
        self.name = name
        self.value = value
        self._grad: np.ndarray | None = np.zeros_like(value)
        self._packed: PackedGradient | None = None
        self.sparsifiable = sparsifiable
        self.slots: dict[str, np.ndarray] = {}
        self._mask: np.ndarray | None = None
        self._grad_mask: np.ndarray | None = None
        self.version = 0

    def __repr__(self) -> str:
        return f"Parameter({self.name}, shape={self.value.shape}, dtype={self.value.dtype}, active={self.active})"

    @property
    def grad(self) -> np.ndarray:
        if self._grad is None:
            self._grad = self._packed.spread(self.value.shape)
            self._packed = None
        return self._grad

    @grad.setter
    def grad(self, grad: np.ndarray) -> None:
        self._grad, self._packed = grad, None

    @property
    def packed_grad(self) -> PackedGradient | None:
        return self._packed

    @packed_grad.setter
    def packed_grad(self, packed: PackedGradient) -> None:
        self._grad, self._packed = None, packed

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
