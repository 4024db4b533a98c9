"""What a method computes by itself once the epochs of a task are over, step by step: training of its own, or a measure.

A run can be stopped, saved and resumed between any two of these steps, as between those of the epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparcl_ref.methods.records import Extent, TaskData


class Phase(NamedTuple):
    """Epochs of a method's own.

    Attributes
    ----------
    kind : str
        As `Passes` call what is computed in it.
    epochs : int
        0 if it is only begun.
    batch_size : int
        Samples of a step.
    rate : str
        The setting that is its learning rate, as on the command line; "" if there is none.
    """

    kind: str
    epochs: int
    batch_size: int
    rate: str = ""


class PhaseStep(NamedTuple):
    """A step of a phase: epoch from 1, step within it from 0."""

    kind: str
    epoch: int
    step: int


class Phased:
    """The hooks by which a trainer goes through the phases of a method.

    After a task's last epoch each of `phases` is begun by `begin_phase`; then each of its epochs takes an order of
    samples by `phase_order`, and a `phase_step` for each batch of it; after the last phase comes `Method.end_task`.
    What a phase must remember from step to step belongs to the method's `state`. Passes are told to ``on_pass`` by the
    method, and to a forecast by `Method.passes`, with their ``epochs``.
    """

    own_rng: np.random.Generator | None

    def phases(self, data: TaskData) -> Sequence[Phase]:
        """Those of a task, in order; they follow from the settings and the task alone."""
        return ()

    def begin_phase(self, data: TaskData, kind: str) -> None:
        """A phase is about to be gone through."""

    def phase_order(self, data: TaskData, kind: str) -> np.ndarray:
        """Positions of the samples of an epoch, in the order of its steps: by default all of the task, shuffled."""
        assert self.own_rng is not None
        return self.own_rng.permutation(len(data))

    def phase_step(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        """Compute one step, with its update if there is one; ``part`` is a batch of the order."""

    @classmethod
    def phase_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        """Bytes held at the fullest step of a phase, by part, where they differ from those held at a usual step."""
        return {}
