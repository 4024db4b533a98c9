"""Masks, importance and gradient masks of the twin under the names of the conformance protocol."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from . import dgm, importance, losses, masks, optim, trainers
from .config import Config

__all__ = [
    "apply_mask",
    "budget",
    "budgets",
    "cgi",
    "cwi",
    "dgm_step",
    "erk_densities",
    "exchange",
    "gradient_mask",
    "gradient_sparsity",
    "grow",
    "is_refresh",
    "probe_gradient",
    "random_mask",
    "rigl_share",
    "rigl_update",
    "shrink",
    "snip_mask",
]


def budget(*, n: int, sparsity: str) -> int:
    return masks.active_count(n, sparsity)


def _named(shapes: Sequence[Sequence[int]]) -> dict[str, tuple[int, ...]]:
    return {str(place): tuple(shape) for place, shape in enumerate(shapes)}


def budgets(*, shapes: Sequence[Sequence[int]], sparsity: str, kind: str) -> list[int]:
    return list(masks.budgets(_named(shapes), sparsity, kind).values())


def erk_densities(*, shapes: Sequence[Sequence[int]], sparsity: str) -> list[float]:
    return [float(density) for density in masks.erk_densities(_named(shapes), sparsity).values()]


def random_mask(*, shape: Sequence[int], active: int, chosen: Any) -> Tensor:
    return grow(mask=torch.zeros(tuple(shape), dtype=torch.bool), active=active, joining=chosen)


def shrink(*, mask: Any, importance: Any, active: int) -> Tensor:
    mask, values = torch.as_tensor(mask), torch.as_tensor(importance)
    return masks.shrink(values.reshape(-1), mask.reshape(-1), active)[0].reshape(mask.shape)


def grow(*, mask: Any, active: int, joining: Any) -> Tensor:
    mask = torch.as_tensor(mask)
    return masks.grow(mask.reshape(-1), torch.as_tensor(joining), active).reshape(mask.shape)


def apply_mask(*, value: Any, grad: Any, velocity: Any, mask: Any) -> tuple[Tensor, ...]:
    arrays = [torch.as_tensor(array).clone() for array in (value, grad, velocity)]
    for array in arrays:
        optim.clear(array, torch.as_tensor(mask))
    return tuple(arrays)


def exchange(
    *, value: Any, velocity: Any, mask: Any, importance: Any, keep: int, active: int, joining: Any
) -> tuple[Tensor, Tensor, Tensor]:
    kept = shrink(mask=mask, importance=importance, active=keep)
    value, _, velocity = apply_mask(value=value, grad=value, velocity=velocity, mask=kept)
    return value, velocity, grow(mask=kept, active=active, joining=joining)


def snip_mask(*, weight: Any, gradient: Any, active: int) -> Tensor:
    return trainers.snip(torch.as_tensor(weight), torch.as_tensor(gradient), active)


def rigl_share(*, step: int, end: int, highest: float) -> float:
    return trainers.rigl_share(step, end, highest)


def rigl_update(*, value: Any, velocity: Any, mask: Any, gradient: Any, share: float) -> tuple[Tensor, ...]:
    return trainers.rigl(*(torch.as_tensor(array) for array in (value, velocity, mask, gradient)), share)


def cgi(*, grad_current: Any, grad_buffer: Any, alpha: float, beta: float) -> Tensor:
    return importance.cgi(torch.as_tensor(grad_current), torch.as_tensor(grad_buffer), alpha=alpha, beta=beta)


def cwi(*, weight: Any, grad_current: Any, grad_buffer: Any, alpha: float, beta: float) -> Tensor:
    arrays = (torch.as_tensor(array) for array in (weight, grad_current, grad_buffer))
    return importance.cwi(*arrays, alpha=alpha, beta=beta)


def probe_gradient(
    *,
    x: Any,
    labels: Any,
    classes: Sequence[int] | None,
    weight: Any,
    bias: Any,
    gamma: Any,
    beta: Any,
    batch_size: int,
    eps: float,
) -> Tensor:
    x, weight = torch.as_tensor(x), torch.as_tensor(weight)
    norm, linear = nn.BatchNorm2d(x.shape[1], eps=eps), nn.Linear(weight.shape[1], weight.shape[0])
    model = nn.Sequential(norm, nn.Flatten(), linear).to(x.dtype)
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), (gamma, beta, weight, bias), strict=True):
            parameter.copy_(torch.as_tensor(array))
    found = importance.probe_gradients(
        model,
        ["2.weight"],
        x,
        torch.as_tensor(labels),
        chunk=batch_size,
        loss=lambda logits, wanted: losses.cross_entropy(logits, wanted, classes),
    )
    return found["2.weight"]


def gradient_sparsity(*, sparsity: str, q: str | None) -> float:
    return float(Config(sparsity=Fraction(sparsity), dgm_q=None if q is None else Fraction(q)).gradient_sparsity)


def gradient_mask(*, mask: Any, importance: Any, sparsity: str) -> Tensor:
    mask = torch.as_tensor(mask)
    count = dgm.keep_counts({"layer": tuple(mask.shape)}, masks.exact(sparsity), "uniform")["layer"]
    return dgm.gradient_mask(torch.as_tensor(importance), mask, count)[0]


def is_refresh(*, iteration: int, interval: int) -> bool:
    return dgm.refresh_due(iteration, interval)


def dgm_step(
    *,
    iteration: int,
    interval: int,
    mask: Any,
    grad_mask: Any,
    grad_current: Any,
    grad_replay: Any,
    sparsity: str,
    alpha: float,
    beta: float,
) -> tuple[Tensor, Tensor]:
    if dgm.refresh_due(iteration, interval):
        values = cgi(grad_current=grad_current, grad_buffer=grad_replay, alpha=alpha, beta=beta)
        grad_mask = gradient_mask(mask=mask, importance=values, sparsity=sparsity)
    total = torch.as_tensor(grad_current) + torch.as_tensor(grad_replay)
    optim.clear(total, torch.as_tensor(grad_mask))
    return torch.as_tensor(grad_mask), total
