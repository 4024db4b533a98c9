"""What methods share that give each task weights of its own: an archive of tasks' networks, and answers by them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.archive import Archive
from sparcl_ref.methods.base import Method
from sparcl_ref.methods.classifier import classifier_of
from sparcl_ref.methods.records import Batch, Entries, Extent, Observation
from sparcl_ref.methods.score_mask import product
from sparcl_ref.methods.substitute import substituted
from sparcl_ref.optimizers import SGD


class IsolationMethod(Method):
    """Each task has its own masks, classifier rows, batch-norm and biases, all in ``archive``.

    Told the task, `predict` answers by that task's network (Task-IL); old logits are equal to the bit after later
    tasks, since the method freezes what a task uses. Not told, it answers by the newest task's weights and all rows of
    the classifier: nothing guesses the task, so that Class-IL says what such a method cannot do. A task that has not
    been learned is answered so, too.
    """

    family = "isolation"
    own_head = True
    own_masks = True
    predicts_by_task = True
    archive: Archive

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        self.classifier = classifier_of(self.model)  # refused before the run, not after its first task
        head = self.classifier.own_parameters().values()
        #: Weights of convolutions and linear layers but the classifier, and all other parameters but the classifier's.
        self.shared, self.rest = list[Parameter](), list[Parameter]()
        for parameter in self.model.parameters():
            if parameter not in head:
                (self.shared if parameter.value.ndim >= 2 else self.rest).append(parameter)
        if not self.shared:
            raise ValueError(f"{self.model.name}: {self.title} needs a layer with weights before the classifier")
        self.archive = Archive()

    @classmethod
    def why_own_classes(cls, settings: Any) -> str:
        return "has rows of the classifier for each task and is told which task an image is of"

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return cls._archived(extent, len(extent.sizes))

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        """The gradient of CE over the task's own classes, for what is not frozen."""
        loss = functools.partial(cross_entropy, labels=batch.labels, classes=batch.classes)
        return self._finish(self._learn(batch, loss))

    def predict(self, x: np.ndarray, *, task: int | None = None) -> np.ndarray:
        tasks = self.archive.tasks
        if task is not None and task in tasks:
            with self.archive.in_place(self.model, task):
                return super().predict(x)
        used = {p: product(p.value, self.archive.mask(max(tasks), p)) for p in self.shared} if tasks else {}
        with substituted(used):
            return super().predict(x)

    def state(self) -> dict[str, Any]:
        return {"archive": self.archive.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.archive.load_state(state["archive"])

    # --- for methods that build on it

    @classmethod
    def _archived(cls, extent: Extent, tasks: int) -> dict[str, int]:
        """Bytes of masks of all weights but the classifier's, and of all else whole, for each of so many tasks."""
        if not (extent.weights and extent.sizes):
            return {}
        *weights, head = extent.weights
        rest = extent.parameters - sum(weights) - head - extent.classes + extent.statistics
        rows = (head + extent.classes) * tasks // len(extent.sizes)
        return {
            "task_masks": tasks * sum(-(-size // 8) for size in weights),
            "task_values": (tasks * rest + rows) * extent.item_bytes,
        }

    @classmethod
    def _living_rows(cls, entries: Entries) -> dict[str, tuple[int, int]]:
        """The classifier's part of `living` while `_open_rows` freezes the rows of other classes."""
        head = entries.weights[-1] if entries.weights else ""
        sizes = {name: entries.sizes.get(name, 0) for name in (head, head.removesuffix("weight") + "bias")}
        share = entries.classes_per_task
        return {name: (size, size // entries.classes * share) for name, size in sizes.items() if size}

    def _hold_earlier(self, classes: tuple[int, ...]) -> int:
        """Let all weights live, and freeze what is not this task's to change; how many weights are free.

        Frozen are the weights of earlier tasks, after the first task all other parameters, and rows of other classes.
        """
        free = 0
        for parameter in self.shared:
            owned = self.archive.owners(parameter) > 0
            parameter.set_mask(None)
            parameter.freeze(owned if owned.any() else None)
            free += int(np.count_nonzero(~owned))
        for parameter in self.rest if self.archive.tasks else ():
            parameter.freeze(np.ones(parameter.value.shape, dtype=bool))
        self._open_rows(classes)
        return free

    def _open_rows(self, classes: tuple[int, ...]) -> None:
        """Freeze the classifier's rows of other classes."""
        for parameter in self.classifier.own_parameters().values():
            frozen = np.ones(parameter.value.shape, dtype=bool)
            frozen[list(classes)] = False
            parameter.freeze(frozen)

    def _retrain(self, batch: Batch, *, lr: float) -> None:
        """A step of SGD with momentum .9 under the masks as they are.

        A phase of such steps begins, and is followed, by `_forget_momentum`. A FloatingPointError if a gradient is not
        finite.
        """
        self.model.zero_grads()
        logits = self.model.forward(batch.x, mode=self.mode)
        self.model.backward(cross_entropy(logits, batch.labels, classes=batch.classes)[1], need_dx=False)
        SGD(self.model.parameters(), momentum=0.9).step(lr)
        self.on_pass("retraining", len(batch.labels))

    def _forget_momentum(self) -> None:
        for parameter in self.model.parameters():
            parameter.slots.clear()
