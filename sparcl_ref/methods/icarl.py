"""iCaRL (Rebuffi et al., CVPR 2017): exemplars near their class's mean, distillation, and nearest means as answers."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.methods.binary import class_losses
from sparcl_ref.methods.exemplars import CHUNK, ExemplarMethod
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.records import Batch, Extent, Observation, Occasion, Passes, TaskData
from sparcl_ref.settings import OwnSettings, setting

DECAY = 1e-5


class ICaRL(ExemplarMethod):
    """L = `binary_cross_entropy` on new samples and exemplars; targets of old classes are sigmoids of old logits.

    Old logits are recorded once for all samples when a task begins, in eval mode on images without augmentation, as in
    the paper's algorithm 3. Exemplars and answers are those of `ExemplarMethod`. The forms weigh the loss and take
    means differently: see `differences`.
    """

    title = "iCaRL"
    paper_forwards = 2
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
        self.recorded = np.zeros((0, 0))

    @classmethod
    def why_own_classes(cls, settings: Any) -> str:
        return "takes the targets of classes seen before from the network of then, so that nothing new would be learned"

    @classmethod
    def mirrors(cls, settings: Any) -> bool:
        return bool(settings.form == "mammoth")

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        if occasion.moment == "begin_task" and occasion.task > 1:
            yield Passes("recording", occasion.size, backward=False)
        yield from super().passes(settings, occasion)

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        rows = [size + held for size, held in zip(extent.sizes, extent.held, strict=False)]
        recorded = max(rows[1:], default=0) * extent.classes * extent.item_bytes
        return {"recorded_logits": recorded, **super().archive_bytes(settings, extent)}

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
        if self.settings.form == "mammoth":
            squares = sum(float(np.sum(p.value.astype(np.float64) ** 2)) for p in self.model.parameters())
            step.losses["decay"] = DECAY * squares
            for parameter in self.model.parameters():
                parameter.add_grad(2 * DECAY * parameter.value)
        return step

    def state(self) -> dict[str, Any]:
        return {**super().state(), "recorded": self.recorded.copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.recorded = np.array(state["recorded"])
