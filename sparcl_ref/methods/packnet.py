"""PackNet (Mallya & Lazebnik, CVPR 2018): a task learns with all free weights and gives half of them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.layers.base import Mode
from sparcl_ref.methods.isolation import IsolationMethod
from sparcl_ref.methods.partition import free_weights, partition
from sparcl_ref.methods.phases import Phase, PhaseStep
from sparcl_ref.methods.records import Entries, Extent, Occasion, Passes, TaskData
from sparcl_ref.settings import OwnSettings, setting


class PackNet(IsolationMethod):
    """A task trains all free weights by CE over its own classes, is pruned, retrained, and frozen.

    Per layer `partition` makes a fraction of its weights free again; they are 0 in retraining and when the next task
    begins. Earlier tasks' weights take part and stay. Biases and batch-norm train in the first task and are fixed from
    then on, statistics too: passes are in eval mode, without dropout [V]. Retraining is plain SGD with momentum .9
    [V] for ``post_prune_epochs``, on images without augmentation [F]; both phases start with a momentum of 0 [V].
    The classifier has rows for each task [F]. Weights count as living or dead as they are masked in the exact
    convention; the authors compute densely, and the published accounting charges retraining as it does steps.
    """

    title = "PackNet"

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        prune_fraction: float = setting(0.5, "fraction of a task's weights that it gives back", at_least=0, below=1)
        post_prune_epochs: int | None = setting(
            None, "epochs of retraining after pruning; unset: half of --epochs, rounded up", at_least=0
        )
        post_prune_lr: float = setting(0.003, "learning rate of retraining", above=0)
        ties: str = setting("exact", "of equal weights: an exact number goes, or all", choices=("exact", "source"))
        prune_last: bool = setting(True, "whether the last task gives weights back, too")

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.post_prune_epochs == 0:
                yield "post_prune_lr", "--post-prune-epochs 0"

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        return [] if settings.ties == "exact" else ["ties as source"]

    @classmethod
    def by_chance(cls, settings: Any) -> bool:
        return bool(settings.ties == "source")  # how many weights are equal

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterator[Passes]:
        epochs = _epochs(settings, occasion.epochs)
        if occasion.moment == "end_task" and _prunes(settings, occasion.task, occasion.tasks) and epochs:
            least = (occasion.size % occasion.batch_size or occasion.batch_size) if occasion.task == 1 else 0
            yield Passes("retraining", epochs * occasion.size, charged=True, least=least, epochs=epochs)

    @classmethod
    def phase_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return {"optimizer": extent.parameters * extent.item_bytes}

    @classmethod
    def living(cls, settings: Any, entries: Entries, occasion: Occasion) -> Mapping[str, tuple[int, int]]:
        first = occasion.task == 1
        found = {name: (size, size if first else 0) for name, size in entries.sizes.items()}
        *weights, _ = entries.weights or ("",)
        free = {}
        for name in weights:
            size = entries.sizes[name]
            free[name] = free_weights(size, settings.prune_fraction, task=occasion.task)
            gone = free_weights(size, settings.prune_fraction, task=occasion.task + 1)
            pruned = occasion.moment == "end_task" and _prunes(settings, occasion.task, occasion.tasks)
            found[name] = (size - gone, free[name] - gone) if pruned else (size, free[name])
        found |= cls._living_rows(entries)
        if weights:
            _check_free(sum(free.values()), settings, occasion.task)
        return found

    @property
    def mode(self) -> Mode:
        return "eval" if self.archive.tasks else "train"

    def begin_task(self, data: TaskData) -> None:
        _check_free(self._hold_earlier(data.task.classes), self.settings, data.task.number)

    def phases(self, data: TaskData) -> Sequence[Phase]:
        if not _prunes(self.settings, data.task.number, data.tasks):
            return ()
        return [Phase("retraining", _epochs(self.settings, data.epochs), data.batch_size, "--post-prune-lr")]

    def begin_phase(self, data: TaskData, kind: str) -> None:
        task, settings = data.task.number, self.settings
        for parameter in self.shared:
            owner = self.archive.owners(parameter)
            owner[owner == 0] = task
            owner = partition(parameter.value, owner, task=task, fraction=settings.prune_fraction, ties=settings.ties)
            parameter.set_mask(owner > 0)
        self._forget_momentum()

    def phase_step(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        self._retrain(data.take(part), lr=self.settings.post_prune_lr)

    def end_task(self, data: TaskData) -> None:
        self.model.zero_grads()
        self._forget_momentum()
        whole = {p.name: np.ones(p.value.shape, dtype=bool) for p in self.shared if p.mask is None}
        masks = {p.name: p.mask for p in self.shared if p.mask is not None}
        self.archive.keep(self.model, data.task.number, data.task.classes, masks | whole)


def _prunes(settings: Any, task: int, tasks: int) -> bool:
    return bool(settings.prune_last or task < tasks)


def _epochs(settings: Any, epochs: int) -> int:
    """Of retraining, after so many of training."""
    given: int | None = settings.post_prune_epochs
    return (epochs + 1) // 2 if given is None else given


def _check_free(free: int, settings: Any, task: int) -> None:
    if not free:
        raise ValueError(
            f"--prune-fraction {settings.prune_fraction:g} of packnet leaves no free weight for task {task}; choose a "
            "larger fraction or a larger network"
        )
