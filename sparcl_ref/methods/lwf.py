"""LwF, learning without forgetting (Li & Hoiem, ECCV 2016): on new images, go on saying what was said of old ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.losses import cross_entropy, mean_loss
from sparcl_ref.methods.base import Method
from sparcl_ref.methods.classifier import classifier_of, features
from sparcl_ref.methods.distances import distillation
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.records import Batch, Extent, Observation, Occasion, Passes, TaskData
from sparcl_ref.settings import OwnSettings, setting

#: Images of a recording pass.
RECORDED = 250


class LwF(Method):
    """L = CE(B) + w KD(B), KD being `distillation` over earlier classes; from task 2 on, no image is stored.

    Old logits are recorded once, in eval mode on normalised images without augmentation [F], when a task begins. Then
    the classifier's rows of the new classes are warmed up by SGD, all else frozen and in eval mode, on the same images
    [F]: old logits do not notice. Where every task has all classes no row is new, and all are old from task 2 on.
    Either form has no factor T^2; `differences` say what CE goes over. Both terms share one pass, whose gradient counts
    as the current one's.
    """

    title = "LwF"
    family = "regularisation"
    own_head = True
    differences = (
        Difference(
            "loss on new samples",
            "over the task's own classes",
            "over all classes seen",
            "new samples push the logits of earlier classes down, against the distillation",
        ),
        Difference(
            "coefficient of the distillation",
            "1",
            ".5, in its published rows 3 (`--distil-weight` decides in either form)",
            "how the past weighs against the new",
        ),
        Difference(
            "warm-up of the new rows",
            "until convergence",
            "for as many epochs as a task (`--warmup-epochs` decides in either form)",
            "costs: mammoth computes all features anew, this reference the classifier alone",
        ),
        Difference(
            "images of the recording",
            "normalised and not augmented (this reference's choice)",
            "not normalised (left out here)",
            "targets of images that the network has not been trained on",
        ),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        distil_weight: float = setting(1.0, "coefficient of the distillation loss", at_least=0)
        temperature: float = setting(2.0, "T, by which logits are divided", above=0)
        warmup_epochs: int = setting(1, "epochs of the new rows of the classifier before a task", at_least=0)
        warmup_lr: float = setting(0.03, "learning rate of these epochs", above=0)
        form: str = setting("paper", "of the paper, or of the code base mammoth", choices=("paper", "mammoth"))

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.distil_weight == 0:
                yield "temperature", "--distil-weight 0"
            if self.warmup_epochs == 0:
                yield "warmup_lr", "--warmup-epochs 0"

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        classifier_of(self.model)  # refused before the run, not after its first task
        self.old: list[int] = []
        self.recorded = np.zeros((0, 0))

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "begin_task" and occasion.task > 1:
            yield Passes("recording", occasion.size, backward=False)
            if occasion.own_classes:
                yield Passes("warmup", settings.warmup_epochs * occasion.size, head=True)

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return {"recorded_logits": max(extent.sizes[1:], default=0) * extent.classes * extent.item_bytes}

    def begin_task(self, data: TaskData) -> None:
        if not self.old:
            return
        head = classifier_of(self.model)
        seen = np.concatenate([features(self.model, batch.x) for batch in data.batches(RECORDED)])
        self.recorded = head.forward(seen, mode="eval")
        self.on_pass("recording", len(data), backward=False)
        if set(data.task.classes) <= set(self.old):
            return  # no row is new
        labels = data.dataset.train_y[data.task.train_index]
        for _ in range(self.settings.warmup_epochs):
            assert self.own_rng is not None
            order = self.own_rng.permutation(len(data))
            for start in range(0, len(data), data.batch_size):
                part = order[start : start + data.batch_size]
                self._warm_up(seen[part], labels[part], data.task.classes)
            self.on_pass("warmup", len(data), head=True)

    def _warm_up(self, seen: np.ndarray, labels: np.ndarray, classes: tuple[int, ...]) -> None:
        """A step of plain SGD for the rows of some classes, by CE among them alone."""
        head = classifier_of(self.model)
        _, dlogits = cross_entropy(head.forward(seen, mode="eval"), labels, classes=classes)
        gradients = {"weight": dlogits.T @ seen, "bias": dlogits.sum(axis=0)}  # 0 in the rows of other classes
        for name, parameter in head.own_parameters().items():
            frozen = parameter.frozen_entries()
            parameter.value[...] -= self.settings.warmup_lr * gradients[name]
            parameter.restore_frozen(frozen)
            parameter.clear_dead()
            parameter.changed()

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        mammoth = self.settings.form == "mammoth"
        classes = [*dict.fromkeys([*self.old, *batch.classes])] if mammoth else batch.classes
        losses: dict[str, float] = {}

        def loss(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            per_sample, gradient = cross_entropy(logits, batch.labels, classes=classes)
            weight, how = self.settings.distil_weight, {"classes": self.old, "temperature": self.settings.temperature}
            if self.old and weight:
                recalled, pull = distillation(logits, self.recorded[batch.positions], **how)
                losses["distillation"] = weight * mean_loss(recalled)
                gradient += weight * pull
            return per_sample, gradient

        step = self._learn(batch, loss)
        step.losses |= losses
        return self._finish(step)

    def end_task(self, data: TaskData) -> None:
        self.old = [*dict.fromkeys([*self.old, *data.task.classes])]
        self.recorded = np.zeros((0, 0))

    def state(self) -> dict[str, Any]:
        return {"old": list(self.old), "recorded": self.recorded.copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.old, self.recorded = list(state["old"]), np.array(state["recorded"])
