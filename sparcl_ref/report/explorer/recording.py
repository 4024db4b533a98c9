"""A run, written down while it happens: what every task scores, what lives, and what is remembered, epoch by epoch.

The recorder listens to the trainer's events and looks at it between them; the trainer knows nothing of it, and trains
to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparcl_ref.evaluation import accuracy_rows
from sparcl_ref.policies.tdm import TDM
from sparcl_ref.report.explorer.layer import LayerRecord, LayerRecorder
from sparcl_ref.report.explorer.shown import layers_shown

if TYPE_CHECKING:
    from sparcl_ref.history import Event
    from sparcl_ref.streams import Dataset
    from sparcl_ref.trainer import Trainer

#: Where the buffer holds nothing, or nothing of the training set.
NOBODY = -1


@dataclass(frozen=True)
class Recording:
    """A run at T moments: before any training, and after each epoch.

    Attributes
    ----------
    title : str
    settings : dict
        Of the configuration, as JSON values.
    dataset : Dataset
    classes : list of list of int
        Of each task that is evaluated.
    learned : list of int
        The training task, from 1, in which each of these is learned: its own, but where all are learned at once.
    members : list of ndarray of int
        Training indices of each training task.
    moments : list of (int, int)
        Task and epoch, (0, 0) before training.
    accuracy : ndarray, shape (T, tasks)
        Class-IL, in 0..1.
    layers : list of LayerRecord
    slots : ndarray of int, shape (T, capacity)
        Training index of what is in each slot of the buffer, `NOBODY` where nothing is; of two equal images the first.
    wrong : ndarray of bool, shape (T, N)
        Training samples that were misclassified when they were trained on in that epoch.
    gone : ndarray of bool, shape (T, N)
        Training samples that data removal has taken so far.
    removed : list of int
        How many it took at that moment.
    removes_before : bool
        Whether it takes them before the epoch, after the masks have changed, rather than after it.
    """

    title: str
    settings: dict[str, Any]
    dataset: Dataset
    classes: list[list[int]]
    learned: list[int]
    members: list[np.ndarray]
    moments: list[tuple[int, int]]
    accuracy: np.ndarray
    layers: list[LayerRecord]
    slots: np.ndarray
    wrong: np.ndarray
    gone: np.ndarray
    removed: list[int]
    removes_before: bool


def record(trainer: Trainer, *, on_event: Callable[[Event], None] = lambda event: None) -> Recording:
    """Run a trainer from its beginning to its end and write down what happens.

    Raises
    ------
    ValueError
        If the run has begun already.
    FloatingPointError
        If a loss or gradient is NaN or infinite.
    """
    if trainer.cursor.due != "untrained":
        raise ValueError("a run is recorded from its beginning; build a new trainer")
    recorder = Recorder(trainer)
    while not trainer.done:
        event = trainer.advance()
        recorder.hear(event)
        on_event(event)
    return recorder.recording()


class Recorder:
    """Hears every event of a trainer from the first on, right after it has happened."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.layers = [LayerRecorder(trainer, parameter) for parameter in layers_shown(trainer.model.sparsifiable())]
        samples = trainer.dataset.train_x
        # Of equal images the first, hence backwards.
        self._whose = {_digest(samples[index]): index for index in reversed(range(len(samples)))}
        self._wrong, self._gone = np.zeros(len(samples), bool), np.zeros(len(samples), bool)
        self._removed = 0
        self._rows: dict[str, list[Any]] = {name: [] for name in ("moments", "accuracy", "slots", "wrong", "gone")}
        self._counts: list[int] = []

    def hear(self, event: Event) -> None:
        """Take in what has happened; at the end of an epoch, look at everything."""
        for change in event.mask_changes:
            for layer in self.layers:
                layer.follow(change)
        if event.observation is not None and event.indices is not None:
            self._wrong[event.indices] |= ~event.observation.correct
        if event.removed is not None:
            self._gone[event.removed] = True
            self._removed += len(event.removed)
        # After the last epoch of a task the method may still change the network: look when it has.
        last = event.epoch == self.trainer.config.epochs
        if event.kind in ("untrained", "end_task") or (event.kind == "end_epoch" and not last):
            self._look(event)

    def _look(self, event: Event) -> None:
        trainer = self.trainer
        class_il, _ = accuracy_rows(trainer.method, trainer.stream, trainer.decisions.dtype)
        seen = {
            "moments": (event.task, event.epoch),
            "accuracy": class_il,
            "slots": self._in_buffer(),
            "wrong": self._wrong.copy(),
            "gone": self._gone.copy(),
        }
        for name, row in seen.items():
            self._rows[name].append(row)
        self._counts.append(self._removed)
        self._wrong[:], self._removed = False, 0
        for layer, (task, buffer) in zip(self.layers, self._gradients(), strict=True):
            layer.look(task, buffer)

    def _in_buffer(self) -> np.ndarray:
        buffer = self.trainer.buffer
        if buffer is None:
            return np.zeros(0, dtype=np.int64)
        slots = np.full(buffer.capacity, NOBODY)
        images = buffer.content().images
        slots[: len(images)] = [self._whose.get(_digest(image), NOBODY) for image in images]
        return slots

    def _gradients(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Probe gradients of every layer on task and buffer; no trace is left of it."""
        trainer, parameters = self.trainer, [layer.parameter for layer in self.layers]
        if trainer.regime is None or trainer.cursor.task == 0 or not parameters:
            return [(np.zeros_like(p.value), np.zeros_like(p.value)) for p in parameters]
        published = TDM.Settings().importance_samples
        samples = getattr(trainer.config.policy_settings, "importance_samples", published)
        return list(zip(*trainer.probe(parameters, samples), strict=True))

    def recording(self) -> Recording:
        """What has been heard so far."""
        trainer, rows = self.trainer, self._rows
        return Recording(
            title=trainer.config.title,
            settings=trainer.config.to_json(),
            dataset=trainer.dataset,
            classes=[list(task.classes) for task in trainer.stream.tasks],
            learned=[min(task.number, len(trainer.stream.training)) for task in trainer.stream.tasks],
            members=[task.train_index for task in trainer.stream.training],
            moments=rows["moments"],
            accuracy=np.array(rows["accuracy"]),
            layers=[layer.record() for layer in self.layers],
            slots=np.array(rows["slots"], dtype=np.int64),
            wrong=np.array(rows["wrong"]),
            gone=np.array(rows["gone"]),
            removed=self._counts,
            removes_before=trainer.regime is not None and trainer.rules.remove_after_mask_update,
        )


def _digest(image: np.ndarray) -> int:
    return hash(image.tobytes())
