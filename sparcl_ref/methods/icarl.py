"""iCaRL (Rebuffi et al., CVPR 2017): exemplars near their class's mean, distillation, and nearest means as answers."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.methods.binary import binary_cross_entropy, sigmoid
from sparcl_ref.methods.classifier import classifier_of, features
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.herding import class_means, herd, nearness, normalised
from sparcl_ref.methods.records import Batch, Extent, Filling, Observation, Occasion, Passes, TaskData
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.replay import Samples
from sparcl_ref.settings import OwnSettings, setting

CHUNK = 250
DECAY = 1e-5


def class_losses(
    logits: np.ndarray, labels: np.ndarray, recorded: np.ndarray, *, old: Sequence[int], new: Sequence[int], form: str
) -> tuple[np.ndarray, np.ndarray]:
    """`binary_cross_entropy` of each class: sigmoids of recorded logits for old ones, labels for all others.

    Form "paper" sums over old and new classes, "mammoth" averages over the whole head.
    """
    targets = np.zeros_like(recorded)
    targets[np.arange(len(targets)), labels] = 1
    targets[:, list(old)] = sigmoid(recorded[:, list(old)])
    if form == "mammoth":
        head = logits.shape[1]
        return binary_cross_entropy(logits, targets, classes=range(head), divisor=float(head))
    return binary_cross_entropy(logits, targets, classes=[*old, *new], divisor=1.0)


class ICaRL(RehearsalMethod):
    """L = `binary_cross_entropy` on new samples and exemplars; targets of old classes are sigmoids of old logits.

    Old logits are recorded once for all samples when a task begins, in eval mode on images without augmentation, as in
    the paper's algorithm 3. After a task each class seen has capacity // classes exemplars, by `herd` on normalised
    features in eval mode; lists are cut from their ends. The answer is the nearest mean of exemplars. The forms weigh
    the loss and take means differently: see `differences`.
    """

    title = "iCaRL"
    paper_forwards = 2
    fills = "tasks"
    merges = True
    own_head = True
    differences = (
        Difference(
            "loss",
            "summed over classes seen",
            "averaged over the whole head, classes to come being targets of 0",
            "gradients are smaller by the number of classes: one learning rate does not suit both",
        ),
        Difference(
            "penalty", "none", "1e-5 times the sum of squares of all parameters", "a weight decay of 2e-5 on everything"
        ),
        Difference(
            "mean of a class",
            "of its exemplars",
            "of its exemplars and their mirror images",
            "twice the passes, and a mean of shapes that may not occur",
        ),
        Difference(
            "old logits",
            "recorded once, when a task begins (algorithm 3)",
            "computed in each step on augmented images (left out here)",
            "nothing but costs where images are not augmented",
        ),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        form: str = setting("paper", "of the paper, or of the code base mammoth", choices=("paper", "mammoth"))

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        classifier_of(self.model)  # refused before the run, not after its first task
        #: Class to indices of its exemplars among the training samples, in the order of herding.
        self.exemplars: dict[int, np.ndarray] = {}
        self.recorded = np.zeros((0, 0))
        self.means = np.zeros((0, 0))
        self.mammoth = self.settings.form == "mammoth"

    @classmethod
    def why_own_classes(cls, settings: Any) -> str:
        return "takes the targets of classes seen before from the network of then, so that nothing new would be learned"

    @classmethod
    def held_after(cls, settings: Any, sizes: Sequence[int], filling: Filling) -> int:
        seen = len(sizes) * filling.classes_per_task
        return sum(min(filling.capacity // seen * filling.classes_per_task, size) for size in sizes)

    @classmethod
    def by_chance(cls, settings: Any) -> bool:
        return True  # classes that are not alike, or smaller than their share

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "begin_task" and occasion.task > 1:
            yield Passes("recording", occasion.size, backward=False)
        if occasion.moment == "end_task":
            yield Passes("herding", occasion.size - occasion.held, backward=False)
            yield Passes("means", occasion.kept * (2 if settings.form == "mammoth" else 1), backward=False)

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        rows = [size + held for size, held in zip(extent.sizes, extent.held, strict=False)]
        return {
            "recorded_logits": max(rows[1:], default=0) * extent.classes * extent.item_bytes,
            "class_means": extent.classes * extent.features * extent.item_bytes,
            "exemplars": max(extent.held, default=0) * np.dtype(np.int64).itemsize,
        }

    def merged(self) -> np.ndarray:
        return np.concatenate([super().merged(), *self.exemplars.values()])

    def begin_task(self, data: TaskData) -> None:
        self.recorded = np.zeros((0, self.model.classes), dtype=data.dtype)
        if self.exemplars:
            self.recorded = np.concatenate([self.model.forward(b.x, mode="eval") for b in data.batches(CHUNK)])
            self.on_pass("recording", len(data), backward=False)

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        old = list(self.exemplars)
        recorded = np.zeros((len(batch.labels), self.model.classes), dtype=batch.x.dtype)
        if old:
            recorded = self.recorded[batch.positions]
        given: dict[str, Any] = {"old": old, "new": batch.classes, "form": self.settings.form}
        step = self._learn(batch, functools.partial(class_losses, labels=batch.labels, recorded=recorded, **given))
        self._finish(step)
        if self.mammoth:
            squares = sum(float(np.sum(p.value.astype(np.float64) ** 2)) for p in self.model.parameters())
            step.losses["decay"] = DECAY * squares
            for parameter in self.model.parameters():
                parameter.add_grad(2 * DECAY * parameter.value)
        return step

    def end_task(self, data: TaskData) -> None:
        index, labels = data.task.train_index, data.dataset.train_y
        share = self.buffer.capacity // (len(self.exemplars) + len(data.task.classes))
        self.exemplars = {label: indices[:share] for label, indices in self.exemplars.items()}
        for label in data.task.classes:
            own = np.flatnonzero(labels[index] == label)
            order = herd(normalised(self._features(data.take(own).x)), share)
            self.exemplars[label] = index[own[order]]
            self.on_pass("herding", len(own), backward=False)
        self._remember(data)

    def _remember(self, data: TaskData) -> None:
        """Put the exemplars into the buffer, and compute their means."""
        kept = self.merged()
        images, labels = data.dataset.train_x[kept], data.dataset.train_y[kept]
        held = self.buffer.content()
        before = dict(zip(held.labels.tolist(), held.tasks.tolist(), strict=True))
        tasks = np.array([before.get(label, data.task.number) for label in labels.tolist()], dtype=np.int64)
        logits = np.zeros((len(kept), self.model.classes), dtype=data.dtype)
        self.buffer.hold(Samples(images, labels, logits, tasks))
        x = data.dataset.normalise(images, data.dtype)
        directions = normalised(self._features(x))
        self.on_pass("means", len(x), backward=False)
        if self.mammoth:
            directions = directions + normalised(self._features(x[..., ::-1]))
            self.on_pass("means", len(x), backward=False)
        self.means = class_means(directions, labels, self.model.classes)

    def _features(self, x: np.ndarray) -> np.ndarray:
        parts = [features(self.model, x[start : start + CHUNK]) for start in range(0, max(1, len(x)), CHUNK)]
        return np.concatenate(parts)

    def predict(self, x: np.ndarray, *, task: int | None = None) -> np.ndarray:
        return nearness(features(self.model, x), self.means) if len(self.means) else super().predict(x)

    def state(self) -> dict[str, Any]:
        exemplars = {str(label): indices.copy() for label, indices in self.exemplars.items()}
        return {"exemplars": exemplars, "recorded": self.recorded.copy(), "means": self.means.copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.exemplars = {int(label): np.array(indices) for label, indices in state["exemplars"].items()}
        self.recorded, self.means = np.array(state["recorded"]), np.array(state["means"])
