"""Rules of masks: budgets, random start, shrink, grow.

A *group* is a tuple of layer names that share one budget: every layer alone (`uniform`, `erk`) or all together
(`global`). shrink and grow work on the flat concatenation of a group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
Group = tuple[str, ...]


class Margin(NamedTuple):
    """How clear a selection was: worst kept value, best dropped value, largest absolute value that was ranked."""

    kept: float
    dropped: float
    scale: float

    @property
    def relative(self) -> float:
        """(kept - dropped) / scale; infinite when there was no choice (nothing kept, nothing dropped)."""
        if math.isinf(self.kept) or math.isinf(self.dropped):
            return math.inf
        return (self.kept - self.dropped) / self.scale if self.scale > 0 else 0.0


def margin(values: Tensor, kept: Tensor, dropped: Tensor) -> Margin:
    """Margin of a selection over flat `values`, given the two boolean sides."""
    worst = float(values[kept].min()) if bool(kept.any()) else math.inf
    best = float(values[dropped].max()) if bool(dropped.any()) else -math.inf
    ranked = values[kept | dropped]
    return Margin(worst, best, float(ranked.abs().max()) if len(ranked) else 0.0)


def exact(value: float) -> Fraction:
    """The decimal number as written: 0.9 is 9/10."""
    return value if isinstance(value, Fraction) else Fraction(str(value))


def clamp(target: Fraction) -> Fraction:
    """Target sparsity in [0, 1]."""
    return min(max(target, Fraction(0)), Fraction(1))


def active_count(n: int, sparsity: float | Fraction) -> int:
    """floor((1 - s) * n + 1/2), exactly."""
    return math.floor((1 - clamp(exact(sparsity))) * n + Fraction(1, 2))


def erk_densities(shapes: Shapes, sparsity: float | Fraction) -> dict[str, Fraction]:
    """Exact densities min(1, eps * sum(shape) / prod(shape)), eps such that (1 - s) of all weights live."""
    size = {name: math.prod(shape) for name, shape in shapes.items()}
    wanted = (1 - clamp(exact(sparsity))) * sum(size.values())
    dense: set[str] = set()
    while True:
        free = [name for name in shapes if name not in dense]
        if not free:
            break
        # eps * sum(shape) / prod(shape) * prod(shape) weights of a layer: only sums of dimensions remain
        eps = (wanted - sum(size[name] for name in dense)) / sum(sum(shapes[name]) for name in free)
        over = {name for name in free if eps * sum(shapes[name]) > size[name]}
        if not over:
            break
        dense |= over
    return {name: Fraction(1) if name in dense else eps * sum(shape) / size[name] for name, shape in shapes.items()}


def budgets(shapes: Shapes, sparsity: float | Fraction, kind: str = "uniform") -> dict[Group, int]:
    """Number of active weights for each group."""
    if kind == "uniform":
        return {(name,): active_count(math.prod(shape), sparsity) for name, shape in shapes.items()}
    if kind == "erk":
        densities = erk_densities(shapes, sparsity)
        return {(name,): active_count(math.prod(shape), 1 - densities[name]) for name, shape in shapes.items()}
    if kind == "global":
        return {tuple(shapes): active_count(sum(math.prod(shape) for shape in shapes.values()), sparsity)}
    raise ValueError(f"budgets are {kind!r}, expected uniform, erk or global")


def flat(tensors: Mapping[str, Tensor], group: Group) -> Tensor:
    """The group's tensors flattened in C order, one after the other."""
    return torch.cat([tensors[name].detach().reshape(-1) for name in group])


def unflat(vector: Tensor, shapes: Shapes, group: Group) -> dict[str, Tensor]:
    """Inverse of `flat`."""
    parts = torch.split(vector, [math.prod(shapes[name]) for name in group])
    return {name: part.reshape(shapes[name]).clone() for name, part in zip(group, parts, strict=True)}


def random_mask(shapes: Shapes, sparsity: float, kind: str, generator: np.random.Generator) -> dict[str, Tensor]:
    """Uniformly random masks of exactly the budgeted sizes."""
    masks: dict[str, Tensor] = {}
    for group, count in budgets(shapes, sparsity, kind).items():
        vector = torch.zeros(sum(math.prod(shapes[name]) for name in group), dtype=torch.bool)
        vector[torch.as_tensor(generator.permutation(len(vector))[:count])] = True
        masks |= unflat(vector, shapes, group)
    return masks


def top(values: Tensor, candidates: Tensor, count: int) -> tuple[Tensor, Margin]:
    """Of the flat boolean `candidates` the `count` of largest value; among equals the lower index is kept.

    Raises ValueError if a candidate's value is not finite: such values cannot be ranked.
    """
    places = torch.nonzero(candidates).reshape(-1)
    ranked = values[places]
    if not bool(torch.isfinite(ranked).all()):
        raise ValueError("importance contains NaN or infinity and cannot be ranked")
    order = torch.sort(ranked, descending=True, stable=True).indices
    kept = torch.zeros_like(candidates)
    kept[places[order[:count]]] = True
    return kept, margin(values, kept, candidates & ~kept)


def shrink(importance: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Margin]:
    """Keep the `count` most important of the living (all arguments flat); fewer living stay as they are."""
    return top(importance, mask, count)


def grow(mask: Tensor, indices: Tensor, count: int) -> Tensor:
    """Add the given flat indices, which must be exactly `count - living` (at least none), distinct and inactive."""
    needed = max(0, count - int(mask.sum()))
    indices = torch.as_tensor(indices, dtype=torch.int64).reshape(-1)
    if len(indices) != needed or len(torch.unique(indices)) != needed:
        raise ValueError(f"growth needs {needed} distinct indices, given {len(indices)}")
    if bool(mask[indices].any()):
        raise ValueError("growth indices must be inactive weights")
    grown = mask.clone()
    grown[indices] = True
    return grown
