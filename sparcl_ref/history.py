"""What a run has been through: events, where it stands, what it has measured. Records that only add to themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparcl_ref.groups import mask_of
from sparcl_ref.layers import Parameter
from sparcl_ref.methods import Observation
from sparcl_ref.regime import MaskChange


@dataclass
class Event:
    """One thing that happened, with what it decided, so that a listener can record or replay a run.

    Attributes
    ----------
    kind : str
        "untrained", "begin_task", "begin_epoch", "step", "end_epoch", "own_step" (of the method's own phases, after
        a task's last epoch) or "end_task".
    task, epoch, step : int
        Task and epoch from 1 (0 before the first), step within the epoch from 0.
    mask_changes : list of MaskChange
        Of "begin_epoch", and of "step" where the policy moves within epochs.
    indices, drawn, slots : ndarray of int or None
        Of "step": training indices of the batch; where there is a buffer, the reservoir's number and the slot (-1: not
        stored) of each sample.
    observation : Observation or None
        Of "step".
    row : dict or None
        Of "end_epoch": what was measured, as in metrics.csv.
    removed : ndarray of int or None
        Training indices that data removal took: of "end_epoch", or of "begin_epoch" where the rules say so.
    ends_own_epoch : bool
        Whether an "own_step" was the last of its epoch.
    """

    kind: str
    task: int
    epoch: int
    step: int
    mask_changes: list[MaskChange] = field(default_factory=list)
    indices: np.ndarray | None = None
    drawn: np.ndarray | None = None
    slots: np.ndarray | None = None
    observation: Observation | None = None
    row: dict[str, Any] | None = None
    removed: np.ndarray | None = None
    ends_own_epoch: bool = False


@dataclass
class Cursor:
    """Where a run stands. ``due`` is the event that comes next, ``updates`` counts steps over all epochs.

    At the end of a task ``phase`` is that of the method's own phases which is due, from 0, and ``own_epoch`` the epoch
    in it, 0 before it is begun; ``own_epochs`` counts those that have ended, over all tasks.
    """

    due: str = "untrained"
    task: int = 0
    epoch: int = 0
    step: int = 0
    updates: int = 0
    phase: int = 0
    own_epoch: int = 0
    own_step: int = 0
    own_epochs: int = 0
    remaining: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    permutation: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass
class History:
    """What a run has measured so far: plain lists, ready for JSON but for the masks."""

    #: Row 0 untrained, row t after task t; a column per task.
    class_il_matrix: list[list[float]] = field(default_factory=list)
    #: The same; empty where tasks have no classes of their own.
    task_il_matrix: list[list[float]] = field(default_factory=list)
    #: One row per epoch.
    epochs: list[dict[str, Any]] = field(default_factory=list)
    #: One row per removal: task, stage, removed, left.
    data_removed: list[dict[str, int]] = field(default_factory=list)
    #: (task, epoch) of each mask snapshot; (0, 0) is the initial mask.
    mask_labels: list[tuple[int, int]] = field(default_factory=list)
    #: Packed bits (uint8) of the largest sparsifiable layer's mask.
    mask_alive: list[np.ndarray] = field(default_factory=list)

    def keep_mask(self, cursor: Cursor, parameters: Sequence[Parameter]) -> None:
        """A snapshot of the largest parameter's mask, if there is one."""
        if parameters:
            largest = max(parameters, key=lambda parameter: parameter.value.size)
            self.mask_labels.append((cursor.task, cursor.epoch))
            self.mask_alive.append(np.packbits(mask_of([largest])))

    def add_epoch(
        self,
        cursor: Cursor,
        totals: EpochTotals,
        sparsifiable: Sequence[Parameter],
        *,
        learning_rate: float,
        train_flops: int | None,
    ) -> dict[str, Any]:
        """The row of an epoch, which is kept."""
        active = sum(parameter.active for parameter in sparsifiable)
        row = {
            "task": cursor.task,
            "epoch": cursor.epoch,
            **totals.means(),
            "samples": len(cursor.remaining),
            "active_fraction": active / max(1, sum(parameter.value.size for parameter in sparsifiable)),
            "learning_rate": learning_rate,
            "train_flops_exact": train_flops,
        }
        self.epochs.append(row)
        return row


@dataclass
class EpochTotals:
    """Sums over the samples of an epoch."""

    samples: int = 0
    correct: int = 0
    loss_current: float = 0.0
    loss_replay: float = 0.0

    def add(self, step: Observation) -> None:
        count = len(step.correct)
        self.samples += count
        self.correct += int(step.correct.sum())
        self.loss_current += count * step.losses.get("current", 0.0)
        self.loss_replay += count * sum(loss for term, loss in step.losses.items() if term != "current")

    def means(self) -> dict[str, float]:
        return {
            "loss_current": self.loss_current / self.samples,
            "loss_replay": self.loss_replay / self.samples,
            "train_accuracy": self.correct / self.samples,
        }


#: The fields of a record, sharing nothing with it.
copied = dataclasses.asdict
