"""Looking at a run that stands between two events: what it would measure or learn now, and nothing is changed by it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from sparcl_ref.draws import Place
from sparcl_ref.layers import Parameter
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.base import all_living
from sparcl_ref.sparcl.importance import Loss, probe_gradients
from sparcl_ref.streams import cut_batches

if TYPE_CHECKING:
    from sparcl_ref.config import Config
    from sparcl_ref.draws import Decisions
    from sparcl_ref.history import Cursor
    from sparcl_ref.methods import Method, Observation
    from sparcl_ref.models import Network
    from sparcl_ref.replay import ReservoirBuffer
    from sparcl_ref.sparcl.rules import Rules
    from sparcl_ref.streams import Dataset, Stream, Task

#: One array per parameter, on the current task and on the buffer.
Gradients = tuple[list[np.ndarray], list[np.ndarray]]
#: Samples of the current task that a probe uses where the policy has no say.
SAMPLES = 256


class Inspectable:
    """What a trainer shows of itself beside its events."""

    config: Config
    model: Network
    method: Method
    dataset: Dataset
    decisions: Decisions
    cursor: Cursor
    buffer: ReservoirBuffer | None
    rules: Rules
    stream: Stream

    if TYPE_CHECKING:

        def state(self) -> dict[str, Any]: ...

        def load_state(self, state: dict[str, Any]) -> None: ...

    @property
    def place(self) -> Place:
        """Where the run stands."""
        return Place(self.cursor.task, self.cursor.epoch, self.cursor.step)

    @property
    def batches(self) -> list[np.ndarray]:
        """Training indices of each step of this epoch."""
        size, drop_last = self.config.batch_size, self.rules.drop_last
        return cut_batches(self.cursor.remaining, self.cursor.permutation, size, drop_last=drop_last)

    @property
    def task(self) -> Task:
        """The task in hand, with what the method merges into it."""
        task = self.stream.training[self.cursor.task - 1]
        if not self.method.merges:
            return task
        return dataclasses.replace(task, train_index=np.union1d(task.train_index, self.method.merged()))

    @overload
    def probe(
        self, parameters: Parameter, samples: int | None = None, *, chunk: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def probe(
        self, parameters: Sequence[Parameter], samples: int | None = None, *, chunk: int | None = None
    ) -> Gradients: ...

    def probe(self, parameters: Any, samples: int | None = None, *, chunk: int | None = None) -> Any:
        """The gradients by which equation 1 ranks weights, of the current task and of the buffer.

        They are those of all living weights, whatever DGM masks. Nothing is changed, and the ledger is not charged.

        Parameters
        ----------
        parameters : Parameter, or sequence of them
        samples : int, optional
            How many of the task's first remaining samples to use at most; unset: as many as the policy's probes.
        chunk : int, optional
            Samples that pass at once, which is part of the definition where there is batch-norm; unset: the batch size.

        Returns
        -------
        (ndarray, ndarray), or (list of ndarray, list of ndarray) for a sequence
            The second is zeros for a method without a buffer.

        Raises
        ------
        ValueError
            If no task has begun, or samples or chunk is below 1.
        """
        if not self.cursor.task:
            raise ValueError("a probe needs a task, and none has begun; advance to an event of a task first")
        one = isinstance(parameters, Parameter)
        samples = self.config.make_policy().probe_samples or SAMPLES if samples is None else samples
        chunk = self.config.batch_size if chunk is None else chunk
        if samples < 1 or chunk < 1:
            raise ValueError(f"a probe takes at least 1 sample in chunks of at least 1, got {samples} and {chunk}")
        with all_living(self.model):
            found = self.gradients_on([parameters] if one else parameters, samples, chunk=chunk)
        return (found[0][0], found[1][0]) if one else found

    def gradients_on(
        self,
        parameters: Sequence[Parameter],
        samples: int,
        *,
        chunk: int,
        on_pass: Callable[[str, int], None] = lambda kind, samples: None,
    ) -> Gradients:
        """Probe gradients under the masks as they are: single-head on the task, full-head on the whole buffer."""
        data, labels = self.dataset, self.dataset.train_y

        def gradients(images: np.ndarray, targets: np.ndarray, loss: Loss) -> list[np.ndarray]:
            seen = self.decisions.prepare(images)
            return probe_gradients(self.model, parameters, seen, targets, loss, batch_size=chunk, on_pass=on_pass)

        first = self.cursor.remaining[:samples]
        # What is merged has labels of other tasks.
        classes = None if self.method.merges else self.task.classes
        current = gradients(data.train_x[first], labels[first], functools.partial(cross_entropy, classes=classes))
        if self.buffer is None:
            return current, [np.zeros_like(grad) for grad in current]
        memory = self.buffer.content()
        return current, gradients(memory.images, memory.labels, cross_entropy)

    def peek(self, steps: int = 1, *, unmasked: bool = False) -> list[Observation]:
        """What the next steps would observe at the weights and masks of now; the run stays as it was, to the bit.

        Each has the batch that it would have, and what it would draw of the buffer's content of now. Masks that a
        policy changes before a step, and gradient masks that are lifted before a refresh, are as they were.

        Parameters
        ----------
        steps : int
            At most as many as the epoch has left.
        unmasked : bool
            Form the gradients of all living weights, whatever DGM masks.

        Raises
        ------
        ValueError
            If no step is due, or the epoch has fewer left.
        """
        if self.cursor.due != "step":
            raise ValueError(f"a peek needs a step that is due, and {self.cursor.due} is; advance to a step first")
        batches = self.batches[self.cursor.step :]
        if not 1 <= steps <= len(batches):
            raise ValueError(f"a peek can see 1 to {len(batches)} steps, the rest of this epoch; got {steps}")
        saved, seen = self.state(), []
        try:
            with all_living(self.model) if unmasked else contextlib.nullcontext():
                for indices in batches[:steps]:
                    batch = self.decisions.batch(self.place, self.task, indices)
                    remembers = self.method.remembers(batch)
                    draws = self.decisions.slots(self.place, self.method.draws_per_step) if remembers else None
                    seen.append(self.method.observe(batch, draws=draws))
                    self.cursor.step += 1
        finally:
            self.load_state(saved)
        return seen
