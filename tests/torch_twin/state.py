"""The complete state of a twin as nested dictionaries of NumPy arrays and plain numbers.

model           every parameter and running statistic, by state-dict name
masks           sparsifiable names -> bool
gradient_masks  sparsifiable and frozen names -> bool
frozen          released rule 8: name -> bool, True where the entry may train
momentum        every parameter name -> velocity
gradients       "current", "replay", "total" -> parameter name -> array (of the last step)
buffer          images, labels, logits, tasks (filled rows in slot order; absent while empty), seen
ddr             remaining, misclassified, flips, ever_correct, previous (see `Removal`)
cursor          task, epoch, iteration
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .models import load_arrays
from .removal import FIELDS as DDR_FIELDS

if TYPE_CHECKING:
    from .trainer import Twin

TENSOR_FIELDS = ("masks", "gradient_masks", "momentum")
CURSOR = ("task", "epoch", "iteration")


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def _take(given: dict, current: dict[str, torch.Tensor], field: str) -> dict[str, torch.Tensor]:
    """Tensors of the given arrays; names and shapes must be those already there."""
    if set(given) != set(current):
        raise ValueError(f"{field} has names {sorted(given)}, expected {sorted(current)}")
    taken = {}
    for name, old in current.items():
        array = np.asarray(given[name])
        if array.shape != tuple(old.shape):
            raise ValueError(f"{field} of {name} has shape {array.shape}, expected {tuple(old.shape)}")
        taken[name] = torch.tensor(array, dtype=old.dtype)
    return taken


def get_state(twin: Twin) -> dict:
    """Copies of everything that changes in a run."""
    state = {"model": _arrays(twin.model.state_dict())}
    state |= {field: _arrays(getattr(twin, field)) for field in TENSOR_FIELDS}
    state["frozen"] = _arrays(twin.frozen)
    state["gradients"] = {part: _arrays(tensors) for part, tensors in twin.gradients.items()}
    state["buffer"] = twin.buffer.content()
    state["ddr"] = {field: getattr(twin.removal, field).copy() for field in DDR_FIELDS}
    state["cursor"] = {field: getattr(twin, field) for field in CURSOR}
    return state


def set_state(twin: Twin, state: dict) -> None:
    """Take over the parts of a state that are given; an unknown part, name or shape is a ValueError."""
    known = {"model", *TENSOR_FIELDS, "frozen", "gradients", "buffer", "ddr", "cursor"}
    if unknown := set(state) - known:
        raise ValueError(f"unknown parts of a state: {sorted(unknown)}; known are {sorted(known)}")
    if "model" in state:
        load_arrays(twin.model, state["model"])
    for field in TENSOR_FIELDS:
        if field in state:
            setattr(twin, field, _take(state[field], getattr(twin, field), field))
    if "frozen" in state:
        shapes = {name: twin.parameters[name].bool() for name in state["frozen"]}
        twin.frozen = _take(state["frozen"], shapes, "frozen")
    for part, arrays in state.get("gradients", {}).items():
        twin.gradients[part] = _take(arrays, twin.gradients[part], f"{part} gradient")
    if "buffer" in state:
        twin.buffer.load(state["buffer"])
    for field, value in state.get("ddr", {}).items():
        if field not in DDR_FIELDS:
            raise ValueError(f"unknown ddr field {field!r}; known are {DDR_FIELDS}")
        setattr(twin.removal, field, np.array(value, dtype=getattr(twin.removal, field).dtype))
    for field, value in state.get("cursor", {}).items():
        if field not in CURSOR:
            raise ValueError(f"unknown cursor field {field!r}; known are {CURSOR}")
        setattr(twin, field, int(value))
