"""Parameters, each the one owner of its masks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class DeferredGradient(Protocol):
    """A gradient in an engine's own form, until someone wants an array."""

    def spread(self, shape: tuple[int, ...]) -> np.ndarray:
        """As a new array of the parameter's shape and dtype."""


#: Copies of the frozen entries of the value and of each slot.
FrozenEntries = tuple[np.ndarray, dict[str, np.ndarray]]


class Parameter:
    """A trainable array, its gradient, and the masks that say which of its entries live.

    Attributes
    ----------
    name : str
        Dotted name, equal to the key in PyTorch's ``state_dict`` of the same model.
    value, grad : ndarray
        Same shape and dtype. Backward passes *add* to ``grad``.
    deferred_grad : DeferredGradient or None
        The gradient as an engine gave it to `defer_grad`, until ``grad`` is read or set.
    sparsifiable : bool
        Whether SparCL may prune it: convolution and linear weights except the stem, 1x1 shortcuts and the classifier.
    slots : dict of str to ndarray
        Optimiser state that lives and dies with the value, such as ``"momentum"``.
    mask : ndarray of bool or None
        Living entries, read-only; None means that all live. Changed by `set_mask` only.
    grad_mask : ndarray of bool or None
        Living entries whose gradient is formed, read-only, a subset of ``mask``; None means "as ``mask``".
        Changed by `set_grad_mask` only.
    frozen : ndarray of bool or None
        Living entries that belong to an earlier task, read-only: no gradient is formed for them, and no step of an
        optimiser changes their value or state. Changed by `freeze` only.
    forms_frozen : bool
        Whether gradients of frozen entries are formed all the same, for who needs them beside the optimiser, such as
        scores by which entries are chosen. Set before `freeze`.
    effective_grad_mask : ndarray of bool or None
        Where the gradient is formed: ``grad_mask`` if set, else ``mask``, less frozen entries unless ``forms_frozen``;
        None means everywhere, as it is between `form_all` and the next change of ``mask`` or ``grad_mask``.
    version : int
        Goes up at every change of one of the three, so that an engine knows when to rebuild what it derived from them.
    changes : int
        Goes up whenever ``value`` is set, or said to have been changed in place (`changed`), so that a backward pass
        knows that its forward pass saw other weights. ``value[...] = w`` alone goes unnoticed.
    """

    __slots__ = (
        "_effective_grad_mask", "_frozen", "_grad", "_grad_mask", "_mask", "_value", "changes", "forms_frozen",
        "name", "slots", "sparsifiable", "version",
    )  # fmt: skip

    def __init__(self, name: str, value: np.ndarray, *, sparsifiable: bool = False):
        self.name = name
        self.changes = 0
        self.value = value
        self._grad: np.ndarray | DeferredGradient = np.zeros(value.shape, value.dtype)
        self.sparsifiable = sparsifiable
        self.forms_frozen = False
        self.slots: dict[str, np.ndarray] = {}
        self._mask: np.ndarray | None = None
        self._grad_mask: np.ndarray | None = None
        self._frozen: np.ndarray | None = None
        self._effective_grad_mask: np.ndarray | None = None
        self.version = 0

    def __repr__(self) -> str:
        return f"Parameter({self.name}, shape={self.value.shape}, dtype={self.value.dtype}, active={self.active})"

    @property
    def value(self) -> np.ndarray:
        return self._value

    @value.setter
    def value(self, value: np.ndarray) -> None:
        self._value = value
        self.changed()

    def changed(self) -> None:
        """Say that entries of ``value`` have been changed in place; whoever writes to them says so."""
        self.changes += 1

    @property
    def grad(self) -> np.ndarray:
        if not isinstance(self._grad, np.ndarray):
            self._grad = self._grad.spread(self.value.shape)
        return self._grad

    @grad.setter
    def grad(self, grad: np.ndarray) -> None:
        self._grad = grad

    @property
    def deferred_grad(self) -> DeferredGradient | None:
        return None if isinstance(self._grad, np.ndarray) else self._grad

    def defer_grad(self, deferred: DeferredGradient) -> None:
        """Set the gradient to what an engine will spread out when ``grad`` is read; it replaces what was there."""
        self._grad = deferred

    @property
    def mask(self) -> np.ndarray | None:
        return self._mask

    @property
    def grad_mask(self) -> np.ndarray | None:
        return self._grad_mask

    @property
    def frozen(self) -> np.ndarray | None:
        return self._frozen

    @property
    def effective_grad_mask(self) -> np.ndarray | None:
        return self._effective_grad_mask

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

        Raises
        ------
        TypeError
            If the mask is not boolean.
        ValueError
            If its shape differs from the value's, or a frozen entry would die.
        """
        checked = self._checked(mask, "mask")
        if checked is not None and self._frozen is not None and np.any(self._frozen & ~checked):
            raise ValueError(
                f"{self.name}: the mask must keep frozen entries alive; it would kill "
                f"{np.count_nonzero(self._frozen & ~checked)} of {np.count_nonzero(self._frozen)}"
            )
        self._mask, self._grad_mask = checked, None
        self._masks_changed()
        if checked is not None and self.value[~checked].any():
            self.changed()
        self.clear_dead()

    def set_grad_mask(self, grad_mask: np.ndarray | None) -> None:
        """Say for which living entries a gradient is formed; None stands for "as mask".

        Raises
        ------
        TypeError
            If the mask is not boolean.
        ValueError
            If its shape differs from the value's, or it is set where ``mask`` is not.
        """
        self._grad_mask = self._checked(grad_mask, "gradient mask", among_living=True)
        self._masks_changed()

    def form_all(self) -> None:
        """Form the gradient of dead entries, too, until ``mask`` or ``grad_mask`` is set: what growth is chosen by.

        An optimiser must not step meanwhile. Frozen entries get none.
        """
        self._masks_changed(everywhere=True)

    def freeze(self, frozen: np.ndarray | None) -> None:
        """Say which living entries keep their value to the bit; unless ``forms_frozen``, their gradient becomes +0.0.

        The mask given holds all frozen entries, also those that were frozen before; None lets every entry go.

        Raises
        ------
        TypeError
            If the mask is not boolean.
        ValueError
            If its shape differs from the value's, or it is set on dead entries.
        """
        self._frozen = self._checked(frozen, "frozen mask", among_living=True)
        self._masks_changed()
        if self._frozen is not None and not self.forms_frozen:
            self.grad[self._frozen] = 0.0

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

    def frozen_entries(self) -> FrozenEntries | None:
        """What `restore_frozen` needs after someone has written to value or optimiser state; None if none is frozen."""
        if self._frozen is None:
            return None
        return self.value[self._frozen], {key: array[self._frozen] for key, array in self.slots.items()}

    def restore_frozen(self, entries: FrozenEntries | None) -> None:
        """Give frozen entries the bits that `frozen_entries` found; state that is new since then is +0.0 there."""
        if entries is not None:
            self.value[self._frozen] = entries[0]
            for key, array in self.slots.items():
                array[self._frozen] = entries[1].get(key, 0.0)

    def take_grad(self) -> np.ndarray:
        """Hand over the gradient and start a new one at zero, so that two losses' gradients can be told apart."""
        taken = self.grad
        self.grad = np.zeros_like(self.value)
        return taken

    def state(self) -> dict[str, Any]:
        """Everything needed to go on from here; arrays are copies."""
        masks = {"mask": self._mask, "grad_mask": self._grad_mask, "frozen": self._frozen}
        return {
            "value": self.value.copy(),
            "grad": self.grad.copy(),
            "slots": {key: array.copy() for key, array in self.slots.items()},
            **{key: None if mask is None else mask.copy() for key, mask in masks.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, keeping the value's array object (engines share it)."""
        if np.shape(state["value"]) != self.value.shape:
            raise ValueError(f"{self.name}: expected shape {self.value.shape}, got {np.shape(state['value'])}")
        self.value[...] = state["value"]
        self.changed()
        self.grad[...] = state["grad"]
        self.slots = {key: np.array(array, dtype=self.value.dtype) for key, array in state["slots"].items()}
        self._frozen = None  # what is replaced binds no longer
        self.set_mask(state["mask"])
        self.set_grad_mask(state["grad_mask"])
        self.freeze(state.get("frozen"))  # states of earlier versions have none

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Copies and pickles of arrays can be written to; masks must not."""
        for name, value in state[1].items():
            setattr(self, name, value)
        for mask in (self._mask, self._grad_mask, self._frozen, self._effective_grad_mask):
            if mask is not None:
                mask.flags.writeable = False

    def _checked(self, mask: np.ndarray | None, what: str, *, among_living: bool = False) -> np.ndarray | None:
        if mask is None:
            return None
        mask = np.asarray(mask)
        if mask.dtype != np.bool_:
            raise TypeError(f"{self.name}: the {what} must be an array of bool, got dtype {mask.dtype}")
        if mask.shape != self.value.shape:
            raise ValueError(f"{self.name}: the {what} must have shape {self.value.shape}, got {mask.shape}")
        if among_living and self._mask is not None and np.any(mask & ~self._mask):
            raise ValueError(f"{self.name}: the {what} must be a subset of the mask; it is set on dead entries")
        return _read_only(mask)

    def _masks_changed(self, *, everywhere: bool = False) -> None:
        """Derive where the gradient is formed, and tell engines."""
        formed = None if everywhere else self._mask if self._grad_mask is None else self._grad_mask
        if self._frozen is not None and not self.forms_frozen:
            formed = _read_only(~self._frozen if formed is None else formed & ~self._frozen)
        self._effective_grad_mask = formed
        self.version += 1


def _read_only(mask: np.ndarray) -> np.ndarray:
    """A copy that cannot be written to."""
    copy = np.array(mask)
    copy.flags.writeable = False
    return copy
