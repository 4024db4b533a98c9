"""TDM, task-aware dynamic masking (Algorithm 1): when the mask shrinks and expands, and to which sparsity."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple

from sparcl_ref.masks import clamp, exact


class Action(NamedTuple):
    """One change of the mask: shrink to, or expand to, a sparsity; or exchange a share of the living at that sparsity.

    An exchange takes effect at once: a weight that leaves and joins in it has never been dead.
    """

    kind: Literal["shrink", "expand", "exchange"]
    sparsity: Fraction
    share: float = 0.0


def check_schedule(*, epochs: int, delta_k: int, p_inter: float, least: int = 2) -> None:
    """Refuse a schedule whose expansion at the start of a task would never be taken back.

    Raises
    ------
    ValueError
        Unless 1 <= delta_k, and ``least`` <= delta_k <= epochs or p_inter = 0.
    """
    if delta_k < 1:
        raise ValueError(f"delta_k must be at least 1, got {delta_k}")
    if p_inter > 0 and not least <= delta_k <= epochs:
        raise ValueError(
            f"delta_k must lie in {least}..{epochs} (the epochs of a task) while p_inter > 0, got {delta_k}; "
            "change delta_k or epochs, or set p_inter to 0"
        )


def tdm_actions(
    task: int,
    epoch: int,
    *,
    sparsity: float | Fraction,
    delta_k: int = 5,
    p_inter: float | Fraction = 0.01,
    p_intra: float | Fraction = 0.005,
) -> tuple[Action, ...]:
    """The mask changes before the first update of an epoch (Algorithm 1).

    Inter-task: from the second task on, random weights join at the first epoch until sparsity s - p_inter, room for
    the new task; at epoch delta_k the least important leave again. Intra-task: at every multiple of delta_k the mask
    shrinks to s + p_intra and expands back to s with random weights. Epoch delta_k is such a multiple, so the two
    meet there in one action: shrink to s + p_intra, expand to s.

    Parameters
    ----------
    task, epoch : int
        Counted from 1.
    sparsity : float, str or Fraction
        s. At 0 nothing is ever dead, there is nothing to exchange, and the answer is always empty.
    delta_k : int
        Epochs between adjustments.
    p_inter, p_intra : float, str or Fraction
        How far the sparsity moves between and within tasks.

    Returns
    -------
    tuple of Action
        In the order to take them; targets are exact fractions clamped to [0, 1].

    Raises
    ------
    ValueError
        If task, epoch or delta_k is below 1.
    """
    if min(task, epoch, delta_k) < 1:
        raise ValueError(f"tdm_actions: task, epoch and delta_k count from 1, got {task}, {epoch} and {delta_k}")
    s, inter, intra = exact(sparsity), exact(p_inter), exact(p_intra)
    if s == 0:
        return ()
    actions = []
    if task > 1 and epoch == 1 and inter > 0:
        actions.append(Action("expand", clamp(s - inter)))
    if epoch % delta_k == 0:
        actions.append(Action("shrink", clamp(s + intra)))
        actions.append(Action("expand", clamp(s)))
    return tuple(actions)
