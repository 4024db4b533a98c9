"""The passes of one step: losses and, apart from each other, the gradients of the current and of the replay part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import Config
from .losses import cross_entropy, mse


class Replayed(NamedTuple):
    """One draw from the buffer as the network sees it: inputs (n, C, H, W), labels (n,), stored logits (n, classes)."""

    inputs: Tensor
    labels: Tensor
    logits: Tensor


class Observation(NamedTuple):
    """Outcome of the passes.

    `logits` (N, classes) are raw and detached; `losses` holds the unweighted terms and their weighted sum "total";
    `current` and `replay` are dense gradients by parameter name.
    """

    logits: Tensor
    losses: dict[str, float]
    current: dict[str, Tensor]
    replay: dict[str, Tensor]


def gradients(loss: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """d loss / d parameter for every parameter, by autograd."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def replay_terms(model: nn.Module, config: Config, draws: Sequence[Replayed]) -> list[tuple[str, float, Tensor]]:
    """(name, coefficient, loss) of each replay term of section 1, one forward pass each, in the order B', B''."""
    first = draws[0]
    if config.method == "er":
        return [("replay_ce", config.er_weight, cross_entropy(model(first.inputs), first.labels))]
    terms = [("replay_mse", config.alpha, mse(model(first.inputs), first.logits))]
    if config.method == "derpp":
        second = draws[1]
        terms.append(("replay_ce", config.beta, cross_entropy(model(second.inputs), second.labels)))
    return terms


def observe(
    model: nn.Module,
    config: Config,
    inputs: Tensor,
    labels: Tensor,
    classes: Sequence[int],
    draws: Sequence[Replayed],
) -> Observation:
    """Run all passes of a step in train mode; nothing but the running statistics changes.

    Parameters
    ----------
    inputs : (N, C, H, W), labels : (N,)
        The current batch B as the network sees it.
    classes
        Classes of the current task, for the single head.
    draws
        B' (and B'' for DER++), or nothing when there is no replay yet.
    """
    model.train()
    logits = model(inputs)
    loss = cross_entropy(logits, labels, classes if config.head == "single" else None)
    current = gradients(loss, model)
    losses = {"current": loss.item()}
    total = losses["current"]
    replay = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    if draws:
        terms = replay_terms(model, config, draws)
        weighted = sum(coefficient * term for _, coefficient, term in terms)
        replay = gradients(weighted, model)
        losses |= {name: term.item() for name, _, term in terms}
        total += weighted.item()
    return Observation(logits.detach(), losses | {"total": total}, current, replay)
