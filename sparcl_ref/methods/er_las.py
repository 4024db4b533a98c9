"""ER-LAS, replay with logit-adjusted softmax (Huang et al., TMLR 2024): no class is favoured for being shown often.

New and replayed samples make one batch. To each logit the log of its class's share among the labels shown is added, as
a prior is to a likelihood; the network has to explain only the rest, and predicts by plain logits.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.losses import correct, cross_entropy
from sparcl_ref.methods.records import Batch, Observation
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.settings import OwnSettings, setting

#: Added to counts, so that a class not shown has a logarithm: its probability then is about this.
TINY = 1e-50


def adjusted_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, counts: np.ndarray, *, tau: float
) -> tuple[np.ndarray, np.ndarray]:
    """CE of z + tau log(n + 1e-50), with n the labels counted by class: per-sample losses, gradient of their mean.

    The adjustment is a constant, so the gradient with respect to z is that of CE at the adjusted logits.
    """
    prior = tau * np.log(counts + TINY)
    return cross_entropy(logits + prior.astype(logits.dtype), labels)


class ERLAS(RehearsalMethod):
    """L = mean of `adjusted_cross_entropy` over B and B' together, in one pass [V, the authors' code].

    n counts the labels of the last ``window`` joint batches, the present one included. With tau 0 it is replay by joint
    batches. One pass has one gradient: equation 3 takes all of it for the current one's. Costs what ER costs.
    """

    title = "ER-LAS"
    draws_per_step = 1
    own_head = True
    joins_passes = True

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        tau: float = setting(1.0, "strength of the adjustment", at_least=0)
        window: int = setting(1, "joint batches whose labels are counted", at_least=1)

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        self.shown: list[np.ndarray] = []

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step, new = Observation(), len(batch.labels)
        x, labels = batch.x, batch.labels
        if self.remembers(batch):
            old = self._recall(step, draws)
            x = np.concatenate([x, self.prepare(old.images)])
            labels = np.concatenate([labels, old.labels])
        self.shown = [*self.shown, np.bincount(labels, minlength=self.model.classes)][-self.settings.window :]
        loss = functools.partial(
            adjusted_cross_entropy, labels=labels, counts=np.sum(self.shown, axis=0), tau=self.settings.tau
        )
        self.model.zero_grads()
        logits = self.model.forward(x, mode="train")
        per_sample, dlogits = loss(logits)
        self.model.backward(dlogits, need_dx=False)
        step.logits, step.correct = logits[:new], correct(logits[:new], batch.labels)
        shares = {"current": per_sample[:new], "replay_ce": per_sample[new:]}
        step.losses = {
            term: float(np.sum(part, dtype=np.float64)) / len(labels) for term, part in shares.items() if len(part)
        }
        for kind, part in zip(("current", "replay"), shares.values(), strict=True):
            if len(part):
                self.on_pass(kind, len(part))
        step.current_grads = self.model.take_grads()
        self.model.set_grads(step.current_grads)
        return step

    def state(self) -> dict[str, Any]:
        return {"shown": [counts.copy() for counts in self.shown]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.shown = [np.array(counts) for counts in state["shown"]]
