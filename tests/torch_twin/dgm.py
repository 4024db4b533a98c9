"""Dynamic gradient masking, section 5."""

from __future__ import annotations

from fractions import Fraction

from torch import Tensor

from .masks import Margin, Shapes, budgets, top


def keep_counts(shapes: Shapes, gradient_sparsity: Fraction, kind: str) -> dict[str, int]:
    """Gradients each layer keeps at sparsity s + q. `global` has no layer budgets and takes the uniform ones."""
    by_group = budgets(shapes, gradient_sparsity, "uniform" if kind == "global" else kind)
    return {name: count for (name,), count in by_group.items()}


def refresh_due(iteration: int, interval: int) -> bool:
    """True at iterations 0, interval, 2 * interval, ... of an epoch."""
    return iteration % interval == 0


def gradient_mask(importance: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Margin]:
    """Of the living weights the `count` of largest CGI (all if fewer live); ties: the lower flat index is kept."""
    kept, margin = top(importance.reshape(-1), mask.reshape(-1), count)
    return kept.reshape(mask.shape), margin
