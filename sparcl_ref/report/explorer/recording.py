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
from sparcl_ref.groups import mask_of
from sparcl_ref.methods.base import all_living
from sparcl_ref.policies.tdm import TDM
from sparcl_ref.report.explorer.shown import layers_shown, weights_shown
from sparcl_ref.sparcl.importance import cgi, cwi

if TYPE_CHECKING:
    from sparcl_ref.history import Event
    from sparcl_ref.layers import Parameter
    from sparcl_ref.regime import MaskChange
    from sparcl_ref.streams import Dataset
    from sparcl_ref.trainer import Trainer

#: Where the buffer holds nothing, or nothing of the training set.
NOBODY = -1


@dataclass(frozen=True)
class LayerRecord:
    """One layer's weights at T moments; of n of them, those that are shown, each by itself.

    Attributes
    ----------
    name : str
    shape : tuple of int
    grid : ndarray of int, shape (rows, columns)
        Flat index of each of the n weights that are shown, as they lie on the screen.
    alive, silenced, joined : ndarray of bool, shape (T, n)
        Of the epoch before the moment: which lived in its last step, which of these DGM silenced, and which joined
        before or within it, those included that had left just before. In the grid's order.
    importance, gradient : ndarray of uint8, shape (T, n)
        In which quarter of the layer's living weights each is, 0 the lowest, by equation 1 and by its two gradients
        alone, at the moment; 0 where dead.
    living, silent, came, left : list of int
        Of the whole layer, by moment.
    """

    name: str
    shape: tuple[int, ...]
    grid: np.ndarray
    alive: np.ndarray
    silenced: np.ndarray
    joined: np.ndarray
    importance: np.ndarray
    gradient: np.ndarray
    living: list[int]
    silent: list[int]
    came: list[int]
    left: list[int]


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
        Of each task.
    members : list of ndarray of int
        Training indices of each task.
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
        self.layers = [_Layer(trainer, parameter) for parameter in layers_shown(trainer.model.sparsifiable())]
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
        counted = trainer.ledger.state()
        with all_living(trainer.model):
            found = trainer.probe(parameters, samples)
        trainer.ledger.load_state(counted)
        return list(zip(*found, strict=True))

    def recording(self) -> Recording:
        """What has been heard so far."""
        trainer, rows = self.trainer, self._rows
        return Recording(
            title=trainer.config.title,
            settings=trainer.config.to_json(),
            dataset=trainer.dataset,
            classes=[list(task.classes) for task in trainer.stream.training],
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


class _Layer:
    """Follows one layer's masks."""

    def __init__(self, trainer: Trainer, parameter: Parameter):
        self.parameter = parameter
        self.chosen = trainer.regime is not None
        self.factors = {"alpha": trainer.config.importance_alpha, "beta": trainer.config.importance_beta}
        self.grid = weights_shown(parameter.value.shape)
        self.mask = mask_of([parameter]).reshape(-1).copy()
        self.joined = np.zeros(self.mask.size, bool)
        self.moved = {"came": 0, "left": 0}
        self.rows: dict[str, list[np.ndarray]] = {
            name: [] for name in ("alive", "silenced", "joined", "importance", "gradient")
        }
        self.counts: dict[str, list[int]] = {name: [] for name in ("living", "silent", "came", "left")}

    def follow(self, change: MaskChange) -> None:
        """Weights that a change names have turned: the living have left, the dead have joined."""
        self._turn(change.indices.get(self.parameter.name, np.zeros(0, dtype=np.int64)))

    def _turn(self, turned: np.ndarray) -> None:
        left = self.mask[turned]
        self.moved["left"] += int(np.count_nonzero(left))
        self.moved["came"] += int(np.count_nonzero(~left))
        self.mask[turned] = ~left
        self.joined[turned] = ~left

    def look(self, task_gradient: np.ndarray, buffer_gradient: np.ndarray) -> None:
        """Write down how the layer stands."""
        parameter = self.parameter
        alive = mask_of([parameter]).reshape(-1)
        # A method that says itself which weights live changes masks without an event.
        self._turn(np.flatnonzero(alive != self.mask))
        formed = parameter.grad_mask
        silenced = np.zeros_like(alive) if formed is None else alive & ~formed.reshape(-1)
        scores = {
            "importance": cwi(parameter.value, task_gradient, buffer_gradient, **self.factors),
            "gradient": cgi(task_gradient, buffer_gradient, **self.factors),
        }
        # Where all weights live, nothing is chosen.
        row = {name: quarters(score.reshape(-1), alive & self.chosen) for name, score in scores.items()}
        row |= {"alive": alive, "silenced": silenced, "joined": self.joined}
        for name, values in row.items():
            self.rows[name].append(values[self.grid.reshape(-1)])
        counts = {"living": np.count_nonzero(alive), "silent": np.count_nonzero(silenced), **self.moved}
        for name, count in counts.items():
            self.counts[name].append(int(count))
        self.joined[:], self.moved = False, {"came": 0, "left": 0}

    def record(self) -> LayerRecord:
        arrays: Any = {name: np.array(rows) for name, rows in self.rows.items()}
        counts: Any = self.counts
        return LayerRecord(
            self.parameter.name.removesuffix(".weight"), self.parameter.value.shape, self.grid, **arrays, **counts
        )


def quarters(score: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """In which quarter of the living each entry's score is, 0 (lowest) .. 3; equal ones by place, the dead 0."""
    found = np.zeros(score.shape, dtype=np.uint8)
    living = np.flatnonzero(alive)
    order = living[np.argsort(score[living], kind="stable")]
    found[order] = 4 * np.arange(len(order)) // max(1, len(order))
    return found


def _digest(image: np.ndarray) -> int:
    return hash(image.tobytes())
