"""Schedule of task-aware dynamic masking, Algorithm 1."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from .masks import clamp, exact


class Action(NamedTuple):
    """One mask action: kind "shrink" or "expand", to the sparsity `target`."""

    kind: str
    target: Fraction


def actions(task: int, epoch: int, *, delta_k: int, sparsity: float, p_inter: float, p_intra: float) -> list[Action]:
    """Mask actions before the updates of epoch `epoch` (from 1) of task `task` (from 1), in order."""
    s, inter, intra = exact(sparsity), exact(p_inter), exact(p_intra)
    todo = []
    if task > 1 and epoch == 1:
        todo.append(Action("expand", clamp(s - inter)))
    if epoch % delta_k == 0:
        # also covers "shrink back to s" at epoch delta_k: where both fall due there is this one action
        todo += [Action("shrink", clamp(s + intra)), Action("expand", clamp(s))]
    return todo
