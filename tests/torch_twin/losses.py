"""Losses of section 1. All are means, so that their gradients are those of the mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor, classes: Sequence[int] | None = None) -> Tensor:
    """Mean cross-entropy over all logits, or over those of `classes` only (the single head).

    Leaving the other logits out of the softmax is the same as setting them to minus infinity, without an infinity.

    Parameters
    ----------
    logits : (N, classes)
    labels : (N,) int64
        Class numbers of the whole head. A label outside `classes` is a ValueError.
    """
    if classes is None:
        return functional.cross_entropy(logits, labels)
    columns = torch.as_tensor(list(classes))
    hits = labels[:, None] == columns[None, :]
    if not bool((hits.sum(dim=1) == 1).all()):
        raise ValueError(f"labels {labels.tolist()} must each be one of the task's classes {list(classes)}")
    return functional.cross_entropy(logits[:, columns], hits.to(torch.int64).argmax(dim=1))


def mse(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference over samples and logits."""
    if logits.shape != targets.shape:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, stored logits {tuple(targets.shape)}")
    return ((logits - targets) ** 2).mean()
