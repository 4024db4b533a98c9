"""GDumb (Prabhu et al., ECCV 2020): store a balanced few, and learn from scratch on them alone.

It learns nothing from the stream: what a rehearsal method of equal memory achieves beyond it, the stream has given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.losses import correct, cross_entropy
from sparcl_ref.methods.balance import greedy_balance
from sparcl_ref.methods.cutmix import box, cutmix
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.phases import Phase, PhaseStep
from sparcl_ref.methods.records import Batch, Extent, Filling, Observation, Occasion, Passes, TaskData
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.methods.scratch import clip, rate
from sparcl_ref.optimizers import SGD
from sparcl_ref.replay import Samples
from sparcl_ref.settings import OwnSettings, setting

#: Samples of an update on the buffer.
BATCH = 16


class GDumb(RehearsalMethod):
    """After each task: a new network, trained by CE on the buffer alone.

    SGD with momentum .9, weight decay 1e-6, batches of 16, `rate` from .05 to 5e-4, the norm of the gradient clipped
    at 10; CutMix with alpha 1 [V, the authors' code]. Images are not augmented otherwise; `differences` say what the
    forms store. The trainer's steps compute nothing; one epoch is enough. Updates on the buffer count as no overhead.
    """

    title = "GDumb"
    family = "baselines"
    fills = "tasks"
    learns = False
    own_head = True
    differences = (
        Difference(
            "what is stored",
            "greedy balance: a class takes while it has less than its share of the classes seen, and the largest gives "
            "way (as remembered)",
            "a reservoir",
            "classes are stored as often as chance has it",
        ),
        Difference("CutMix", "of a batch with probability 1/2", "of every batch", "hardly any image is shown as it is"),
        Difference(
            "trains",
            "after each task",
            "after the last task only",
            "a fifth of the cost with five tasks, and an accuracy matrix with one row that means something",
        ),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        buffer_passes: int = setting(256, "epochs over the buffer after a task", at_least=1)
        form: str = setting("paper", "of the paper, or of the code base mammoth", choices=("paper", "mammoth"))

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        drawn = {prefix for prefix, layer in self.model.named_layers() if layer.fan_in is not None}
        arrays = self.model.state_dict().items()
        #: What no initialisation draws, such as batch-norm's, as it was built.
        self.built = {name: array for name, array in arrays if name.rpartition(".")[0] not in drawn}

    @classmethod
    def why_own_classes(cls, settings: Any) -> str:
        if settings.form == "mammoth":
            return ""  # its reservoir goes by samples, not by classes
        return "stores, unlike its --form mammoth, no more of a class that has its share, so that later tasks are lost"

    @classmethod
    def held_after(cls, settings: Any, sizes: Sequence[int], filling: Filling) -> int:
        return min(filling.capacity, sum(sizes))

    @classmethod
    def by_chance(cls, settings: Any) -> bool:
        return True  # a class with fewer samples than its share leaves slots empty

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        epochs = _epochs(settings, occasion.task, occasion.tasks)
        if occasion.moment == "end_task" and epochs:
            least = occasion.kept % BATCH or BATCH
            yield Passes("scratch", epochs * occasion.kept, at_once=BATCH, least=least, epochs=epochs)

    @classmethod
    def phase_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return {"optimizer": extent.parameters * extent.item_bytes}

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        nothing = np.zeros((len(batch.labels), self.model.classes), dtype=batch.x.dtype)
        self.model.zero_grads()
        return Observation(
            logits=nothing, correct=correct(nothing, batch.labels), current_grads=self.model.take_grads()
        )

    def phases(self, data: TaskData) -> Sequence[Phase]:
        return [Phase("scratch", _epochs(self.settings, data.task.number, data.tasks), BATCH)]

    def begin_phase(self, data: TaskData, kind: str) -> None:
        assert self.own_rng is not None
        self._store(data, self.own_rng)
        if _epochs(self.settings, data.task.number, data.tasks):
            self.fresh(self.model, self.own_rng)
            self.model.load_state_dict(self.model.state_dict() | self.built)

    def phase_order(self, data: TaskData, kind: str) -> np.ndarray:
        assert self.own_rng is not None
        return self.own_rng.permutation(len(self.buffer))

    def phase_step(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        assert self.own_rng is not None
        memory = self.buffer.get(part)
        self._descend(data.dataset.normalise(memory.images, data.dtype), memory.labels, self.own_rng)
        descent = SGD(self.model.parameters(), momentum=0.9, weight_decay=1e-6)
        descent.step(rate(at.epoch, highest=0.05, lowest=5e-4))
        self.on_pass("scratch", len(part))

    def end_task(self, data: TaskData) -> None:
        for parameter in self.model.parameters():
            parameter.slots.clear()
        self.model.zero_grads()

    def _store(self, data: TaskData, rng: np.random.Generator) -> None:
        new = data.take(rng.permutation(len(data)))
        logits = np.zeros((len(data), self.model.classes), dtype=data.dtype)
        if self.settings.form == "mammoth":
            self.buffer.add(new.images, new.labels, logits, task=new.task, rng=rng)
            return
        held = self.buffer.content()
        kept = greedy_balance(held.labels, new.labels, self.buffer.capacity, rng)
        offered = Samples(new.images, new.labels, logits, np.full(len(data), new.task))
        self.buffer.hold(Samples(*(np.concatenate(pair)[kept] for pair in zip(held, offered, strict=True))))

    def _descend(self, x: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
        """The clipped gradient on a batch, perhaps mixed."""
        others, own = labels, 1.0
        if self.settings.form == "mammoth" or rng.random() < 0.5:
            partner, (height, width) = rng.permutation(len(x)), x.shape[2:]
            place = box(1 - rng.beta(1, 1), height, width, int(rng.integers(height)), int(rng.integers(width)))
            x, own = cutmix(x, partner, place)
            others = labels[partner]
        self.model.zero_grads()
        logits = self.model.forward(x, mode="train")
        dlogits = own * cross_entropy(logits, labels)[1]
        if own < 1:
            dlogits += (1 - own) * cross_entropy(logits, others)[1]
        self.model.backward(dlogits, need_dx=False)
        self.model.set_grads(clip(self.model.take_grads(), 10.0))


def _epochs(settings: Any, task: int, tasks: int) -> int:
    """Over the buffer, after a task."""
    return int(settings.buffer_passes) if settings.form == "paper" or task == tasks else 0
