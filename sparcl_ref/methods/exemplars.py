"""Methods that keep exemplars: samples near the mean of their class, whose mean is what the class is recognised by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sparcl_ref.methods.classifier import classifier_of, features
from sparcl_ref.methods.herding import class_means, herd, nearness, normalised
from sparcl_ref.methods.records import Extent, Filling, Occasion, Passes, TaskData
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.replay import Samples

#: Images of a pass that learns nothing.
CHUNK = 250


class ExemplarMethod(RehearsalMethod):
    """After a task each class seen has capacity // classes exemplars, and the answer is the nearest mean of exemplars.

    They are chosen by `herd` on normalised features in eval mode; lists are cut from their ends. Exemplars are among
    the samples of each epoch.
    """

    fills = "tasks"
    merges = True

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        classifier_of(self.model)  # refused before the run, not after its first task
        #: Class to indices of its exemplars among the training samples, in the order of herding.
        self.exemplars: dict[int, np.ndarray] = {}
        self.means = np.zeros((0, 0))

    @classmethod
    def mirrors(cls, settings: Any) -> bool:
        """Whether a class's mean is that of its exemplars and their mirror images."""
        return False

    @classmethod
    def held_after(cls, settings: Any, sizes: Sequence[int], filling: Filling) -> int:
        seen = len(sizes) * filling.classes_per_task
        return sum(min(filling.capacity // seen * filling.classes_per_task, size) for size in sizes)

    @classmethod
    def by_chance(cls, settings: Any) -> bool:
        return True  # classes that are not alike, or smaller than their share

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "end_task":
            yield Passes("herding", occasion.size - occasion.held, backward=False)
            yield Passes("means", occasion.kept * (2 if cls.mirrors(settings) else 1), backward=False)

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return {
            "class_means": extent.classes * extent.features * extent.item_bytes,
            "exemplars": max(extent.held, default=0) * np.dtype(np.int64).itemsize,
        }

    def merged(self) -> np.ndarray:
        return np.concatenate([super().merged(), *self.exemplars.values()])

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
        if self.mirrors(self.settings):
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
        return {"exemplars": exemplars, "means": self.means.copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.exemplars = {int(label): np.array(indices) for label, indices in state["exemplars"].items()}
        self.means = np.array(state["means"])
