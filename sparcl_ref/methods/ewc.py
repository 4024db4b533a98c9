"""EWC, elastic weight consolidation (Kirkpatrick et al., PNAS 2017): hold weights by what they mean to earlier tasks.

After a task each parameter w_i has a Fisher information F_i, the mean squared gradient of log p(y | x), and an anchor
w*_i. Later losses grow by a quadratic well around the anchor, the steeper the larger F_i.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sparcl_ref.layers.base import Mode
from sparcl_ref.methods.base import Method, all_living
from sparcl_ref.methods.fisher import Choose, probabilities, squared_gradients
from sparcl_ref.methods.phases import Phase, PhaseStep
from sparcl_ref.methods.records import Batch, Extent, Observation, Occasion, Passes, TaskData
from sparcl_ref.settings import OwnSettings, setting


class Anchor(NamedTuple):
    """Fisher information and values of every parameter after a task, in the order of the network's parameters."""

    fisher: list[np.ndarray]
    values: list[np.ndarray]


def fisher_penalty(weights: Sequence[np.ndarray], anchor: Anchor, strength: float) -> tuple[float, list[np.ndarray]]:
    """strength / 2 sum_i F_i (w_i - w*_i)^2, summed in float64, and its gradient, strength F (w - w*)."""
    moved = [w - start for w, start in zip(weights, anchor.values, strict=True)]
    pull = [strength * f * d for f, d in zip(anchor.fisher, moved, strict=True)]
    twice = sum(float(np.vdot(p.astype(np.float64), d.astype(np.float64))) for p, d in zip(pull, moved, strict=True))
    return twice / 2, pull


class EWC(Method):
    """L = CE~(B) + lambda / 2 sum over tasks j of sum_i F_ji (w_i - w*_ji)^2.

    F_j is computed in eval mode on the task's samples, not augmented, with y drawn from the model
    (``fisher = sampled``) or the label (``empirical``), and the softmax of CE~. All trainable parameters take part; F
    of an entry that is dead then is 0 [F]. The penalty's gradient counts as that of the replay term in equation 3.
    """

    title = "EWC"
    family = "regularisation"

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        strength: float = setting(10.0, "lambda, how strongly weights are held", at_least=0)
        fisher: str = setting("sampled", "labels of the Fisher information", choices=("sampled", "empirical"))

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.strength == 0:
                yield "fisher", "--strength 0"

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        self.anchors: list[Anchor] = []
        #: `squared_gradients` of the samples gone through so far at the end of a task.
        self.totals: list[np.ndarray] = []

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "end_task":
            yield Passes("fisher", occasion.size, living=True, at_once=1, epochs=1)

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return {"fisher": 2 * len(extent.sizes) * extent.parameters * extent.item_bytes}

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        step = self._learn(batch)
        if self.anchors and self._strength:
            weights, total = [parameter.value for parameter in self.model.parameters()], 0.0
            for anchor in self.anchors:
                loss, gradient = fisher_penalty(weights, anchor, self._strength)
                total += loss
                for parameter, grad in zip(self.model.parameters(), gradient, strict=True):
                    parameter.add_grad(grad)
            step.losses["penalty"] = total
            step.replay_grads = self.model.take_grads()
        return self._finish(step)

    @property
    def _strength(self) -> float:
        strength: float = self.settings.strength
        return strength

    def phases(self, data: TaskData) -> Sequence[Phase]:
        return [Phase("fisher", 1, data.batch_size)]

    def begin_phase(self, data: TaskData, kind: str) -> None:
        self.totals = [np.zeros_like(parameter.value) for parameter in self.model.parameters()]

    def phase_order(self, data: TaskData, kind: str) -> np.ndarray:
        return np.arange(len(data))

    def phase_step(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        self._add_squares(data, part, classes=self._classes(data.task.classes))

    def end_task(self, data: TaskData) -> None:
        self._anchor([total / len(data) for total in self.totals])

    def _add_squares(
        self,
        data: TaskData,
        part: np.ndarray,
        *,
        classes: Sequence[int] | None,
        mode: Mode = "eval",
        by_confidence: bool = False,
    ) -> None:
        """Add `squared_gradients` of some samples; of the label, weighted by p(y | x), if told so."""

        def chosen(logits: np.ndarray, label: int) -> tuple[int, float]:
            p = probabilities(logits, classes)
            if by_confidence:
                return label, float(p[label])
            if self.settings.fisher == "sampled":
                assert self.own_rng is not None
                return int(self.own_rng.choice(len(p), p=p)), 1.0
            return label, 1.0

        def samples() -> Iterator[tuple[np.ndarray, Choose]]:
            for start in range(len(part)):
                batch = data.take(part[start : start + 1])
                yield batch.x, functools.partial(chosen, label=int(batch.labels[0]))

        with all_living(self.model):
            self.on_pass("fisher", len(part))
            squared_gradients(self.model, samples(), classes=classes, mode=mode, totals=self.totals)

    def _anchor(self, fisher: list[np.ndarray]) -> None:
        """Remember where the weights are."""
        self.anchors.append(Anchor(fisher, [parameter.value.copy() for parameter in self.model.parameters()]))
        self.totals = []

    def state(self) -> dict[str, Any]:
        anchors = [[[a.copy() for a in part] for part in anchor] for anchor in self.anchors]
        return {"anchors": anchors, "totals": [total.copy() for total in self.totals]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.anchors = [Anchor(*([np.array(a) for a in part] for part in anchor)) for anchor in state["anchors"]]
        self.totals = [np.array(total) for total in state.get("totals", ())]  # states of earlier versions have none
