"""Importance of weights and gradients, equations (1) and (3), and the probe that feeds (1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def cwi(weight: Tensor, current: Tensor, replay: Tensor, *, alpha: float, beta: float) -> Tensor:
    """|w| + alpha |d CE~(D_t)/dw| + beta |d CE(M)/dw|, equation (1)."""
    return weight.abs() + cgi(current, replay, alpha=alpha, beta=beta)


def cgi(current: Tensor, replay: Tensor, *, alpha: float, beta: float) -> Tensor:
    """alpha |current gradient| + beta |replay gradient|, equation (3)."""
    return alpha * current.abs() + beta * replay.abs()


@contextmanager
def statistics_untouched(model: nn.Module) -> Iterator[None]:
    """Put every running statistic back on leaving."""
    saved = {name: value.clone() for name, value in model.named_buffers()}
    try:
        yield
    finally:
        for name, value in model.named_buffers():
            value.copy_(saved[name])


def probe_gradients(
    model: nn.Module,
    names: Sequence[str],
    inputs: Tensor,
    labels: Tensor,
    *,
    chunk: int,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> dict[str, Tensor]:
    """Gradient of the mean loss over all samples, formed chunk by chunk.

    Batch-norm uses each chunk's own statistics and leaves the running ones alone. A chunk's mean gradient weighs as
    much as it has samples. No samples give zero gradients.

    Parameters
    ----------
    inputs : (N, C, H, W), labels : (N,)
    chunk
        Samples per forward pass; the last chunk may be smaller.
    loss
        Mean loss of logits and labels.
    """
    parameters = dict(model.named_parameters())
    chosen = [parameters[name] for name in names]
    total = [torch.zeros_like(p) for p in chosen]
    model.train()
    with statistics_untouched(model):
        for start in range(0, len(labels), chunk):
            x, y = inputs[start : start + chunk], labels[start : start + chunk]
            gradients = torch.autograd.grad(loss(model(x), y), chosen)
            for sum_, gradient in zip(total, gradients, strict=True):
                sum_ += gradient * len(y)
    count = max(len(labels), 1)
    return {name: sum_.detach() / count for name, sum_ in zip(names, total, strict=True)}
